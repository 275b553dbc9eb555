// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

#include "kernels/kept_boxes.h"

#include <algorithm>
#include <cstring>

#include "kernels/iou.h"

namespace detops {

bool KeptBoxes::Prepare(const KernelSet& kernels, size_t lists, size_t max_boxes) {
  suppresses_ = kernels.suppresses;
  // Every list may leave one block partly filled.
  const size_t full = max_boxes / KeptBlock::kBoxes;
  const size_t blocks = std::min(max_boxes, full + lists);
  return blocks_.Allocate(blocks) && heads_.Allocate(lists) && counts_.Allocate(lists);
}

void KeptBoxes::Clear() {
  std::fill(heads_.begin(), heads_.end(), -1);
  std::fill(counts_.begin(), counts_.end(), 0);
  used_blocks_ = 0;
}

bool KeptBoxes::Suppresses(size_t list, const Box& box, float threshold) const {
  return suppresses_(blocks_.data(), heads_[list], box, Area(box), threshold);
}

bool KeptBoxes::KeepUnlessSuppressed(size_t list, const Box& box, float threshold) {
  const float area = Area(box);
  if (suppresses_(blocks_.data(), heads_[list], box, area, threshold)) return false;
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
  KeptBlock& block = blocks_[head];
  const int32_t i = block.count++;
  block.ymin[i] = box.ymin;
  block.xmin[i] = box.xmin;
  block.ymax[i] = box.ymax;
  block.xmax[i] = box.xmax;
  block.area[i] = area;
  ++counts_[list];
}

}  // namespace detops
