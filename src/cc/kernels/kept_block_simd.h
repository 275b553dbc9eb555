// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

// The comparison of one box with kept ones, over a vector type F of one instruction set. Local to
// the including file, like score_scan_simd.h.
//
// F has: Vector, kLanes; Load(float*), Splat, Add, Sub, Mul, Div; Max(a, b) = a > b ? a : b and
// Min(a, b) = a < b ? a : b (b when either is NaN); Greater(a, b), Equal(a, b) = one bit per lane.
#ifndef DETOPS_KERNELS_KEPT_BLOCK_SIMD_H_
#define DETOPS_KERNELS_KEPT_BLOCK_SIMD_H_

#include <stdint.h>

#include "kernels/kept_block.h"

namespace detops {
namespace {

// One box against any number of blocks: what depends on the box alone is spread over lanes once.
template <class F>
class BoxAgainstBlocks {
  using V = typename F::Vector;

 public:
  BoxAgainstBlocks(const Box& box, float area, float threshold)
      : ymin_(F::Splat(box.ymin)),
        xmin_(F::Splat(box.xmin)),
        ymax_(F::Splat(box.ymax)),
        xmax_(F::Splat(box.xmax)),
        area_(F::Splat(area)),
        threshold_(F::Splat(threshold)) {}

  // The bits of boxes i to i + kLanes of the block; area of the box above 0 or NaN.
  unsigned Overlapped(const KeptBlock& block, int i) const {
    const V zero = F::Splat(0.0f);
    // Operands stand as in IoU(): of two equal or unordered values the kept box's one is taken.
    const V height =
        F::Sub(F::Min(ymax_, F::Load(block.ymax + i)), F::Max(ymin_, F::Load(block.ymin + i)));
    const V width =
        F::Sub(F::Min(xmax_, F::Load(block.xmax + i)), F::Max(xmin_, F::Load(block.xmin + i)));
    const V intersection = F::Mul(F::Max(zero, height), F::Max(zero, width));
    // Most boxes do not meet. Without an intersection above zero the quotient is not above a
    // positive threshold either, NaN included, so the division can be left out.
    if (F::Greater(intersection, zero) == 0) return 0;
    const V kept_area = F::Load(block.area + i);
    const V both = F::Sub(F::Add(kept_area, area_), intersection);
    const unsigned above = F::Greater(F::Div(intersection, both), threshold_);
    return above & ~F::Greater(zero, kept_area) & ~F::Equal(kept_area, zero);
  }

 private:
  V ymin_, xmin_, ymax_, xmax_, area_, threshold_;
};

template <class F>
inline uint32_t OverlappedSimd(const KeptBlock& block, const Box& box, float area,
                               float threshold) {
  if (area <= 0.0f) return 0;
  const BoxAgainstBlocks<F> against(box, area, threshold);
  uint32_t bits = 0;
  for (int i = 0; i < KeptBlock::kBoxes; i += F::kLanes) bits |= against.Overlapped(block, i) << i;
  return bits;
}

template <class F>
inline bool SuppressesSimd(const KeptBlock* blocks, int32_t head, const Box& box, float area,
                           float threshold) {
  if (area <= 0.0f) return false;
  const BoxAgainstBlocks<F> against(box, area, threshold);
  for (int32_t next = head; next >= 0; next = blocks[next].next) {
    for (int i = 0; i < KeptBlock::kBoxes; i += F::kLanes) {
      if (against.Overlapped(blocks[next], i) != 0) return true;
    }
  }
  return false;
}

}  // namespace
}  // namespace detops

#endif  // DETOPS_KERNELS_KEPT_BLOCK_SIMD_H_
