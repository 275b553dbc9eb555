// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

#ifndef DETOPS_KERNELS_FAST_MODE_H_
#define DETOPS_KERNELS_FAST_MODE_H_

#include "kernels/buffer.h"
#include "kernels/candidate_queue.h"
#include "kernels/candidate_scan.h"
#include "kernels/kept_boxes.h"
#include "kernels/problem.h"
#include "kernels/threshold_plan.h"

namespace detops {

// use_regular_nms = false: one suppression over all anchors by the score of their best class, then
// the top max_classes_per_detection classes of each kept anchor in neighbouring slots.
class FastMode {
 public:
  // False when there is no memory.
  bool Prepare(const Problem& problem);

  // Returns the number of kept anchors.
  int Run(const Problem& problem, const ImageInputs& in, const ImageOutputs& out);

 private:
  void Collect(const Problem& problem, const ImageInputs& in, float threshold);
  void Emit(const Problem& problem, const void* scores, uint64_t key, const Box& box, int index,
            const ImageOutputs& out);

  CandidateScan scan_;
  ThresholdPlan plan_;
  CandidateQueue queue_;  // positions are anchors
  KeptBoxes kept_;
  Buffer<float> class_scores_;
  Buffer<uint32_t> class_order_;
};

}  // namespace detops

#endif  // DETOPS_KERNELS_FAST_MODE_H_
