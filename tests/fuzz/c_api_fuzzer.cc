// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

// The public C interface with any values, and in any order where there is one: a status with words,
// or a result that holds what the header says. Buffers have the sizes of their shapes, which is the
// caller's promise.
#include <algorithm>
#include <cstring>
#include <vector>

#include "detops/detops.h"
#include "fuzz/draws.h"
#include "fuzz/expect.h"
#include "fuzz/fuzz_input.h"
#include "fuzz/litert_check.h"

namespace detops {
namespace fuzz {
namespace {

constexpr size_t kMaxBytes = 1 << 16;
constexpr int64_t kMaxElements = 1 << 13;

int32_t DrawInt(FuzzInput* input) {
  return input->OneIn(8) ? static_cast<int32_t>(input->Word()) : input->Range(-1, 12);
}

detops_type DrawType(FuzzInput* input) {
  const detops_type types[] = {DETOPS_FLOAT32, DETOPS_UINT8, DETOPS_INT8};
  return input->OneIn(16) ? static_cast<detops_type>(input->Byte() % 32)
                          : types[input->Range(0, 2)];
}

detops_tensor DrawTensor(FuzzInput* input, int rank) {
  detops_tensor tensor = {};
  tensor.type = DrawType(input);
  tensor.rank = input->OneIn(16) ? DrawInt(input) : rank;
  for (int32_t& dim : tensor.dims) dim = DrawInt(input);
  tensor.scale = input->OneIn(2) ? DrawScale(input) : input->Float();
  tensor.zero_point =
      DrawZeroPoint(input, tensor.type == DETOPS_UINT8 ? DType::kUInt8 : DType::kInt8);
  return tensor;
}

// Elements of a tensor whose rank is possible; none where a size is negative.
int64_t Elements(const detops_tensor& tensor) {
  int64_t count = 1;
  for (int i = 0; i < tensor.rank; ++i) {
    count = std::min(count * std::max(tensor.dims[i], 0), kMaxElements + 1);
  }
  return count;
}

const uint8_t* Fill(FuzzInput* input, const detops_tensor& tensor, GuardedMemory* memory) {
  const bool is_float = tensor.type == DETOPS_FLOAT32;
  const size_t bytes = static_cast<size_t>(Elements(tensor)) * (is_float ? sizeof(float) : 1);
  uint8_t* data = memory->Put(bytes, DrawPlace(input));
  FillTensor(input, is_float ? DType::kFloat32 : DType::kUInt8, 0.0f, 1.0f, data, bytes);
  return data;
}

void CheckStatus(detops_status status, const char* message) {
  const bool told = message[0] != '\0';
  FUZZ_EXPECT(told == (status != DETOPS_OK), "status %d with \"%s\"", status, message);
  FUZZ_EXPECT(std::strlen(message) < DETOPS_MESSAGE_BYTES, "no end of the message");
}

struct Buffers {
  GuardedMemory boxes{kMaxBytes}, scores{kMaxBytes}, anchors{kMaxBytes};
};

Buffers& AllBuffers() {
  static Buffers buffers;
  return buffers;
}

// In fast mode a box may have more classes than one, of which only the best reaches the threshold.
void CheckOutputs(const detops_postprocessor* postprocessor, const detops_options& options,
                  const std::vector<float>& scores, const std::vector<float>& counts) {
  const bool all_reach = options.use_regular_nms || options.max_classes_per_detection == 1;
  const float threshold = options.nms_score_threshold;
  const int slots = detops_postprocessor_slots(postprocessor);
  for (size_t image = 0; image < counts.size(); ++image) {
    const float count = counts[image];
    FUZZ_EXPECT(count >= 0 && count <= static_cast<float>(slots), "%g detections",
                static_cast<double>(count));
    for (int i = 0; i < slots; ++i) {
      const float score = scores[image * static_cast<size_t>(slots) + static_cast<size_t>(i)];
      // A NaN is not one that does.
      FUZZ_EXPECT(!all_reach || static_cast<float>(i) >= count || score >= threshold,
                  "slot %d below the threshold", i);
    }
  }
}

void CheckPostprocessor(FuzzInput* input) {
  detops_options options;
  detops_options_init(&options);
  options.num_classes = DrawInt(input);
  options.max_detections = DrawInt(input);
  options.max_classes_per_detection = input->OneIn(4) ? DrawInt(input) : 1;
  options.detections_per_class = input->OneIn(4) ? DrawInt(input) : 100;
  options.use_regular_nms = input->OneIn(2);
  options.nms_score_threshold = input->Float();
  if (input->OneIn(4)) options.nms_iou_threshold = input->Float();
  if (input->OneIn(4)) options.h_scale = input->Float();
  detops_tensor boxes = DrawTensor(input, 3), scores = DrawTensor(input, 3);
  detops_tensor anchors = DrawTensor(input, 2);
  if (!input->OneIn(8)) {
    // Shapes that belong together, which no fuzzer finds by itself.
    boxes.dims[0] = scores.dims[0] = input->Range(0, 3);
    boxes.dims[1] = scores.dims[1] = anchors.dims[0] = input->Range(0, 60);
    boxes.dims[2] = anchors.dims[1] = 4;
    options.num_classes = input->Range(1, 9);
    scores.dims[2] = options.num_classes + input->Range(0, 1);
  }
  char message[DETOPS_MESSAGE_BYTES];
  detops_postprocessor* made = nullptr;
  const detops_status status = detops_postprocessor_create(&options, &boxes, &scores, &anchors,
                                                           &made, message, sizeof(message));
  CheckStatus(status, message);
  FUZZ_EXPECT((made != nullptr) == (status == DETOPS_OK), "a handle with status %d", status);
  if (made == nullptr) return;
  const int64_t slots = detops_postprocessor_slots(made);
  const int64_t images = detops_postprocessor_batch(made);
  const int64_t elements = std::max({Elements(boxes), Elements(scores), Elements(anchors)});
  if (elements <= kMaxElements && images <= 16 && slots * images <= kMaxElements) {
    Buffers& memory = AllBuffers();
    const size_t all = static_cast<size_t>(slots * images);
    std::vector<float> found_boxes(all * 4), classes(all), found_scores(all);
    std::vector<float> counts(static_cast<size_t>(images));
    const uint8_t* in[3] = {Fill(input, boxes, &memory.boxes), Fill(input, scores, &memory.scores),
                            Fill(input, anchors, &memory.anchors)};
    CheckStatus(
        detops_postprocessor_run(made, in[0], in[1], in[2], found_boxes.data(), classes.data(),
                                 found_scores.data(), counts.data(), message, sizeof(message)),
        message);
    CheckOutputs(made, options, found_scores, counts);
  }
  detops_postprocessor_destroy(made);
}

void CheckNms(FuzzInput* input) {
  const int32_t count = input->Range(-1, 60);
  const size_t rows = count > 0 ? static_cast<size_t>(count) : 0;
  std::vector<float> boxes(rows * 4), scores(rows);
  for (float& value : boxes) value = input->Float();
  for (float& value : scores) value = input->Float();
  std::vector<int32_t> classes(rows);
  for (int32_t& value : classes) value = input->Range(-1, 5);
  const int32_t num_classes = DrawInt(input), limit = DrawInt(input);
  const bool with_classes = input->OneIn(2) && num_classes < (1 << 20);
  const float score_threshold = input->Float(), iou_threshold = input->Float();
  std::vector<int64_t> kept(std::min(rows, static_cast<size_t>(std::max(limit, 0))));
  int32_t found = -7;
  char message[DETOPS_MESSAGE_BYTES];
  const detops_status status = detops_nms(
      boxes.data(), scores.data(), with_classes ? classes.data() : nullptr, count, num_classes,
      score_threshold, iou_threshold, limit, kept.data(), &found, message, sizeof(message));
  CheckStatus(status, message);
  FUZZ_EXPECT(
      status == DETOPS_OK ? found >= 0 && static_cast<size_t>(found) <= kept.size() : found == -7,
      "status %d, %d kept", status, found);
  for (int32_t i = 0; status == DETOPS_OK && i < found; ++i) {
    const int64_t index = kept[static_cast<size_t>(i)];
    FUZZ_EXPECT(index >= 0 && index < count, "index %lld", static_cast<long long>(index));
  }
}

void CheckDecoding(FuzzInput* input) {
  detops_tensor encodings = DrawTensor(input, 3), anchors = DrawTensor(input, 2);
  if (!input->OneIn(8)) {
    encodings.dims[0] = input->Range(0, 3);
    encodings.dims[1] = anchors.dims[0] = input->Range(0, 60);
    encodings.dims[2] = input->Range(4, 7);
    anchors.dims[1] = 4;
  }
  const Options options = DrawOptions(input, 1);
  const float scales[4] = {options.y_scale, options.x_scale, options.h_scale, options.w_scale};
  char message[DETOPS_MESSAGE_BYTES];
  const bool shapes =
      encodings.rank == 3 && anchors.rank == 2 && Elements(encodings) > 0 && Elements(anchors) > 0;
  if (!shapes || std::max(Elements(encodings), Elements(anchors)) > kMaxElements) {
    // Refused, without boxes, or larger than what is to be had here: then it asks for the buffers.
    CheckStatus(detops_decode_boxes(&encodings, nullptr, &anchors, nullptr, scales, nullptr,
                                    message, sizeof(message)),
                message);
    return;
  }
  Buffers& memory = AllBuffers();
  const uint8_t* encoding_values = Fill(input, encodings, &memory.boxes);
  const uint8_t* anchor_values = Fill(input, anchors, &memory.anchors);
  // Four numbers of each row, which has four or more where the shape is accepted.
  std::vector<float> boxes(static_cast<size_t>(Elements(encodings)));
  CheckStatus(detops_decode_boxes(&encodings, encoding_values, &anchors, anchor_values, scales,
                                  boxes.data(), message, sizeof(message)),
              message);
}

void CheckOptionBlock(FuzzInput* input) {
  const std::vector<uint8_t> block = input->Bytes(input->left());
  detops_options options;
  char message[DETOPS_MESSAGE_BYTES];
  CheckStatus(detops_options_parse(block.data(), block.size(), &options, message, sizeof(message)),
              message);
}

}  // namespace
}  // namespace fuzz
}  // namespace detops

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  detops::fuzz::FuzzInput input(data, size);
  switch (input.Byte() % 8) {
    case 0: detops::fuzz::CheckNms(&input); break;
    case 1: detops::fuzz::CheckOptionBlock(&input); break;
    case 4: detops::fuzz::CheckDecoding(&input); break;
    case 5: detops::fuzz::CheckLiteRtKernel(&input); break;
    default: detops::fuzz::CheckPostprocessor(&input);
  }
  return 0;
}
