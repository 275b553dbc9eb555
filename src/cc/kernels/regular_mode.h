// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

#ifndef DETOPS_KERNELS_REGULAR_MODE_H_
#define DETOPS_KERNELS_REGULAR_MODE_H_

#include "kernels/buffer.h"
#include "kernels/candidate_queue.h"
#include "kernels/candidate_scan.h"
#include "kernels/kept_boxes.h"
#include "kernels/problem.h"
#include "kernels/threshold_plan.h"

namespace detops {

// use_regular_nms = true: suppression within each class, the best max_detections of all classes.
//
// Done as one walk over all (anchor, class) pairs in the order (score descending, class ascending,
// anchor ascending): a lower-scored box never affects a higher-scored one, so the walk may stop at
// the last detection and nothing below it is sorted, decoded or compared.
class RegularMode {
 public:
  // False when there is no memory.
  bool Prepare(const Problem& problem);

  // Returns the number of detections.
  int Run(const Problem& problem, const ImageInputs& in, const ImageOutputs& out);

 private:
  void Collect(const Problem& problem, const ImageInputs& in, float threshold);
  void RuleOut(const Problem& problem, const ImageInputs& in, size_t anchor);
  const Box& BoxOf(const Problem& problem, const ImageInputs& in, size_t anchor);

  CandidateScan scan_;
  ThresholdPlan plan_;
  CandidateQueue queue_;  // positions are class * N + anchor
  KeptBoxes kept_;        // a list per class
  Buffer<Box> boxes_;     // decoded on first use: an anchor may be a candidate in many classes
  Buffer<uint8_t> decoded_;
  Buffer<uint32_t> ruled_out_;  // for each class the last anchor that cannot be in it, plus one
  int class_limit_ = 0;
  int count_ = 0;
};

}  // namespace detops

#endif  // DETOPS_KERNELS_REGULAR_MODE_H_
