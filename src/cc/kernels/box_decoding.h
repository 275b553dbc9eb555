// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

#ifndef DETOPS_KERNELS_BOX_DECODING_H_
#define DETOPS_KERNELS_BOX_DECODING_H_

#include "kernels/box_coder.h"
#include "kernels/checks.h"
#include "kernels/faults.h"
#include "kernels/tensor.h"

namespace detops {

// All boxes of a batch as corners, for callers that want every one.
class BoxDecoding {
 public:
  // scales are y, x, h, w; encodings is [B, N, K >= 4], anchors [N, 4]. False with at least one
  // fault added when they do not fit or there is no memory.
  bool Prepare(const float scales[4], const TensorDesc& encodings, const TensorDesc& anchors,
               FaultList* faults);

  // How many boxes there are in all images.
  size_t count() const { return static_cast<size_t>(shape_.batch) * shape_.anchors; }

  // boxes is [B, N, 4]. Does not allocate.
  void Run(const void* encodings, const void* anchors, float* boxes) const;

 private:
  BoxCoder coder_;
  ProblemShape shape_;
  size_t image_bytes_ = 0;
};

}  // namespace detops

#endif  // DETOPS_KERNELS_BOX_DECODING_H_
