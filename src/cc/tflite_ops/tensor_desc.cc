// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

#include "tflite_ops/tensor_desc.h"

#include <cstdlib>
#include <cstring>

namespace detops {
namespace {

DType DTypeOf(TfLiteType type) {
  switch (type) {
    case kTfLiteFloat32: return DType::kFloat32;
    case kTfLiteUInt8: return DType::kUInt8;
    case kTfLiteInt8: return DType::kInt8;
    default: return DType::kUnsupported;
  }
}

// By number, which the runtimes and their releases share.
constexpr const char* kTypeNames[] = {"none",    "float32", "int32",      "uint8",     "int64",
                                      "string",  "bool",    "int16",      "complex64", "int8",
                                      "float16", "float64", "complex128", "uint64",    "resource",
                                      "variant", "uint32",  "uint16",     "int4",      "bfloat16"};

const char* TypeName(TfLiteType type) {
  const auto number = static_cast<size_t>(type);
  constexpr size_t kKnown = sizeof(kTypeNames) / sizeof(kTypeNames[0]);
  return number < kKnown ? kTypeNames[number] : "of an unknown number";
}

// An array that the runtime will free. Runtimes do that with free(), but export no function for it.
TfLiteIntArray* CreateIntArray(TfLiteContext* context, int size) {
#if defined(_WIN32)
  return context->TfLiteIntArrayCreate(size);
#else
  (void)context;
  auto* array = static_cast<TfLiteIntArray*>(
      std::malloc(sizeof(TfLiteIntArray) + sizeof(int) * static_cast<size_t>(size)));
  if (array != nullptr) array->size = size;
  return array;
#endif
}

}  // namespace

TensorDesc DescribeTensor(const TfLiteTensor& tensor) {
  TensorDesc desc;
  desc.dtype = DTypeOf(tensor.type);
  desc.type_name = TypeName(tensor.type);
  if (tensor.dims != nullptr) {
    desc.dims = tensor.dims->data;
    desc.rank = tensor.dims->size;
  }
  const TfLiteQuantization& quantization = tensor.quantization;
  if (quantization.type == kTfLiteAffineQuantization && quantization.params != nullptr) {
    const auto* affine = static_cast<const TfLiteAffineQuantization*>(quantization.params);
    if (affine->scale != nullptr) desc.num_scales = affine->scale->size;
    if (desc.num_scales == 1) {
      desc.scale = affine->scale->data[0];
      const bool has_zero_point = affine->zero_point != nullptr && affine->zero_point->size > 0;
      desc.zero_point = has_zero_point ? affine->zero_point->data[0] : 0;
    }
  } else if (tensor.params.scale != 0.0f) {
    desc.num_scales = 1;
    desc.scale = tensor.params.scale;
    desc.zero_point = tensor.params.zero_point;
  }
  return desc;
}

size_t ByteSize(const TensorDesc& desc) {
  size_t bytes = desc.dtype == DType::kFloat32 ? sizeof(float) : 1;
  for (int i = 0; i < desc.rank; ++i) bytes *= static_cast<size_t>(desc.dims[i]);
  return bytes;
}

TfLiteStatus ResizeTensor(TfLiteContext* context, TfLiteTensor* tensor, const int* dims, int rank) {
  TfLiteIntArray* array = CreateIntArray(context, rank);
  if (array == nullptr) {
    context->ReportError(context, "detops: no memory for the shape of an output.");
    return kTfLiteError;
  }
  std::memcpy(array->data, dims, sizeof(int) * static_cast<size_t>(rank));
  return context->ResizeTensor(context, tensor, array);
}

}  // namespace detops
