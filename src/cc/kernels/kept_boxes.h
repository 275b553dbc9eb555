// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

#ifndef DETOPS_KERNELS_KEPT_BOXES_H_
#define DETOPS_KERNELS_KEPT_BOXES_H_

#include <cstddef>
#include <cstdint>

#include "kernels/box.h"
#include "kernels/buffer.h"
#include "kernels/kept_block.h"
#include "kernels/kernel_set.h"

namespace detops {

// The boxes kept so far, a list per class. Greedy suppression in score order needs no more: a
// candidate survives exactly when it overlaps no box already kept in its class.
class KeptBoxes {
 public:
  // Room for max_boxes over all lists together. False when there is no memory.
  bool Prepare(const KernelSet& kernels, size_t lists, size_t max_boxes);

  void Clear();

  // True when a box of the list overlaps box by more than threshold, which is above 0. A box so
  // suppressed stays so, whatever is kept later.
  bool Suppresses(size_t list, const Box& box, float threshold) const;

  // Writes mark to marks[list] of every list that suppresses box.
  void MarkSuppressing(const Box& box, float threshold, uint32_t mark, uint32_t* marks) const;

  // Keeps box in the list unless the list suppresses it, and says whether it did. At most max_boxes
  // may be kept after each Clear.
  bool KeepUnlessSuppressed(size_t list, const Box& box, float threshold);

  // How many boxes the list holds.
  int Count(size_t list) const { return counts_[list]; }

 private:
  void Append(size_t list, const Box& box, float area);

  Buffer<KeptBlock> blocks_;  // chains of one list each
  Buffer<KeptBlock> every_;   // all boxes in the order in which they were kept
  Buffer<uint32_t> list_of_;  // the list of each of those
  size_t total_ = 0;
  Buffer<int32_t> heads_;
  Buffer<int32_t> counts_;
  int32_t used_blocks_ = 0;
  const KernelSet* kernels_ = nullptr;
};

}  // namespace detops

#endif  // DETOPS_KERNELS_KEPT_BOXES_H_
