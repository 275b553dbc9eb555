// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

// Suppression alone, with and without classes, and box decoding, as the Python functions call them:
// at every instruction set against the plain ones.
#include <algorithm>

#include "fuzz/draws.h"
#include "fuzz/expect.h"
#include "fuzz/fuzz_input.h"
#include "fuzz/plain_postprocess.h"
#include "fuzz/runnable_sets.h"
#include "fuzz/same_bits.h"
#include "kernels/box_coder.h"
#include "kernels/nms.h"

namespace detops {
namespace fuzz {
namespace {

constexpr size_t kMaxBytes = 1 << 16;

// Kept in each class, all of them by score and index.
std::vector<int64_t> Expected(const std::vector<PlainBox>& boxes, const std::vector<float>& scores,
                              const std::vector<int32_t>& classes, int num_classes,
                              float score_threshold, float iou_threshold, size_t limit) {
  std::vector<size_t> kept;
  for (int c = 0; c < num_classes; ++c) {
    std::vector<PlainBox> own_boxes;
    std::vector<float> own_scores;
    std::vector<size_t> own;
    for (size_t i = 0; i < boxes.size(); ++i) {
      if (classes[i] != c) continue;
      own.push_back(i);
      own_boxes.push_back(boxes[i]);
      own_scores.push_back(scores[i]);
    }
    for (size_t i : PlainNms(own_boxes, own_scores, iou_threshold, score_threshold, own.size())) {
      kept.push_back(own[i]);
    }
  }
  std::sort(kept.begin(), kept.end(), [&scores](size_t i, size_t j) {
    return scores[i] != scores[j] ? scores[i] > scores[j] : i < j;
  });
  if (kept.size() > limit) kept.resize(limit);
  return {kept.begin(), kept.end()};
}

void CheckNms(FuzzInput* input, const std::vector<const KernelSet*>& sets) {
  static GuardedMemory box_memory(kMaxBytes), score_memory(kMaxBytes), class_memory(kMaxBytes);
  const size_t count = static_cast<size_t>(input->Range(0, 255));
  const int num_classes = input->OneIn(2) ? input->Range(1, 20) : 1;
  const size_t limit = input->OneIn(2) ? static_cast<size_t>(input->Range(0, 40)) : 1000;
  const float score_threshold = input->OneIn(2) ? input->Float() : -1e30f;
  const float drawn = input->Float();
  const float iou_threshold = drawn > 0.0f && drawn <= 1.0f ? drawn : 0.5f;

  uint8_t* box_bytes = box_memory.Put(count * sizeof(PlainBox), DrawPlace(input));
  FillTensor(input, DType::kFloat32, 0.0f, 1.0f, box_bytes, count * sizeof(PlainBox));
  uint8_t* score_bytes = score_memory.Put(count * sizeof(float), DrawPlace(input));
  FillTensor(input, DType::kFloat32, 0.0f, 1.0f, score_bytes, count * sizeof(float));
  uint8_t* class_bytes = class_memory.Put(count * sizeof(int32_t), DrawPlace(input));
  std::vector<PlainBox> boxes(count);
  std::vector<float> scores(count);
  std::vector<int32_t> classes(count);
  NumberStream stream(input->Word());
  for (size_t i = 0; i < count; ++i) {
    boxes[i] = Load<PlainBox>(box_bytes, i);
    scores[i] = Load<float>(score_bytes, i);
    classes[i] = static_cast<int32_t>(stream.Next() % static_cast<uint32_t>(num_classes));
    std::memcpy(class_bytes + i * sizeof(int32_t), &classes[i], sizeof(int32_t));
  }
  const std::vector<int64_t> expected =
      Expected(boxes, scores, classes, num_classes, score_threshold, iou_threshold, limit);
  for (const KernelSet* set : sets) {
    Nms nms;
    FUZZ_EXPECT(nms.Prepare(*set, count, static_cast<size_t>(num_classes), limit), "no memory");
    std::vector<int64_t> kept(std::min(count, limit));
    const size_t found = nms.Run(
        reinterpret_cast<const float*>(box_bytes), reinterpret_cast<const float*>(score_bytes),
        num_classes > 1 ? reinterpret_cast<const int32_t*>(class_bytes) : nullptr, score_threshold,
        iou_threshold, kept.data());
    FUZZ_EXPECT(found <= kept.size(), "%s: %zu kept of at most %zu", set->name, found, kept.size());
    kept.resize(found);
    FUZZ_EXPECT(kept == expected, "%s: other boxes are kept, %zu instead of %zu", set->name, found,
                expected.size());
  }
}

void CheckDecoding(FuzzInput* input) {
  static GuardedMemory encoding_memory(kMaxBytes), anchor_memory(kMaxBytes);
  const DType types[] = {DType::kFloat32, DType::kUInt8, DType::kInt8};
  const int count = input->Range(0, 200);
  const int columns = input->Range(4, 9);
  const Options options = DrawOptions(input, 1);
  const int encoding_dims[] = {1, count, columns};
  const int anchor_dims[] = {count, 4};
  TensorDesc descs[2];
  for (int i = 0; i < 2; ++i) {
    descs[i].dtype = types[input->Range(0, 2)];
    descs[i].dims = i == 0 ? encoding_dims : anchor_dims;
    descs[i].rank = 3 - i;
    descs[i].num_scales = 1;
    descs[i].scale = DrawScale(input);
    descs[i].zero_point = DrawZeroPoint(input, descs[i].dtype);
  }
  const auto bytes = [](const TensorDesc& desc, int elements) {
    return static_cast<size_t>(elements) * (desc.dtype == DType::kFloat32 ? sizeof(float) : 1);
  };
  uint8_t* encodings = encoding_memory.Put(bytes(descs[0], count * columns), DrawPlace(input));
  FillTensor(input, descs[0].dtype, -4.0f, 4.0f, encodings, bytes(descs[0], count * columns));
  uint8_t* anchors = anchor_memory.Put(bytes(descs[1], count * 4), DrawPlace(input));
  FillTensor(input, descs[1].dtype, 0.0f, 1.0f, anchors, bytes(descs[1], count * 4));
  const std::vector<PlainBox> expected = PlainDecode(
      options, PlainValues(descs[0], encodings, static_cast<size_t>(count * columns)),
      static_cast<size_t>(columns), PlainValues(descs[1], anchors, static_cast<size_t>(count * 4)));
  BoxCoder coder;
  FUZZ_EXPECT(coder.Prepare(options, descs[0], descs[1]), "no memory");
  for (size_t i = 0; i < expected.size(); ++i) {
    const Box box = coder.Decode(encodings, anchors, i);
    ExpectSameBits(&box.ymin, &expected[i].ymin, 4, "decoding");
  }
}

void Run(const uint8_t* data, size_t size) {
  static const std::vector<const KernelSet*> sets = RunnableSets();
  FuzzInput input(data, size);
  if (input.OneIn(2)) {
    CheckDecoding(&input);
  } else {
    CheckNms(&input, sets);
  }
}

}  // namespace
}  // namespace fuzz
}  // namespace detops

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  detops::fuzz::Run(data, size);
  return 0;
}
