// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

#ifndef DETOPS_KERNELS_THRESHOLD_PLAN_H_
#define DETOPS_KERNELS_THRESHOLD_PLAN_H_

#include <cstddef>

#include "kernels/buffer.h"
#include "kernels/candidate_scan.h"

namespace detops {

// Chooses the thresholds of successive passes over the scores of one image.
//
// A threshold that lets everything through would make every score a candidate, of which a few
// hundred are looked at. So a sample of the anchors tells which threshold lets about as many
// through as are wanted; if those are not enough, the next pass goes eight times as deep, and the
// last one takes the threshold of the options.
class ThresholdPlan {
 public:
  // False when there is no memory.
  bool Prepare(size_t anchors);

  // Looks at the sample. least is the threshold of the options, wanted the number of anchors that
  // the first pass should find.
  void Start(CandidateScan* scan, size_t anchors, float least, size_t wanted);

  // The threshold of the next pass, below that of the last one.
  float Next();

  // True when the last pass had the threshold of the options.
  bool done() const { return done_; }

 private:
  Buffer<float> sample_;  // best scores of sampled anchors, descending
  size_t size_ = 0;
  size_t next_ = 0;  // the place in the sample of the next threshold
  float least_ = 0.0f;
  bool done_ = false;
};

}  // namespace detops

#endif  // DETOPS_KERNELS_THRESHOLD_PLAN_H_
