// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

#include "kernels/checks.h"

#include <cmath>
#include <cstdint>
#include <cstdio>

namespace detops {
namespace {

constexpr int64_t kMaxInt = INT32_MAX;

struct ShapeText {
  char text[96];
};

ShapeText Describe(const TensorDesc& tensor) {
  ShapeText out;
  int used = std::snprintf(out.text, sizeof(out.text), "[");
  for (int i = 0; i < tensor.rank && used < 80; ++i) {
    used += std::snprintf(out.text + used, sizeof(out.text) - used, i == 0 ? "%d" : ", %d",
                          tensor.dims[i]);
  }
  std::snprintf(out.text + used, sizeof(out.text) - used, used < 80 ? "]" : ", ...]");
  return out;
}

void CheckOptions(const Options& options, FaultList* faults) {
  if (options.max_detections < 0) {
    faults->Add(Fault::kMaxDetections, "option max_detections is %d, expected 0 or more",
                options.max_detections);
  }
  if (options.max_classes_per_detection <= 0) {
    faults->Add(Fault::kMaxClassesPerDetection,
                "option max_classes_per_detection is %d (0 when absent), expected 1 or more",
                options.max_classes_per_detection);
  }
  if (options.use_regular_nms && options.detections_per_class <= 0) {
    faults->Add(Fault::kDetectionsPerClass,
                "option detections_per_class is %d, expected 1 or more with use_regular_nms",
                options.detections_per_class);
  }
  if (options.num_classes <= 0) {
    faults->Add(Fault::kNumClasses, "option num_classes is %d (0 when absent), expected 1 or more",
                options.num_classes);
  }
  if (!(options.nms_iou_threshold > 0.0f && options.nms_iou_threshold <= 1.0f)) {
    faults->Add(Fault::kIouThreshold,
                "option nms_iou_threshold is %g (0 when absent), expected more than 0, at most 1",
                static_cast<double>(options.nms_iou_threshold));
  }
  const struct {
    const char* name;
    float value;
  } scales[] = {{"y_scale", options.y_scale},
                {"x_scale", options.x_scale},
                {"h_scale", options.h_scale},
                {"w_scale", options.w_scale}};
  for (const auto& scale : scales) {
    if (scale.value == 0.0f || std::isnan(scale.value)) {
      faults->Add(Fault::kScale, "option %s is %g (0 when absent), expected a number other than 0",
                  scale.name, static_cast<double>(scale.value));
    }
  }
}

void CheckType(const char* name, const TensorDesc& tensor, FaultList* faults) {
  if (tensor.dtype == DType::kUnsupported) {
    faults->Add(Fault::kDType, "%s has type %s, expected float32, uint8 or int8", name,
                tensor.type_name);
    return;
  }
  if (!IsQuantized(tensor.dtype)) return;
  if (tensor.num_scales == 0) {
    faults->Add(Fault::kQuantization,
                "%s is %s without quantization, expected a scale and a zero point", name,
                tensor.type_name);
  } else if (tensor.num_scales > 1) {
    faults->Add(Fault::kQuantization,
                "%s is quantized per channel with %d scales, expected one scale", name,
                tensor.num_scales);
  } else if (!(tensor.scale > 0.0f) || std::isinf(tensor.scale)) {
    faults->Add(Fault::kQuantization, "%s has quantization scale %g, expected positive and finite",
                name, static_cast<double>(tensor.scale));
  }
}

bool CheckRank(const char* name, const TensorDesc& tensor, int rank, const char* expected,
               FaultList* faults) {
  bool ok = tensor.rank == rank;
  for (int i = 0; ok && i < rank; ++i) ok = tensor.dims[i] >= 0;
  if (!ok) {
    faults->Add(Fault::kShape, "%s has shape %s, expected %s", name, Describe(tensor).text,
                expected);
  }
  return ok;
}

void CheckSizes(const Options& options, const ProblemShape& shape, FaultList* faults) {
  if (int64_t{shape.anchors} * shape.class_columns > kMaxInt ||
      int64_t{shape.anchors} * shape.box_columns > kMaxInt) {
    faults->Add(Fault::kSize,
                "%d anchors with %d class columns and %d box columns are too many, "
                "expected products below 2^31",
                shape.anchors, shape.class_columns, shape.box_columns);
  }
  if (options.max_detections < 0 || options.max_classes_per_detection <= 0) return;
  const int64_t slots = int64_t{options.max_detections} * options.max_classes_per_detection;
  const int64_t box_bytes = 4 * int64_t{sizeof(float)};
  // Images without a slot still have a count: a shape of no bytes must not ask for gigabytes.
  const int64_t most_slots = kMaxInt / box_bytes;
  const int64_t batch = shape.batch > 0 ? shape.batch : 1;
  if (slots > most_slots || (slots > 0 ? slots : 1) * batch > most_slots) {
    faults->Add(Fault::kOutputSize,
                "max_detections %d times max_classes_per_detection %d (batch %d) makes %lld output "
                "slots, expected detection_boxes below 2^31 bytes",
                options.max_detections, options.max_classes_per_detection, shape.batch,
                static_cast<long long>(slots));
  }
}

}  // namespace

void CheckCounts(int num_inputs, int num_outputs, FaultList* faults) {
  if (num_inputs != kNumInputs) {
    faults->Add(Fault::kInputCount, "it has %d inputs, expected 3 (box_encodings, scores, anchors)",
                num_inputs);
  }
  if (num_outputs != kNumOutputs) {
    faults->Add(Fault::kOutputCount,
                "it has %d outputs, expected 4 (boxes, classes, scores, count)", num_outputs);
  }
}

void CheckProblem(const Options& options, const TensorDesc& box_encodings, const TensorDesc& scores,
                  const TensorDesc& anchors, ProblemShape* shape, FaultList* faults) {
  CheckOptions(options, faults);
  CheckType("box_encodings", box_encodings, faults);
  CheckType("scores", scores, faults);
  CheckType("anchors", anchors, faults);

  *shape = ProblemShape();
  const bool boxes_ok =
      CheckRank("box_encodings", box_encodings, 3, "[batch, anchors, 4 or more]", faults);
  const bool scores_ok = CheckRank("scores", scores, 3, "[batch, anchors, classes]", faults);
  const bool anchors_ok = CheckRank("anchors", anchors, 2, "[anchors, 4]", faults);
  if (boxes_ok) {
    shape->batch = box_encodings.dims[0];
    shape->anchors = box_encodings.dims[1];
    shape->box_columns = box_encodings.dims[2];
    if (shape->box_columns < 4) {
      faults->Add(Fault::kShape, "box_encodings has %d columns, expected 4 or more (y, x, h, w)",
                  shape->box_columns);
    }
  }
  if (scores_ok) {
    shape->class_columns = scores.dims[2];
    // A negative num_classes is a fault already, and the difference may not be an int.
    if (options.num_classes > 0) shape->label_offset = shape->class_columns - options.num_classes;
    if (shape->label_offset < 0 || shape->label_offset > 1) {
      faults->Add(
          Fault::kClassColumns,
          "scores has %d class columns, expected num_classes %d or one more for the background",
          shape->class_columns, options.num_classes);
    }
    if (boxes_ok && scores.dims[1] != shape->anchors) {
      faults->Add(Fault::kRowMismatch, "scores has %d rows, box_encodings has %d", scores.dims[1],
                  shape->anchors);
    }
    if (boxes_ok && scores.dims[0] != shape->batch) {
      faults->Add(Fault::kRowMismatch, "scores has batch %d, box_encodings has batch %d",
                  scores.dims[0], shape->batch);
    }
  }
  if (anchors_ok) {
    if (anchors.dims[1] != 4) {
      faults->Add(Fault::kShape, "anchors has %d columns, expected 4 (y, x, h, w)",
                  anchors.dims[1]);
    }
    if (boxes_ok && anchors.dims[0] != shape->anchors) {
      faults->Add(Fault::kRowMismatch, "anchors has %d rows, box_encodings has %d", anchors.dims[0],
                  shape->anchors);
    }
  }
  CheckSizes(options, *shape, faults);
  if (faults->empty()) shape->slots = options.max_detections * options.max_classes_per_detection;
}

}  // namespace detops
