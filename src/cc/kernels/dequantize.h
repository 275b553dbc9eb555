// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

#ifndef DETOPS_KERNELS_DEQUANTIZE_H_
#define DETOPS_KERNELS_DEQUANTIZE_H_

#include <cstddef>
#include <cstdint>

#include "kernels/tensor.h"

namespace detops {

constexpr int kLevels = 256;

// The rank of a stored byte among the 256 values of its type: integer order is level order.
inline uint8_t LevelOf(DType dtype, uint8_t byte) {
  return dtype == DType::kInt8 ? static_cast<uint8_t>(byte ^ 0x80) : byte;
}

// Reads the elements of one image's tensor as stock would see them, by flattened index.
class TensorReader {
 public:
  // count is the number of elements.
  void Prepare(const TensorDesc& tensor, size_t count);

  DType dtype() const { return dtype_; }

  float At(const void* data, size_t index) const {
    if (dtype_ == DType::kFloat32) return Load<float>(data, index);
    const float* table = index < tail_begin_ ? head_ : tail_;
    return table[LevelOf(dtype_, Load<uint8_t>(data, index))];
  }

  // Reads count elements from a flattened index on.
  void Read(const void* data, size_t begin, size_t count, float* values) const {
    for (size_t i = 0; i < count; ++i) values[i] = At(data, begin + i);
  }

  // Quantised elements before this index compare as their levels do: two of them are in the order
  // of their float values exactly when they are in the order of their levels. 0 when none are.
  size_t integer_order_end() const { return integer_order_end_; }

  // The value of a level in the integer-ordered part.
  float OfLevel(int level) const { return head_[level]; }

  // The lowest level of the integer-ordered part whose value is >= threshold; kLevels when none.
  int LowestLevelAtLeast(float threshold) const;

 private:
  DType dtype_ = DType::kUnsupported;
  size_t tail_begin_ = 0;
  size_t integer_order_end_ = 0;
  float head_[kLevels];
  float tail_[kLevels];
};

}  // namespace detops

#endif  // DETOPS_KERNELS_DEQUANTIZE_H_
