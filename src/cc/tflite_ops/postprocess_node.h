// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

#ifndef DETOPS_TFLITE_OPS_POSTPROCESS_NODE_H_
#define DETOPS_TFLITE_OPS_POSTPROCESS_NODE_H_

#include <cstddef>

#include "detops_tflite/c_abi.h"
#include "kernels/buffer.h"
#include "kernels/checks.h"
#include "kernels/faults.h"
#include "kernels/postprocessor.h"

namespace detops {

// Places among the op's inputs and outputs.
constexpr int kScoresInput = 1;
constexpr int kBoxesOutput = 0;
constexpr int kCountOutput = 3;

// Where an input of the op is read from.
struct InputSource {
  int tensor = -1;
  // Set when the value reaches the op through a claimed RESHAPE: the tensor that holds the shape
  // wanted (constant int32), of which one entry may be -1.
  int shape_tensor = -1;
  // True when a claimed DEQUANTIZE stands between the tensor and the op.
  bool dequantized = false;
};

// One TFLite_Detection_PostProcess node at work, whether the runtime calls it as an op or as a
// part of a delegate's kernel. Prepare and Invoke report their errors to the context.
class PostprocessNode {
 public:
  // Copies what it needs of the node; never fails: faults in the option block are reported by
  // Prepare, because a runtime has no way to refuse a node earlier.
  void Init(const void* options, size_t options_size);

  // Takes inputs, in the op's order, from other tensors than the node's own.
  void Bind(const TfLiteIntArray* inputs, const TfLiteIntArray* outputs);
  void SetSource(int input, const InputSource& source) { sources_[input] = source; }

  // Says that nobody sees an output, and that the runtime will give it no memory.
  void SetUnseen(int output) { unseen_[output] = true; }

  // Takes an input from an unseen output of another node, which is invoked before this one.
  void SetFeeder(int input, const PostprocessNode* node, int output) {
    feeders_[input] = {node, output};
  }

  // Refuses outputs that are inputs or constants. Prepare does it as well.
  TfLiteStatus CheckOutputsWritable(TfLiteContext* context) const;

  // Checks everything, allocates, and resizes the outputs.
  TfLiteStatus Prepare(TfLiteContext* context);

  // Does not allocate. Refused unless the last Prepare was ok.
  TfLiteStatus Invoke(TfLiteContext* context);

 private:
  struct Shape {
    int dims[8];
  };
  struct Feeder {
    const PostprocessNode* node = nullptr;
    int output = 0;
  };
  TfLiteTensor* TensorAt(TfLiteContext* context, int index) const;
  bool DescribeInputs(TfLiteContext* context, TensorDesc descs[kNumInputs],
                      Shape shapes[kNumInputs], FaultList* faults) const;
  bool Reshape(TfLiteContext* context, int shape_tensor, Shape* shape, TensorDesc* desc) const;
  void CheckOutputsApart(FaultList* faults) const;
  void CheckOutputsWritable(TfLiteContext* context, FaultList* faults) const;
  TfLiteStatus ResizeOutputs(TfLiteContext* context);
  bool FindInputs(TfLiteContext* context, const void* inputs[kNumInputs]) const;

  Options options_;
  FaultList option_faults_;
  int num_inputs_ = 0;
  int num_outputs_ = 0;
  InputSource sources_[kNumInputs];
  Feeder feeders_[kNumInputs];
  int outputs_[kNumOutputs] = {-1, -1, -1, -1};
  bool unseen_[kNumOutputs] = {};
  Buffer<float> unseen_values_;  // the outputs that nobody sees, one behind another
  size_t unseen_begin_[kNumOutputs] = {};
  size_t input_bytes_[kNumInputs] = {};
  size_t output_bytes_[kNumOutputs] = {};
  bool prepared_ = false;
  Postprocessor postprocessor_;
};

}  // namespace detops

#endif  // DETOPS_TFLITE_OPS_POSTPROCESS_NODE_H_
