// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

#include "c_api/conversions.h"

#include <type_traits>

namespace detops {

static_assert(std::is_same<int32_t, int>::value, "dimensions are passed on as they are");

namespace {

template <typename To, typename From>
To Copy(const From& options) {
  To to = {};
  to.num_classes = options.num_classes;
  to.max_detections = options.max_detections;
  to.max_classes_per_detection = options.max_classes_per_detection;
  to.detections_per_class = options.detections_per_class;
  to.use_regular_nms = options.use_regular_nms;
  to.nms_score_threshold = options.nms_score_threshold;
  to.nms_iou_threshold = options.nms_iou_threshold;
  to.y_scale = options.y_scale;
  to.x_scale = options.x_scale;
  to.h_scale = options.h_scale;
  to.w_scale = options.w_scale;
  return to;
}

}  // namespace

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

Options OptionsOf(const detops_options& options) { return Copy<Options>(options); }

detops_options OptionsOf(const Options& options) { return Copy<detops_options>(options); }

}  // namespace detops
