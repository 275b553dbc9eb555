// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

#ifndef DETOPS_KERNELS_TENSOR_H_
#define DETOPS_KERNELS_TENSOR_H_

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace detops {

enum class DType : uint8_t { kFloat32, kUInt8, kInt8, kUnsupported };

inline bool IsQuantized(DType dtype) { return dtype == DType::kUInt8 || dtype == DType::kInt8; }

// How quantised values become float32. Runtimes differ in the last bit, and a detection is the same
// as stock's only if its score and its box are rounded the way stock rounds them.
enum class Dequantization : uint8_t {
  kSubtractFirst,  // (q - z) * s everywhere
  kBlocksOfEight,  // stock's own loop: another formula in whole blocks of 8, the above in the rest
};

// What the kernels must know of a tensor beside its data.
struct TensorDesc {
  DType dtype = DType::kUnsupported;
  const char* type_name = "none";  // for messages; names an unsupported type too
  const int* dims = nullptr;
  int rank = 0;
  int num_scales = 0;  // 0: not quantised, 1: per tensor, more: per channel
  float scale = 0.0f;
  int zero_point = 0;
  Dequantization dequantization = Dequantization::kSubtractFirst;
};

// Reads one element at any alignment: files and callers do not promise one.
template <typename T>
inline T Load(const void* data, size_t index) {
  T value;
  std::memcpy(&value, static_cast<const char*>(data) + index * sizeof(T), sizeof(T));
  return value;
}

}  // namespace detops

#endif  // DETOPS_KERNELS_TENSOR_H_
