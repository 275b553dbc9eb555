// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

#include "kernels/nms.h"

#include <algorithm>

#include "kernels/iou.h"
#include "kernels/tensor.h"

namespace detops {

bool Nms::Prepare(const KernelSet& kernels, size_t boxes, size_t lists, size_t max_detections) {
  count_ = boxes;
  max_detections_ = std::min(boxes, max_detections);
  return queue_.Prepare(boxes) && kept_.Prepare(kernels, lists, max_detections_);
}

size_t Nms::Run(const float* boxes, const float* scores, const int32_t* list_of,
                float score_threshold, float iou_threshold, int64_t* kept) {
  queue_.Start(0, count_);
  kept_.Clear();
  for (size_t i = 0; i < count_; ++i) {
    const float score = Load<float>(scores, i);
    if (score >= score_threshold) queue_.Push(CandidateKey(score, static_cast<uint32_t>(i)));
  }
  size_t found = 0;
  uint64_t key;
  while (found < max_detections_ && queue_.Pop(&key)) {
    const size_t i = PositionOf(key);
    const Box box = Load<Box>(boxes, i);
    const size_t list = list_of == nullptr ? 0 : static_cast<size_t>(Load<int32_t>(list_of, i));
    if (HasNegativeSize(box) || !kept_.KeepUnlessSuppressed(list, box, iou_threshold)) continue;
    kept[found++] = static_cast<int64_t>(i);
  }
  return found;
}

}  // namespace detops
