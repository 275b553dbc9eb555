// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

#include "c_api/conversions.h"

#include <type_traits>

namespace detops {

static_assert(std::is_same<int32_t, int>::value, "dimensions are passed on as they are");

TensorDesc DescOf(const detops_tensor& tensor) {
  TensorDesc desc;
  switch (tensor.type) {
    case DETOPS_FLOAT32:
      desc.dtype = DType::kFloat32;
      desc.type_name = "float32";
      break;
    case DETOPS_UINT8:
      desc.dtype = DType::kUInt8;
      desc.type_name = "uint8";
      break;
    case DETOPS_INT8:
      desc.dtype = DType::kInt8;
      desc.type_name = "int8";
      break;
    default: desc.type_name = "of an unknown number";
  }
  desc.dims = tensor.dims;
  desc.rank = tensor.rank >= 0 && tensor.rank <= DETOPS_MAX_RANK ? tensor.rank : 0;
  desc.num_scales = IsQuantized(desc.dtype) ? 1 : 0;
  desc.scale = tensor.scale;
  desc.zero_point = tensor.zero_point;
  return desc;
}

TensorDesc ScoreDescOf(const detops_tensor& tensor) {
  TensorDesc desc = DescOf(tensor);
  if (desc.dtype == DType::kUInt8) desc.dequantization = Dequantization::kBlocksOfEight;
  return desc;
}

Options OptionsOf(const detops_options& options) {
  Options result;
  result.max_detections = options.max_detections;
  result.max_classes_per_detection = options.max_classes_per_detection;
  result.detections_per_class = options.detections_per_class;
  result.num_classes = options.num_classes;
  result.use_regular_nms = options.use_regular_nms;
  result.nms_score_threshold = options.nms_score_threshold;
  result.nms_iou_threshold = options.nms_iou_threshold;
  result.y_scale = options.y_scale;
  result.x_scale = options.x_scale;
  result.h_scale = options.h_scale;
  result.w_scale = options.w_scale;
  return result;
}

detops_options OptionsOf(const Options& options) {
  detops_options result;
  result.num_classes = options.num_classes;
  result.max_detections = options.max_detections;
  result.max_classes_per_detection = options.max_classes_per_detection;
  result.detections_per_class = options.detections_per_class;
  result.use_regular_nms = options.use_regular_nms;
  result.nms_score_threshold = options.nms_score_threshold;
  result.nms_iou_threshold = options.nms_iou_threshold;
  result.y_scale = options.y_scale;
  result.x_scale = options.x_scale;
  result.h_scale = options.h_scale;
  result.w_scale = options.w_scale;
  return result;
}

}  // namespace detops
