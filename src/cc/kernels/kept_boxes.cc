// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

#include "kernels/kept_boxes.h"

#include <algorithm>
#include <cstring>

#include "kernels/iou.h"

namespace detops {
namespace {

constexpr size_t kBlock = KeptBlock::kBoxes;

void Put(const Box& box, float area, KeptBlock* block) {
  const int32_t i = block->count++;
  block->ymin[i] = box.ymin;
  block->xmin[i] = box.xmin;
  block->ymax[i] = box.ymax;
  block->xmax[i] = box.xmax;
  block->area[i] = area;
}

}  // namespace

bool KeptBoxes::Prepare(const KernelSet& kernels, size_t lists, size_t max_boxes) {
  kernels_ = &kernels;
  // Every list may leave one block partly filled.
  const size_t blocks = std::min(max_boxes, max_boxes / kBlock + lists);
  // One list alone is all there is.
  const size_t every = lists > 1 ? max_boxes : 0;
  return blocks_.Allocate(blocks) && heads_.Allocate(lists) && counts_.Allocate(lists) &&
         every_.Allocate((every + kBlock - 1) / kBlock) && list_of_.Allocate(every);
}

void KeptBoxes::Clear() {
  std::fill(heads_.begin(), heads_.end(), -1);
  std::fill(counts_.begin(), counts_.end(), 0);
  used_blocks_ = 0;
  total_ = 0;
}

bool KeptBoxes::Suppresses(size_t list, const Box& box, float threshold) const {
  return kernels_->suppresses(blocks_.data(), heads_[list], box, Area(box), threshold);
}

void KeptBoxes::MarkSuppressing(const Box& box, float threshold, uint32_t mark,
                                uint32_t* marks) const {
  const float area = Area(box);
  for (size_t first = 0; first < total_; first += kBlock) {
    uint32_t bits = kernels_->overlapped(every_[first / kBlock], box, area, threshold);
    for (size_t i = first; bits != 0; ++i, bits >>= 1) {
      if ((bits & 1) != 0) marks[list_of_[i]] = mark;
    }
  }
}

bool KeptBoxes::KeepUnlessSuppressed(size_t list, const Box& box, float threshold) {
  const float area = Area(box);
  if (kernels_->suppresses(blocks_.data(), heads_[list], box, area, threshold)) return false;
  Append(list, box, area);
  return true;
}

void KeptBoxes::Append(size_t list, const Box& box, float area) {
  int32_t head = heads_[list];
  if (head < 0 || blocks_[head].count == KeptBlock::kBoxes) {
    const int32_t fresh = used_blocks_++;
    std::memset(&blocks_[fresh], 0, sizeof(KeptBlock));
    blocks_[fresh].next = head;
    heads_[list] = head = fresh;
  }
  Put(box, area, &blocks_[head]);
  ++counts_[list];
  if (list_of_.size() == 0) return;
  if (total_ % kBlock == 0) std::memset(&every_[total_ / kBlock], 0, sizeof(KeptBlock));
  Put(box, area, &every_[total_ / kBlock]);
  list_of_[total_++] = static_cast<uint32_t>(list);
}

}  // namespace detops
