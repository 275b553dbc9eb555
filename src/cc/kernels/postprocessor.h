// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

#ifndef DETOPS_KERNELS_POSTPROCESSOR_H_
#define DETOPS_KERNELS_POSTPROCESSOR_H_

#include "kernels/fast_mode.h"
#include "kernels/faults.h"
#include "kernels/problem.h"
#include "kernels/regular_mode.h"

namespace detops {

// The outputs of a batch, M = max_detections * max_classes_per_detection.
struct DetectionOutputs {
  float* boxes;    // [B, M, 4] ymin, xmin, ymax, xmax
  float* classes;  // [B, M] 0-based, background removed
  float* scores;   // [B, M]
  float* counts;   // [B]
};

// TFLite_Detection_PostProcess on raw buffers: bit for bit what stock's single-threaded op gives,
// except where stock fails (int8, batches, negative-size boxes, slots past the count, NaN).
//
// Prepare allocates and may be called again for other shapes; Run does not allocate, cannot fail
// and may read inputs and write outputs at any alignment that float stores allow. One Run at a
// time for each object.
class Postprocessor {
 public:
  // Checks the problem and makes room for it. False with at least one fault added otherwise.
  bool Prepare(const Options& options, const TensorDesc& box_encodings, const TensorDesc& scores,
               const TensorDesc& anchors, FaultList* faults);

  // Valid after a successful Prepare.
  const ProblemShape& shape() const { return problem_.shape; }

  // Fills every slot of every output; slots past the count are zero.
  void Run(const void* box_encodings, const void* scores, const void* anchors,
           const DetectionOutputs& out);

 private:
  Problem problem_;
  FastMode fast_;
  RegularMode regular_;
  size_t box_image_bytes_ = 0;
  size_t score_image_bytes_ = 0;
};

}  // namespace detops

#endif  // DETOPS_KERNELS_POSTPROCESSOR_H_
