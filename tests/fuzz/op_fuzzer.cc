// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

// The op through its registration, as a runtime calls it: any option block, number of tensors,
// type, shape, quantisation and data. Prepare and Invoke answer with a status and words, or the
// outputs hold what the contract says of every output; twice, with other shapes the second time,
// and once more with numbers that other runtimes have. What was refused does not run.
#include <cmath>

#include "fuzz/draws.h"
#include "fuzz/expect.h"
#include "fuzz/fuzz_input.h"
#include "fuzz/option_block.h"
#include "fuzz/played_tensors.h"
#include "tflite_ops/op_options.h"
#include "tflite_ops/postprocess_op.h"

namespace detops {
namespace fuzz {
namespace {

constexpr size_t kTensors = 8;
using Dims = std::vector<int>;

struct Sizes {
  int batch, anchors, box_columns, class_columns;
};

// Few anchors are quick; more fill the vectors, the sample and the queues.
Sizes DrawSizes(FuzzInput* input, int num_classes) {
  const int anchors = input->Range(0, 255);
  return {input->OneIn(8) ? input->Range(0, 3) : 1,
          anchors < 200                      ? anchors % 40
          : anchors < 250 || num_classes > 6 ? anchors
                                             : anchors * 5,
          4 + (input->OneIn(4) ? input->Range(0, 12) : 0), num_classes + input->Range(0, 1)};
}

Dims Spoil(FuzzInput* input, Dims dims) {
  const int how = input->Range(0, 31);
  if (how == 31) dims.push_back(input->Range(0, 4));
  if (how == 30 && !dims.empty()) dims.pop_back();
  if (how == 29) {
    const size_t rank = static_cast<size_t>(input->Range(0, 12));
    dims.assign(rank, input->Range(0, 3));
  }
  if (how >= 26 && how <= 28 && !dims.empty()) {
    int& dim = dims[input->Byte() % dims.size()];
    dim = how == 28 ? static_cast<int>(input->Word()) : dim + input->Range(-3, 3);
  }
  return dims;
}

TfLiteType DrawType(FuzzInput* input) {
  const int kind = input->Range(0, 31);
  if (kind == 31) return static_cast<TfLiteType>(input->Range(0, 40));
  return kind < 11 ? kTfLiteFloat32 : kind < 21 ? kTfLiteUInt8 : kTfLiteInt8;
}

PlayedQuantization DrawQuantization(FuzzInput* input, TfLiteType type) {
  PlayedQuantization drawn;
  const int kind = input->Range(0, 31);
  drawn.kind = kind >= 28 ? static_cast<PlayedQuantization::Kind>(kind % 4 + (kind == 31))
                          : PlayedQuantization::Kind::kAffine;
  const int scales = input->OneIn(32) ? input->Range(0, 3) : 1;
  for (int i = 0; i < scales; ++i) drawn.scales.push_back(DrawScale(input));
  const int zeros = input->OneIn(32) ? input->Range(0, 3) : 1;
  for (int i = 0; i < zeros; ++i) {
    const DType dtype = type == kTfLiteUInt8 ? DType::kUInt8 : DType::kInt8;
    drawn.zero_points.push_back(input->OneIn(16) ? static_cast<int>(input->Word())
                                                 : DrawZeroPoint(input, dtype));
  }
  return drawn;
}

TfLiteIntArray* DrawIndices(FuzzInput* input, const Dims& usual) {
  Dims indices = usual;
  const int how = input->Range(0, 31);
  if (how == 31) indices.resize(static_cast<size_t>(input->Range(0, 6)), 7);
  if (how == 30) indices[input->Byte() % indices.size()] = input->Range(-2, 9);
  if (how == 29) indices[input->Byte() % indices.size()] = static_cast<int>(input->Word());
  return MakeIntArray(indices);
}

class PlayedOp {
 public:
  explicit PlayedOp(FuzzInput* input) : input_(input), tensors_(kTensors) {
    node_.inputs = DrawIndices(input, {0, 1, 2});
    node_.outputs = DrawIndices(input, {3, 4, 5, 6});
    for (size_t i = 0; i < kTensors; ++i) tensors_.Describe(i, kTfLiteFloat32, {}, {});
  }
  ~PlayedOp() {
    PostprocessOp()->free(tensors_.context(), node_.user_data);
    std::free(node_.inputs);
    std::free(node_.outputs);
  }
  PlayedOp(const PlayedOp&) = delete;
  PlayedOp& operator=(const PlayedOp&) = delete;

  void Init(const std::vector<uint8_t>& block) {
    FaultList faults;
    options_ = ReadOpOptions(block.data(), block.size(), &faults);
    // What the op reads of it is gone afterwards.
    const std::vector<uint8_t> copy(block);
    node_.user_data = PostprocessOp()->init(
        tensors_.context(), reinterpret_cast<const char*>(copy.data()), copy.size());
  }

  void DescribeInputs(const Sizes& sizes) {
    const Dims shapes[] = {{sizes.batch, sizes.anchors, sizes.box_columns},
                           {sizes.batch, sizes.anchors, sizes.class_columns},
                           {sizes.anchors, 4}};
    for (size_t i = 0; i < 3; ++i) {
      // One after the other: compilers evaluate arguments in different orders.
      const TfLiteType type = DrawType(input_);
      const Dims dims = Spoil(input_, shapes[i]);
      tensors_.Describe(i, type, dims, DrawQuantization(input_, type));
    }
  }

  void FillInputs() {
    for (size_t i = 0; i < 3; ++i) {
      const size_t bytes = tensors_.Allocate(i, DrawPlace(input_));
      const DType dtype = tensors_[i].type == kTfLiteFloat32 ? DType::kFloat32 : DType::kUInt8;
      FillTensor(input_, dtype, i == 0 ? -4.0f : 0.0f, i == 0 ? 4.0f : 1.0f, tensors_[i].data.uint8,
                 bytes);
      if (input_->OneIn(32)) tensors_[i].bytes = input_->Byte();
      if (input_->OneIn(64)) tensors_[i].data.data = nullptr;
    }
  }

  // Numbers that only other runtimes have, on any tensor.
  void DrawLaterRuntime() {
    TfLiteTensor& tensor = tensors_[input_->Byte() % kTensors];
    tensor.allocation_type = static_cast<TfLiteAllocationType>(input_->Range(0, 9));
    tensor.quantization.type = static_cast<TfLiteQuantizationType>(input_->Range(0, 4));
  }

  bool Prepare() { return Answered(PostprocessOp()->prepare(tensors_.context(), &node_)); }
  bool Invoke() { return Answered(PostprocessOp()->invoke(tensors_.context(), &node_)); }

  void CheckOutputs() {
    const TfLiteTensor* outputs[4];
    for (int i = 0; i < 4; ++i) outputs[i] = &tensors_[static_cast<size_t>(node_.outputs->data[i])];
    const size_t batch = static_cast<size_t>(outputs[3]->dims->data[0]);
    const size_t slots = static_cast<size_t>(outputs[2]->dims->data[1]);
    FUZZ_EXPECT(slots == static_cast<size_t>(options_.max_detections) *
                             static_cast<size_t>(options_.max_classes_per_detection),
                "%zu slots", slots);
    for (size_t image = 0; image < batch; ++image) {
      CheckImage(outputs[0]->data.f + image * slots * 4, outputs[1]->data.f + image * slots,
                 outputs[2]->data.f + image * slots, outputs[3]->data.f[image], slots);
    }
  }

 private:
  // Any error comes with words.
  bool Answered(TfLiteStatus status) {
    const bool complained = tensors_.TakeComplaint();
    FUZZ_EXPECT(complained == (status != kTfLiteOk), "status %d, words %d", status, complained);
    return status == kTfLiteOk;
  }

  void CheckImage(const float* boxes, const float* classes, const float* scores, float count,
                  size_t slots) const {
    FUZZ_EXPECT(count >= 0 && count <= static_cast<float>(options_.max_detections), "count %g",
                static_cast<double>(count));
    const size_t per_anchor =
        options_.use_regular_nms ? 1 : static_cast<size_t>(options_.max_classes_per_detection);
    const size_t used = static_cast<size_t>(count) * per_anchor;
    FUZZ_EXPECT(used <= slots, "%zu of %zu slots", used, slots);
    for (size_t i = 0; i < used; i += per_anchor) {
      FUZZ_EXPECT(scores[i] >= options_.nms_score_threshold, "score %g",
                  static_cast<double>(scores[i]));
      FUZZ_EXPECT(i == 0 || scores[i] <= scores[i - per_anchor], "a score increases at %zu", i);
      FUZZ_EXPECT(classes[i] >= 0 && classes[i] < static_cast<float>(options_.num_classes),
                  "class %g", static_cast<double>(classes[i]));
      FUZZ_EXPECT(!(boxes[4 * i] > boxes[4 * i + 2]) && !(boxes[4 * i + 1] > boxes[4 * i + 3]),
                  "a box of negative size");
    }
    for (size_t i = used; i < slots; ++i) {
      FUZZ_EXPECT(scores[i] == 0 && classes[i] == 0, "slot %zu past %zu is not zero", i, used);
      for (size_t j = 0; j < 4; ++j) FUZZ_EXPECT(boxes[4 * i + j] == 0, "box %zu is not zero", i);
    }
  }

  FuzzInput* input_;
  PlayedTensors tensors_;
  TfLiteNode node_ = {};
  Options options_;
};

void Run(const uint8_t* data, size_t size) {
  FuzzInput input(data, size);
  const int num_classes = input.OneIn(4) ? input.Range(1, 150) : input.Range(1, 6);
  std::vector<uint8_t> block = OptionBlock(DrawOptions(&input, num_classes));
  const int spoilt = input.Range(0, 31);
  if (spoilt == 31) block = input.Bytes(input.Byte());
  for (int i = 28; i <= spoilt && !block.empty(); ++i) {
    block[input.Byte() % block.size()] = input.Byte();
  }
  PlayedOp op(&input);
  op.Init(block);
  for (int round = 0; round < 2; ++round) {
    op.DescribeInputs(DrawSizes(&input, num_classes));
    if (!op.Prepare()) {
      FUZZ_EXPECT(!op.Invoke(), "it ran without having been prepared");
      continue;
    }
    for (int frame = 0; frame < 2; ++frame) {
      op.FillInputs();
      if (op.Invoke()) op.CheckOutputs();
    }
    if (input.left() == 0) return;
  }
  op.DrawLaterRuntime();
  if (op.Prepare()) {
    op.FillInputs();
    if (op.Invoke()) op.CheckOutputs();
  }
}

}  // namespace
}  // namespace fuzz
}  // namespace detops

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  detops::fuzz::Run(data, size);
  return 0;
}
