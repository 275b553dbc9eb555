// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

#include "tflite_ops/input_trace.h"

#include <algorithm>
#include <cstring>

#include "tflite_ops/postprocess_op.h"
#include "tflite_ops/tensor_desc.h"

namespace detops {
namespace {

const TfLiteTensor* TensorAt(const TfLiteContext* context, int index) {
  const bool valid = index >= 0 && static_cast<size_t>(index) < context->tensors_size;
  return valid ? &context->tensors[index] : nullptr;
}

// The node of the set that writes tensor, when it is the builtin op asked for with one output.
const TfLiteNode* BuiltinBefore(TfLiteContext* context, const Producers& producers, int tensor,
                                int builtin_code, int num_inputs) {
  const int index = producers.Of(tensor);
  TfLiteNode* node;
  TfLiteRegistration* registration;
  if (index < 0 ||
      context->GetNodeAndRegistration(context, index, &node, &registration) != kTfLiteOk) {
    return nullptr;
  }
  const bool is_it = registration->builtin_code == builtin_code &&
                     node->inputs->size == num_inputs && node->outputs->size == 1;
  return is_it ? node : nullptr;
}

// A tensor quantised per channel, of another type, or missing is left to the runtime's DEQUANTIZE.
bool IsDequantizable(const TfLiteTensor* tensor) {
  if (tensor == nullptr) return false;
  const TensorDesc desc = DescribeTensor(*tensor);
  return IsQuantized(desc.dtype) && desc.num_scales <= 1;
}

bool IsConstantShape(const TfLiteTensor* tensor) {
  return tensor != nullptr && tensor->type == kTfLiteInt32 &&
         tensor->allocation_type == kTfLiteMmapRo && tensor->data.data != nullptr &&
         tensor->dims != nullptr && tensor->dims->size == 1;
}

}  // namespace

bool IsPostprocess(const TfLiteRegistration& registration) {
  return registration.builtin_code == kTfLiteBuiltinCustom && registration.custom_name != nullptr &&
         std::strcmp(registration.custom_name, kPostprocessOpName) == 0;
}

bool Producers::Build(TfLiteContext* context, const int* nodes, int num_nodes) {
  if (!node_of_.Allocate(context->tensors_size)) return false;
  std::fill(node_of_.begin(), node_of_.end(), -1);
  for (int i = 0; i < num_nodes; ++i) {
    TfLiteNode* node;
    TfLiteRegistration* registration;
    if (context->GetNodeAndRegistration(context, nodes[i], &node, &registration) != kTfLiteOk) {
      return false;
    }
    for (int j = 0; j < node->outputs->size; ++j) {
      const int tensor = node->outputs->data[j];
      if (TensorAt(context, tensor) != nullptr) node_of_[tensor] = nodes[i];
    }
  }
  return true;
}

InputTrace TraceInput(TfLiteContext* context, const Producers& producers, int tensor) {
  InputTrace untraced;
  untraced.source.tensor = tensor;

  InputTrace trace = untraced;
  int dequantized = tensor;
  const TfLiteNode* reshape = BuiltinBefore(context, producers, tensor, kTfLiteBuiltinReshape, 2);
  if (reshape != nullptr) {
    trace.source.shape_tensor = reshape->inputs->data[1];
    if (!IsConstantShape(TensorAt(context, trace.source.shape_tensor))) return untraced;
    dequantized = reshape->inputs->data[0];
  }
  const TfLiteNode* dequantize =
      BuiltinBefore(context, producers, dequantized, kTfLiteBuiltinDequantize, 1);
  if (dequantize == nullptr) return untraced;
  trace.source.tensor = dequantize->inputs->data[0];
  trace.source.dequantized = true;
  if (!IsDequantizable(TensorAt(context, trace.source.tensor))) return untraced;

  trace.nodes[trace.num_nodes] = producers.Of(dequantized);
  trace.tensors[trace.num_nodes++] = dequantized;
  if (reshape != nullptr) {
    trace.nodes[trace.num_nodes] = producers.Of(tensor);
    trace.tensors[trace.num_nodes++] = tensor;
  }
  return trace;
}

}  // namespace detops
