// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

#include "tflite_ops/postprocess_node.h"

#include <algorithm>

#include "tflite_ops/op_options.h"
#include "tflite_ops/tensor_desc.h"

namespace detops {
namespace {

TfLiteStatus Report(TfLiteContext* context, const FaultList& faults) {
  for (int i = 0; i < faults.size(); ++i) {
    context->ReportError(context, "TFLite_Detection_PostProcess: %s. ", faults.message(i));
  }
  return kTfLiteError;
}

// How stock turns an 8-bit input of the op into floats. Its op reads uint8 scores with a loop over
// blocks, and so does XNNPACK with the int8 constants before which it finds a DEQUANTIZE.
Dequantization StockDequantization(int input, bool dequantized, const TfLiteTensor& tensor) {
  const bool op_reads_scores = !dequantized && input == kScoresInput && tensor.type == kTfLiteUInt8;
  const bool int8_constant =
      dequantized && tensor.type == kTfLiteInt8 && tensor.allocation_type == kTfLiteMmapRo;
  return op_reads_scores || int8_constant ? Dequantization::kBlocksOfEight
                                          : Dequantization::kSubtractFirst;
}

}  // namespace

void PostprocessNode::Init(const void* options, size_t options_size) {
  option_faults_.Clear();
  options_ = ReadOpOptions(options, options_size, &option_faults_);
}

void PostprocessNode::Bind(const TfLiteIntArray* inputs, const TfLiteIntArray* outputs) {
  num_inputs_ = inputs->size;
  num_outputs_ = outputs->size;
  for (int i = 0; i < std::min(num_inputs_, kNumInputs); ++i) {
    sources_[i] = InputSource();
    sources_[i].tensor = inputs->data[i];
  }
  for (int i = 0; i < std::min(num_outputs_, kNumOutputs); ++i) outputs_[i] = outputs->data[i];
}

TfLiteTensor* PostprocessNode::TensorAt(TfLiteContext* context, int index) const {
  if (index < 0 || static_cast<size_t>(index) >= context->tensors_size) return nullptr;
  return &context->tensors[index];
}

// Gives desc the shape of a RESHAPE that only changes the view. False when it would do more.
bool PostprocessNode::Reshape(TfLiteContext* context, int shape_tensor, Shape* shape,
                              TensorDesc* desc) const {
  const TfLiteTensor* wanted = TensorAt(context, shape_tensor);
  if (wanted == nullptr || wanted->data.data == nullptr) return false;
  const size_t rank = wanted->bytes / sizeof(int32_t);
  if (rank > sizeof(shape->dims) / sizeof(int)) return false;
  int64_t elements = 1;
  for (int i = 0; i < desc->rank; ++i) {
    elements *= desc->dims[i];
    if (desc->dims[i] < 0 || elements > INT32_MAX) return false;
  }
  int64_t known = 1;
  int inferred = -1;
  for (size_t i = 0; i < rank; ++i) {
    shape->dims[i] = Load<int32_t>(wanted->data.data, i);
    if (shape->dims[i] == -1 && inferred < 0) {
      inferred = static_cast<int>(i);
    } else if (shape->dims[i] < 0) {
      return false;
    } else {
      known *= shape->dims[i];
      if (known > INT32_MAX) return false;
    }
  }
  if (inferred >= 0 && known > 0) {
    shape->dims[inferred] = static_cast<int>(elements / known);
    known *= shape->dims[inferred];
  }
  desc->dims = shape->dims;
  desc->rank = static_cast<int>(rank);
  return known == elements;
}

bool PostprocessNode::DescribeInputs(TfLiteContext* context, TensorDesc descs[kNumInputs],
                                     Shape shapes[kNumInputs], FaultList* faults) const {
  for (int i = 0; i < kNumInputs; ++i) {
    const InputSource& source = sources_[i];
    const TfLiteTensor* tensor = TensorAt(context, source.tensor);
    if (tensor == nullptr) {
      faults->Add(Fault::kInputCount, "input %d (%s) is missing", i, kInputNames[i]);
      continue;
    }
    descs[i] = DescribeTensor(*tensor);
    descs[i].dequantization = StockDequantization(i, source.dequantized, *tensor);
    if (source.shape_tensor >= 0 && !Reshape(context, source.shape_tensor, &shapes[i], &descs[i])) {
      faults->Add(Fault::kShape, "the RESHAPE before %s does not fit its input", kInputNames[i]);
    }
  }
  return faults->empty();
}

TfLiteStatus PostprocessNode::ResizeOutputs(TfLiteContext* context) {
  const ProblemShape& shape = postprocessor_.shape();
  const size_t images = static_cast<size_t>(shape.batch);
  const size_t boxes = images * static_cast<size_t>(shape.slots);
  const size_t floats[kNumOutputs] = {4 * boxes, boxes, boxes, images};
  size_t unseen = 0;
  for (int i = 0; i < kNumOutputs; ++i) {
    output_bytes_[i] = sizeof(float) * floats[i];
    unseen_begin_[i] = unseen;
    if (unseen_[i]) unseen += floats[i];
  }
  if (unseen > 0 && !unseen_values_.Allocate(unseen)) {
    context->ReportError(context, "TFLite_Detection_PostProcess: no memory for %d slots. ",
                         shape.slots);
    return kTfLiteError;
  }
  std::fill(unseen_values_.begin(), unseen_values_.end(), 0.0f);
  const int dims[3] = {shape.batch, shape.slots, 4};
  const int ranks[kNumOutputs] = {3, 2, 2, 1};
  for (int i = 0; i < kNumOutputs; ++i) {
    TfLiteTensor* tensor = TensorAt(context, outputs_[i]);
    tensor->type = kTfLiteFloat32;
    const TfLiteStatus status = ResizeTensor(context, tensor, dims, ranks[i]);
    if (status != kTfLiteOk) return status;
  }
  return kTfLiteOk;
}

// A tensor that stands for two outputs has the size of one of them, and the larger one would be
// written past its end.
void PostprocessNode::CheckOutputsApart(FaultList* faults) const {
  for (int i = 0; i < kNumOutputs; ++i) {
    for (int j = 0; j < i; ++j) {
      if (outputs_[i] != outputs_[j]) continue;
      faults->Add(Fault::kOutputCount, "outputs %d and %d are one tensor, %d, expected two", j, i,
                  outputs_[i]);
    }
  }
}

void PostprocessNode::CheckOutputsWritable(TfLiteContext* context, FaultList* faults) const {
  for (int i = 0; i < std::min(num_outputs_, kNumOutputs); ++i) {
    const TfLiteTensor* tensor = TensorAt(context, outputs_[i]);
    if (tensor == nullptr) continue;
    if (tensor->allocation_type == kTfLiteMmapRo) {
      faults->Add(Fault::kOutputCount, "output %d is tensor %d, a constant, expected another", i,
                  outputs_[i]);
    }
    for (int j = 0; j < kNumInputs; ++j) {
      if (outputs_[i] != sources_[j].tensor) continue;
      faults->Add(Fault::kOutputCount, "output %d is the tensor of %s, %d, expected another", i,
                  kInputNames[j], outputs_[i]);
    }
  }
}

TfLiteStatus PostprocessNode::CheckOutputsWritable(TfLiteContext* context) const {
  FaultList faults;
  CheckOutputsWritable(context, &faults);
  return faults.empty() ? kTfLiteOk : Report(context, faults);
}

TfLiteStatus PostprocessNode::Prepare(TfLiteContext* context) {
  prepared_ = false;
  if (!option_faults_.empty()) return Report(context, option_faults_);
  FaultList faults;
  CheckCounts(num_inputs_, num_outputs_, &faults);
  for (int i = 0; i < std::min(num_outputs_, kNumOutputs); ++i) {
    if (TensorAt(context, outputs_[i]) == nullptr) {
      faults.Add(Fault::kOutputCount, "output %d is missing", i);
    }
  }
  if (!faults.empty()) return Report(context, faults);
  CheckOutputsApart(&faults);
  CheckOutputsWritable(context, &faults);
  if (!faults.empty()) return Report(context, faults);

  TensorDesc descs[kNumInputs];
  Shape shapes[kNumInputs];
  if (!DescribeInputs(context, descs, shapes, &faults) ||
      !postprocessor_.Prepare(options_, descs[0], descs[1], descs[2], &faults)) {
    return Report(context, faults);
  }
  for (int i = 0; i < kNumInputs; ++i) input_bytes_[i] = ByteSize(descs[i]);
  const TfLiteStatus status = ResizeOutputs(context);
  prepared_ = status == kTfLiteOk;
  return status;
}

// The tensor of an input that another node of the kernel feeds has no memory, and may still point
// to what it had before.
bool PostprocessNode::FindInputs(TfLiteContext* context, const void* inputs[kNumInputs]) const {
  for (int i = 0; i < kNumInputs; ++i) {
    const TfLiteTensor& tensor = context->tensors[sources_[i].tensor];
    const Feeder& feeder = feeders_[i];
    inputs[i] = tensor.data.data;
    size_t bytes = tensor.bytes;
    if (feeder.node != nullptr) {
      const Buffer<float>& values = feeder.node->unseen_values_;
      inputs[i] = feeder.node->prepared_ ? values.data() + feeder.node->unseen_begin_[feeder.output]
                                         : nullptr;
      bytes = feeder.node->output_bytes_[feeder.output];
    }
    if (input_bytes_[i] > 0 && (inputs[i] == nullptr || bytes < input_bytes_[i])) {
      context->ReportError(context, "TFLite_Detection_PostProcess: %s holds %d bytes, expected %d.",
                           kInputNames[i], inputs[i] == nullptr ? 0 : static_cast<int>(bytes),
                           static_cast<int>(input_bytes_[i]));
      return false;
    }
  }
  return true;
}

TfLiteStatus PostprocessNode::Invoke(TfLiteContext* context) {
  if (!prepared_) {
    context->ReportError(context, "TFLite_Detection_PostProcess: it is not prepared.");
    return kTfLiteError;
  }
  const void* inputs[kNumInputs];
  if (!FindInputs(context, inputs)) return kTfLiteError;
  float* outputs[kNumOutputs];
  for (int i = 0; i < kNumOutputs; ++i) {
    const TfLiteTensor& tensor = context->tensors[outputs_[i]];
    outputs[i] = unseen_[i] ? unseen_values_.data() + unseen_begin_[i] : tensor.data.f;
    if (unseen_[i] || output_bytes_[i] == 0) continue;
    // Another node may have given the tensor another size since.
    if (outputs[i] == nullptr || tensor.bytes < output_bytes_[i]) {
      context->ReportError(context,
                           "TFLite_Detection_PostProcess: output %d holds %d bytes, expected %d.",
                           i, outputs[i] == nullptr ? 0 : static_cast<int>(tensor.bytes),
                           static_cast<int>(output_bytes_[i]));
      return kTfLiteError;
    }
  }
  postprocessor_.Run(inputs[0], inputs[1], inputs[2],
                     {outputs[0], outputs[1], outputs[2], outputs[3]});
  return kTfLiteOk;
}

}  // namespace detops
