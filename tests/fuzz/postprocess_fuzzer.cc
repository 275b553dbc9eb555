// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

// The whole post-processing at every instruction set against the plain one, bit for bit: any types,
// quantisation, options, data and alignment that the checks accept. Each object works on two
// problems in turn.
#include <cstdlib>
#include <memory>

#include "fuzz/draws.h"
#include "fuzz/expect.h"
#include "fuzz/fuzz_input.h"
#include "fuzz/plain_postprocess.h"
#include "fuzz/runnable_sets.h"
#include "fuzz/same_bits.h"
#include "kernels/postprocessor.h"

namespace detops {
namespace fuzz {
namespace {

constexpr size_t kMaxBytes = 1 << 20;

struct DrawnTensor {
  TensorDesc desc;
  int dims[3];
  size_t elements = 1;  // of all images
  const uint8_t* data = nullptr;

  size_t bytes() const { return elements * (desc.dtype == DType::kFloat32 ? sizeof(float) : 1); }
};

void Describe(FuzzInput* input, const std::vector<int>& dims, DrawnTensor* tensor) {
  const DType types[] = {DType::kFloat32, DType::kUInt8, DType::kInt8};
  tensor->desc.dtype = types[input->Range(0, 2)];
  for (size_t i = 0; i < dims.size(); ++i) {
    tensor->dims[i] = dims[i];
    tensor->elements *= static_cast<size_t>(dims[i]);
  }
  tensor->desc.dims = tensor->dims;
  tensor->desc.rank = static_cast<int>(dims.size());
  if (!IsQuantized(tensor->desc.dtype)) return;
  tensor->desc.num_scales = 1;
  tensor->desc.scale = DrawScale(input);
  tensor->desc.zero_point =
      input->OneIn(16) ? static_cast<int>(input->Word()) : DrawZeroPoint(input, tensor->desc.dtype);
  // Stock rounds box encodings in one way only.
  if (dims.size() == 2 || input->OneIn(2)) {
    tensor->desc.dequantization =
        input->OneIn(2) ? Dequantization::kBlocksOfEight : Dequantization::kSubtractFirst;
  }
}

struct Drawn {
  Options options;
  int batch, anchors, columns, class_columns;
  DrawnTensor boxes, scores, anchor_values;
};

void Draw(FuzzInput* input, Drawn* drawn) {
  const int classes = input->OneIn(4) ? input->Range(1, 150) : input->Range(1, 6);
  drawn->options = DrawOptions(input, classes);
  drawn->batch = input->OneIn(8) ? 2 : 1;
  const int anchors = input->Range(0, 255);
  drawn->anchors = anchors < 200 ? anchors % 60 : anchors == 255 ? 1917 : anchors * 2;
  if (classes > 6) drawn->anchors %= 300;
  drawn->columns = input->OneIn(4) ? input->Range(4, 16) : 4;
  drawn->class_columns = classes + input->Range(0, 1);
  Describe(input, {drawn->batch, drawn->anchors, drawn->columns}, &drawn->boxes);
  Describe(input, {drawn->batch, drawn->anchors, drawn->class_columns}, &drawn->scores);
  Describe(input, {drawn->anchors, 4}, &drawn->anchor_values);
  drawn->boxes.desc.dequantization = Dequantization::kSubtractFirst;

  static GuardedMemory memory[3] = {GuardedMemory(kMaxBytes), GuardedMemory(kMaxBytes),
                                    GuardedMemory(kMaxBytes)};
  DrawnTensor* tensors[] = {&drawn->boxes, &drawn->scores, &drawn->anchor_values};
  for (int i = 0; i < 3; ++i) {
    uint8_t* data = memory[i].Put(tensors[i]->bytes(), DrawPlace(input));
    FillTensor(input, tensors[i]->desc.dtype, i == 0 ? -4.0f : 0.0f, i == 0 ? 4.0f : 1.0f, data,
               tensors[i]->bytes());
    tensors[i]->data = data;
  }
}

// A threshold that is one of the scores, whose roundings differ in the last bit; and more
// detections than there are anchors.
void Sharpen(FuzzInput* input, Drawn* drawn) {
  if (input->OneIn(4) && drawn->scores.elements > 0) {
    const DrawnTensor& scores = drawn->scores;
    const size_t image = scores.elements / static_cast<size_t>(drawn->batch);
    const size_t which = input->Word() % image;
    drawn->options.nms_score_threshold = PlainValues(scores.desc, scores.data, image)[which];
  }
  if (input->OneIn(8)) drawn->options.max_detections = static_cast<int>(input->Word() % 3000);
}

// The plain answer for one image of the batch.
PlainDetections Expected(const Drawn& drawn, size_t image) {
  const auto values = [image](const DrawnTensor& tensor, size_t count) {
    const size_t step = tensor.desc.dtype == DType::kFloat32 ? sizeof(float) : 1;
    return PlainValues(tensor.desc, tensor.data + image * count * step, count);
  };
  const size_t anchors = static_cast<size_t>(drawn.anchors);
  const size_t columns = static_cast<size_t>(drawn.columns);
  const size_t class_columns = static_cast<size_t>(drawn.class_columns);
  const std::vector<float> anchor_values =
      PlainValues(drawn.anchor_values.desc, drawn.anchor_values.data, anchors * 4);
  const std::vector<PlainBox> boxes =
      PlainDecode(drawn.options, values(drawn.boxes, anchors * columns), columns, anchor_values);
  return PlainPostprocess(drawn.options, boxes, values(drawn.scores, anchors * class_columns),
                          class_columns);
}

void Compare(const Drawn& drawn, const KernelSet& set, const std::vector<PlainDetections>& expected,
             Postprocessor* prepared) {
  setenv("DETOPS_ISA", set.name, 1);
  Postprocessor& postprocessor = *prepared;
  FaultList faults;
  if (!postprocessor.Prepare(drawn.options, drawn.boxes.desc, drawn.scores.desc,
                             drawn.anchor_values.desc, &faults)) {
    FUZZ_EXPECT(!faults.empty(), "refused without a word");
    return;
  }
  const size_t slots = static_cast<size_t>(postprocessor.shape().slots);
  const size_t batch = static_cast<size_t>(drawn.batch);
  std::vector<float> boxes(batch * slots * 4, 7), classes(batch * slots, 7);
  std::vector<float> scores(batch * slots, 7), counts(batch, 7);
  for (int frame = 0; frame < 2; ++frame) {
    postprocessor.Run(drawn.boxes.data, drawn.scores.data, drawn.anchor_values.data,
                      {boxes.data(), classes.data(), scores.data(), counts.data()});
    for (size_t image = 0; image < batch; ++image) {
      const PlainDetections& want = expected[image];
      FUZZ_EXPECT(counts[image] == static_cast<float>(want.count), "%s: %g detections, expected %d",
                  set.name, static_cast<double>(counts[image]), want.count);
      ExpectSameBits(scores.data() + image * slots, want.scores.data(), slots, set.name);
      ExpectSameBits(classes.data() + image * slots, want.classes.data(), slots, set.name);
      ExpectSameBits(boxes.data() + image * slots * 4, want.boxes.data(), slots * 4, set.name);
    }
  }
}

void Run(const uint8_t* data, size_t size) {
  FuzzInput input(data, size);
  static const std::vector<const KernelSet*> sets = RunnableSets();
  std::vector<std::unique_ptr<Postprocessor>> postprocessors(sets.size());
  for (auto& postprocessor : postprocessors) postprocessor.reset(new Postprocessor);
  // The second problem finds what the first one left.
  for (int round = 0; round < 2; ++round) {
    Drawn drawn;
    Draw(&input, &drawn);
    Sharpen(&input, &drawn);
    std::vector<PlainDetections> expected;
    for (int i = 0; i < drawn.batch; ++i) {
      expected.push_back(Expected(drawn, static_cast<size_t>(i)));
    }
    for (size_t s = 0; s < sets.size(); ++s) {
      Compare(drawn, *sets[s], expected, postprocessors[s].get());
    }
    if (input.left() == 0) return;
  }
}

}  // namespace
}  // namespace fuzz
}  // namespace detops

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  detops::fuzz::Run(data, size);
  return 0;
}
