// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

// The comparison of one box with kept ones, over a vector type F of one instruction set. Local to the
// including file, like score_scan_simd.h.
//
// F has: Vector, kLanes; Load(float*), Splat, Add, Sub, Mul, Div; Max(a, b) = a > b ? a : b and
// Min(a, b) = a < b ? a : b (b when either is NaN); Greater(a, b), Equal(a, b) = one bit per lane.
#ifndef DETOPS_KERNELS_KEPT_BLOCK_SIMD_H_
#define DETOPS_KERNELS_KEPT_BLOCK_SIMD_H_

#include <stdint.h>

#include "kernels/kept_block.h"

namespace detops {
namespace {

template <class F>
inline bool SuppressesSimd(const KeptBlock* blocks, int32_t head, const Box& box, float area,
                           float threshold) {
  using V = typename F::Vector;
  if (area <= 0.0f) return false;
  const V zero = F::Splat(0.0f);
  const V ymin = F::Splat(box.ymin), xmin = F::Splat(box.xmin);
  const V ymax = F::Splat(box.ymax), xmax = F::Splat(box.xmax);
  const V box_area = F::Splat(area), limit = F::Splat(threshold);
  for (int32_t next = head; next >= 0; next = blocks[next].next) {
    const KeptBlock& block = blocks[next];
    for (int i = 0; i < KeptBlock::kBoxes; i += F::kLanes) {
      // Operands stand as in IoU(): of two equal or unordered values the kept box's one is taken.
      const V height =
          F::Sub(F::Min(ymax, F::Load(block.ymax + i)), F::Max(ymin, F::Load(block.ymin + i)));
      const V width =
          F::Sub(F::Min(xmax, F::Load(block.xmax + i)), F::Max(xmin, F::Load(block.xmin + i)));
      const V intersection = F::Mul(F::Max(zero, height), F::Max(zero, width));
      // Most boxes do not meet. Without an intersection above zero the quotient is not above a
      // positive threshold either, NaN included, so the division can be left out.
      if (F::Greater(intersection, zero) == 0) continue;
      const V kept_area = F::Load(block.area + i);
      const V both = F::Sub(F::Add(kept_area, box_area), intersection);
      const unsigned above = F::Greater(F::Div(intersection, both), limit);
      if ((above & ~F::Greater(zero, kept_area) & ~F::Equal(kept_area, zero)) != 0) return true;
    }
  }
  return false;
}

}  // namespace
}  // namespace detops

#endif  // DETOPS_KERNELS_KEPT_BLOCK_SIMD_H_
