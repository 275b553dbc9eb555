// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

#ifndef DETOPS_KERNELS_NMS_H_
#define DETOPS_KERNELS_NMS_H_

#include <cstddef>
#include <cstdint>

#include "kernels/box.h"
#include "kernels/candidate_queue.h"
#include "kernels/kept_boxes.h"
#include "kernels/kernel_set.h"

namespace detops {

// Greedy non-maximum suppression of corner boxes, with the op's order (score descending, index
// ascending), IoU and treatment of NaN. Boxes of negative size are skipped.
class Nms {
 public:
  // lists is the number of classes. False when there is no memory.
  bool Prepare(const KernelSet& kernels, size_t boxes, size_t lists, size_t max_detections);

  // boxes are Box values in rows of four floats, list_of the class of each box in [0, lists) or
  // null for one list. Writes up to max_detections indices to kept, best first, and returns how
  // many. Does not allocate.
  size_t Run(const float* boxes, const float* scores, const int32_t* list_of, float score_threshold,
             float iou_threshold, int64_t* kept);

 private:
  size_t count_ = 0;
  size_t max_detections_ = 0;
  CandidateQueue queue_;
  KeptBoxes kept_;
};

}  // namespace detops

#endif  // DETOPS_KERNELS_NMS_H_
