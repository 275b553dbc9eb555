// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

#ifndef DETOPS_KERNELS_KEPT_BLOCK_H_
#define DETOPS_KERNELS_KEPT_BLOCK_H_

#include <cstdint>

#include "kernels/box.h"

namespace detops {

// Sixteen kept boxes of one class, coordinate by coordinate, so that one candidate can be compared
// with all of them at once. Unused places hold zeros: a box without area overlaps nothing.
struct KeptBlock {
  static constexpr int kBoxes = 16;
  float ymin[kBoxes];
  float xmin[kBoxes];
  float ymax[kBoxes];
  float xmax[kBoxes];
  float area[kBoxes];
  int32_t count;
  int32_t next;  // the block filled before this one, or -1
};

// One bit for each kept box of the block that has IoU(kept, box) > threshold, which is positive;
// equality does not count. area is Area(box). All variants decide alike.
using OverlappedFunction = uint32_t (*)(const KeptBlock& block, const Box& box, float area,
                                        float threshold);

// True when that is so for any box of blocks[head] and of the blocks chained to it; head is -1 for
// none.
using SuppressesFunction = bool (*)(const KeptBlock* blocks, int32_t head, const Box& box,
                                    float area, float threshold);

}  // namespace detops

#endif  // DETOPS_KERNELS_KEPT_BLOCK_H_
