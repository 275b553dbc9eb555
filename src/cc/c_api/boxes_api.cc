// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

// Box decoding and non-maximum suppression behind the C interface.
#include <algorithm>

#include "c_api/conversions.h"
#include "c_api/messages.h"
#include "detops/detops.h"
#include "kernels/box_decoding.h"
#include "kernels/kernel_set.h"
#include "kernels/nms.h"

using detops::DescOf;
using detops::Fault;
using detops::FaultList;
using detops::Message;

detops_status detops_decode_boxes(const detops_tensor* box_encodings,
                                  const void* box_encoding_values, const detops_tensor* anchors,
                                  const void* anchor_values, const float scales[4], float* boxes,
                                  char* message, size_t message_bytes) {
  Message to(message, message_bytes);
  if (box_encodings == nullptr) return to.ReportNull("box_encodings");
  if (anchors == nullptr) return to.ReportNull("anchors");
  if (scales == nullptr) return to.ReportNull("scales");
  FaultList faults;
  detops::BoxDecoding decoding;
  if (!decoding.Prepare(scales, DescOf(*box_encodings), DescOf(*anchors), &faults)) {
    return to.Report(faults);
  }
  if (decoding.count() > 0) {
    if (box_encoding_values == nullptr) return to.ReportNull("box_encoding_values");
    if (anchor_values == nullptr) return to.ReportNull("anchor_values");
    if (boxes == nullptr) return to.ReportNull("boxes");
  }
  decoding.Run(box_encoding_values, anchor_values, boxes);
  return DETOPS_OK;
}

namespace {

void CheckNms(const int32_t* classes, int32_t count, int32_t num_classes, float iou_threshold,
              int32_t max_detections, FaultList* faults) {
  if (count < 0) faults->Add(Fault::kSize, "count is %d, expected 0 or more", count);
  if (num_classes < 1) {
    faults->Add(Fault::kNumClasses, "num_classes is %d, expected 1 or more", num_classes);
  } else if (classes == nullptr && num_classes > 1) {
    faults->Add(Fault::kNumClasses, "num_classes is %d with classes NULL, expected 1", num_classes);
  }
  if (!(iou_threshold > 0.0f && iou_threshold <= 1.0f)) {
    faults->Add(Fault::kIouThreshold, "iou_threshold is %g, expected more than 0, at most 1",
                static_cast<double>(iou_threshold));
  }
  if (max_detections < 0) {
    faults->Add(Fault::kMaxDetections, "max_detections is %d, expected 0 or more", max_detections);
  }
  if (!faults->empty() || classes == nullptr) return;
  for (int32_t i = 0; i < count; ++i) {
    const int32_t value = detops::Load<int32_t>(classes, static_cast<size_t>(i));
    if (value >= 0 && value < num_classes) continue;
    faults->Add(Fault::kNumClasses, "classes[%d] is %d, expected 0 to %d", i, value,
                num_classes - 1);
    return;
  }
}

}  // namespace

detops_status detops_nms(const float* boxes, const float* scores, const int32_t* classes,
                         int32_t count, int32_t num_classes, float score_threshold,
                         float iou_threshold, int32_t max_detections, int64_t* kept,
                         int32_t* num_kept, char* message, size_t message_bytes) {
  Message to(message, message_bytes);
  if (count > 0 && boxes == nullptr) return to.ReportNull("boxes");
  if (count > 0 && scores == nullptr) return to.ReportNull("scores");
  if (count > 0 && max_detections > 0 && kept == nullptr) return to.ReportNull("kept");
  if (num_kept == nullptr) return to.ReportNull("num_kept");
  FaultList faults;
  CheckNms(classes, count, num_classes, iou_threshold, max_detections, &faults);
  if (!faults.empty()) return to.Report(faults);
  const detops::KernelSet* kernels = detops::SelectKernelSet(&faults);
  if (kernels == nullptr) return to.Report(faults);
  detops::Nms nms;
  if (!nms.Prepare(*kernels, static_cast<size_t>(count), static_cast<size_t>(num_classes),
                   static_cast<size_t>(max_detections))) {
    faults.Add(Fault::kMemory, "no memory to suppress %d boxes of %d classes", count, num_classes);
    return to.Report(faults);
  }
  const size_t found = nms.Run(boxes, scores, classes, score_threshold, iou_threshold, kept);
  *num_kept = static_cast<int32_t>(found);
  return DETOPS_OK;
}
