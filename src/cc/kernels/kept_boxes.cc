// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

#include "kernels/kept_boxes.h"

#include <algorithm>
#include <cstring>

namespace detops {

bool OverlapsBlock(const KeptBlock& block, const Box& box, float area, float threshold) {
  for (int i = 0; i < block.count; ++i) {
    const Box kept = {block.ymin[i], block.xmin[i], block.ymax[i], block.xmax[i]};
    if (IoU(kept, block.area[i], box, area) > threshold) return true;
  }
  return false;
}

bool KeptBoxes::Prepare(size_t lists, size_t max_boxes) {
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

bool KeptBoxes::KeepUnlessSuppressed(size_t list, const Box& box, float threshold) {
  const float area = Area(box);
  for (int32_t i = heads_[list]; i >= 0; i = blocks_[i].next) {
    if (OverlapsBlock(blocks_[i], box, area, threshold)) return false;
  }
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
