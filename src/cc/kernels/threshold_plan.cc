// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

#include "kernels/threshold_plan.h"

#include <algorithm>
#include <functional>

namespace detops {
namespace {

// One anchor in 128 costs a hundredth of a pass or so; a small image needs some more to tell much.
constexpr size_t kSampleShare = 128;
constexpr size_t kSmallestSample = 64;
constexpr size_t kDeeper = 8;

size_t SampleSize(size_t anchors) {
  return std::min(anchors, std::max(kSmallestSample, anchors / kSampleShare));
}

}  // namespace

bool ThresholdPlan::Prepare(size_t anchors) { return sample_.Allocate(SampleSize(anchors)); }

void ThresholdPlan::Start(CandidateScan* scan, size_t anchors, float least, size_t wanted) {
  least_ = least;
  done_ = false;
  size_ = 0;
  const size_t samples = SampleSize(anchors);
  for (size_t i = 0; i < samples; ++i) {
    const float best = scan->BestScore(i * anchors / samples);
    if (best > least) sample_[size_++] = best;
  }
  std::sort(sample_.data(), sample_.data() + size_, std::greater<float>());
  next_ = 1 + wanted * samples / anchors;
}

float ThresholdPlan::Next() {
  if (next_ >= size_) {
    done_ = true;
    return least_;
  }
  const float threshold = sample_[next_];
  // The next pass must go below this one, whatever ties there are.
  next_ = std::max((next_ + 1) * kDeeper,
                   static_cast<size_t>(std::upper_bound(sample_.data(), sample_.data() + size_,
                                                        threshold, std::greater<float>()) -
                                       sample_.data()));
  return threshold;
}

}  // namespace detops
