// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

#ifndef DETOPS_KERNELS_OPTIONS_H_
#define DETOPS_KERNELS_OPTIONS_H_

namespace detops {

// The options of TFLite_Detection_PostProcess under their names in the file.
// The initial values are what an absent key means.
struct Options {
  int max_detections = 0;
  int max_classes_per_detection = 0;
  int detections_per_class = 100;
  int num_classes = 0;
  bool use_regular_nms = false;
  float nms_score_threshold = 0.0f;
  float nms_iou_threshold = 0.0f;
  float y_scale = 0.0f;
  float x_scale = 0.0f;
  float h_scale = 0.0f;
  float w_scale = 0.0f;
};

}  // namespace detops

#endif  // DETOPS_KERNELS_OPTIONS_H_
