// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

#include "kernels/dequantize.h"

#include <cmath>

namespace detops {
namespace {

// Three roundings of (q - z) * s that occur in real runtimes.
enum class Rounding : uint8_t {
  kSubtractFirst,  // RN((q - z) * s)
  kMultiplyFirst,  // RN(RN(q * s) + RN(-z * s))
  kFused,          // RN(q * s + RN(-z * s))
};

// Stock's loop takes blocks with vector instructions, which differ between processors.
constexpr size_t kBlock = 8;
#if defined(__aarch64__) || defined(_M_ARM64)
constexpr Rounding kBlockRounding = Rounding::kFused;
#else
constexpr Rounding kBlockRounding = Rounding::kMultiplyFirst;
#endif

float Dequantize(int q, int zero_point, float scale, Rounding rounding) {
  const float value = static_cast<float>(q);
  if (rounding == Rounding::kSubtractFirst) {
    return (value - static_cast<float>(zero_point)) * scale;
  }
  const float offset = -static_cast<float>(zero_point) * scale;
  if (rounding == Rounding::kFused) return std::fma(value, scale, offset);
  const float product = value * scale;
  return product + offset;
}

bool StrictlyIncreasing(const float table[kLevels]) {
  for (int i = 1; i < kLevels; ++i) {
    if (!(table[i - 1] < table[i])) return false;
  }
  return true;
}

void FillTable(const TensorDesc& tensor, Rounding rounding, float table[kLevels]) {
  const int lowest = tensor.dtype == DType::kInt8 ? -128 : 0;
  for (int level = 0; level < kLevels; ++level) {
    table[level] = Dequantize(lowest + level, tensor.zero_point, tensor.scale, rounding);
  }
}

}  // namespace

void TensorReader::Prepare(const TensorDesc& tensor, size_t count) {
  dtype_ = tensor.dtype;
  integer_order_end_ = 0;
  if (!IsQuantized(dtype_)) return;

  const bool blocks = tensor.dequantization == Dequantization::kBlocksOfEight;
  tail_begin_ = blocks ? count - count % kBlock : 0;
  FillTable(tensor, blocks ? kBlockRounding : Rounding::kSubtractFirst, head_);
  FillTable(tensor, Rounding::kSubtractFirst, tail_);
  if (StrictlyIncreasing(head_)) {
    const bool same = std::memcmp(head_, tail_, sizeof(head_)) == 0;
    integer_order_end_ = same ? count : tail_begin_;
  }
}

int TensorReader::LowestLevelAtLeast(float threshold) const {
  // The values ascend; no value reaches a NaN.
  int low = 0;
  for (int size = kLevels; size > 0;) {
    const int half = size / 2;
    if (head_[low + half] >= threshold) {
      size = half;
    } else {
      low += half + 1;
      size -= half + 1;
    }
  }
  return low;
}

}  // namespace detops
