// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

#include "fuzz/played_tensors.h"

#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "fuzz/expect.h"

namespace detops {
namespace fuzz {
namespace {

// The memory of the i-th tensor. Mapped once: mapping pages for every run is what would take time.
GuardedMemory& MemoryOf(size_t i) {
  static std::vector<std::unique_ptr<GuardedMemory>> memory;
  while (memory.size() <= i) {
    memory.push_back(
        std::unique_ptr<GuardedMemory>(new GuardedMemory(PlayedTensors::kTensorBytes + 4096)));
  }
  return *memory[i];
}

TfLiteFloatArray* MakeFloatArray(const std::vector<float>& values) {
  auto* array = static_cast<TfLiteFloatArray*>(
      std::malloc(sizeof(TfLiteFloatArray) + values.size() * sizeof(float)));
  array->size = static_cast<int>(values.size());
  if (!values.empty()) std::memcpy(array->data, values.data(), values.size() * sizeof(float));
  return array;
}

size_t ElementBytes(TfLiteType type) {
  switch (type) {
    case kTfLiteFloat32:
    case kTfLiteInt32: return 4;
    case kTfLiteInt64:
    case kTfLiteFloat64:
    case kTfLiteComplex64: return 8;
    case kTfLiteInt16:
    case kTfLiteFloat16: return 2;
    default: return 1;
  }
}

// What a tensor gets whose shape is larger than any memory: less than it asks for.
constexpr size_t kTooLarge = 64;

// Bytes of a shape, kTensorBytes + 1 for any larger one and 0 for one with a negative size.
size_t BytesOf(TfLiteType type, const TfLiteIntArray& dims) {
  size_t bytes = ElementBytes(type);
  bool too_large = false;
  for (int i = 0; i < dims.size; ++i) {
    if (dims.data[i] <= 0) return 0;
    if (too_large) continue;
    bytes *= static_cast<size_t>(dims.data[i]);
    too_large = bytes > PlayedTensors::kTensorBytes;
  }
  return too_large ? PlayedTensors::kTensorBytes + 1 : bytes;
}

}  // namespace

TfLiteIntArray* MakeIntArray(const std::vector<int>& values) {
  auto* array = static_cast<TfLiteIntArray*>(
      std::malloc(sizeof(TfLiteIntArray) + values.size() * sizeof(int)));
  array->size = static_cast<int>(values.size());
  if (!values.empty()) std::memcpy(array->data, values.data(), values.size() * sizeof(int));
  return array;
}

PlayedTensors::PlayedTensors(size_t count) : tensors_(count) {
  context_.tensors_size = tensors_.size();
  context_.tensors = tensors_.data();
  context_.impl_ = this;
  context_.ResizeTensor = Resize;
  context_.ReportError = Report;
}

PlayedTensors::~PlayedTensors() {
  for (TfLiteTensor& tensor : tensors_) {
    std::free(tensor.dims);
    FreeQuantization(&tensor);
  }
}

void PlayedTensors::FreeQuantization(TfLiteTensor* tensor) {
  auto* affine = static_cast<TfLiteAffineQuantization*>(tensor->quantization.params);
  if (affine != nullptr) {
    std::free(affine->scale);
    std::free(affine->zero_point);
    std::free(affine);
  }
  tensor->quantization = {};
  tensor->params = {};
}

void PlayedTensors::Describe(size_t i, TfLiteType type, const std::vector<int>& dims,
                             const PlayedQuantization& quantization) {
  using Kind = PlayedQuantization::Kind;
  TfLiteTensor& tensor = tensors_[i];
  tensor.type = type;
  std::free(tensor.dims);
  tensor.dims = MakeIntArray(dims);
  tensor.data.data = nullptr;
  tensor.bytes = 0;
  FreeQuantization(&tensor);
  if (quantization.kind == Kind::kNone) return;
  if (!quantization.scales.empty()) tensor.params.scale = quantization.scales[0];
  if (!quantization.zero_points.empty()) tensor.params.zero_point = quantization.zero_points[0];
  if (quantization.kind == Kind::kParams) return;
  tensor.quantization.type = kTfLiteAffineQuantization;
  auto* affine =
      static_cast<TfLiteAffineQuantization*>(std::calloc(1, sizeof(TfLiteAffineQuantization)));
  tensor.quantization.params = affine;
  if (quantization.kind != Kind::kAffineWithoutScales) {
    affine->scale = MakeFloatArray(quantization.scales);
  }
  if (quantization.kind != Kind::kAffineWithoutZeros) {
    affine->zero_point = MakeIntArray(quantization.zero_points);
  }
}

size_t PlayedTensors::Allocate(size_t i, GuardedMemory::Place place) {
  TfLiteTensor& tensor = tensors_[i];
  tensor.bytes = BytesOf(tensor.type, *tensor.dims);
  if (tensor.bytes > kTensorBytes) tensor.bytes = kTooLarge;
  tensor.data.data = MemoryOf(i).Put(tensor.bytes, place);
  return tensor.bytes;
}

void PlayedTensors::TakeMemory(size_t i) { MemoryOf(i).Put(0, GuardedMemory::Place::kEnd); }

bool PlayedTensors::TakeComplaint() {
  const bool complained = complained_;
  complained_ = false;
  return complained;
}

TfLiteStatus PlayedTensors::Resize(TfLiteContext* context, TfLiteTensor* tensor,
                                   TfLiteIntArray* dims) {
  std::free(tensor->dims);
  tensor->dims = dims;
  const size_t bytes = BytesOf(tensor->type, *dims);
  auto* tensors = static_cast<PlayedTensors*>(context->impl_);
  if (bytes > kTensorBytes) {
    tensors->complained_ = true;
    return kTfLiteError;
  }
  const size_t index = static_cast<size_t>(tensor - context->tensors);
  // Floats of a runtime are aligned, so the guard follows the last one.
  tensors->Allocate(index, GuardedMemory::Place::kEnd);
  if (bytes > 0) std::memset(tensor->data.data, 0x7f, bytes);
  return kTfLiteOk;
}

void PlayedTensors::Report(TfLiteContext* context, const char* format, ...) {
  char text[512];
  va_list args;
  va_start(args, format);
  const int length = std::vsnprintf(text, sizeof(text), format, args);
  va_end(args);
  FUZZ_EXPECT(length > 0, "an empty message");
  static_cast<PlayedTensors*>(context->impl_)->complained_ = true;
}

}  // namespace fuzz
}  // namespace detops
