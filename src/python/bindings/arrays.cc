// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

#include "arrays.h"

#include <limits>
#include <utility>

namespace detops::python {
namespace {

// A dimension past int32 cannot be described; the check of the sizes then refuses the tensor.
int ClampDimension(py::ssize_t size) {
  constexpr py::ssize_t kMax = std::numeric_limits<int>::max();
  return static_cast<int>(size < kMax ? size : kMax);
}

}  // namespace

void TensorView::SetType(std::string type_name) {
  type_name_ = std::move(type_name);
  desc_.type_name = type_name_.c_str();
  desc_.dtype = type_name_ == "float32" ? DType::kFloat32
                : type_name_ == "uint8" ? DType::kUInt8
                : type_name_ == "int8"  ? DType::kInt8
                                        : DType::kUnsupported;
}

TensorView::TensorView(const py::array& array, const py::object& quantization) : array_(array) {
  const bool native = py::cast<bool>(array_.dtype().attr("isnative"));
  SetType(py::str(native ? array_.dtype().attr("name") : array_.dtype().attr("str")));
  for (py::ssize_t i = 0; i < array_.ndim(); ++i) dims_.push_back(ClampDimension(array_.shape(i)));
  desc_.dims = dims_.data();
  desc_.rank = static_cast<int>(dims_.size());
  if (!quantization.is_none()) {
    const auto pair = py::cast<std::pair<double, int>>(quantization);
    desc_.num_scales = 1;
    desc_.scale = static_cast<float>(pair.first);
    desc_.zero_point = pair.second;
  }
}

TensorView::TensorView(std::string type_name, std::vector<int> dims,
                       const std::vector<float>& scales, int zero_point)
    : dims_(std::move(dims)) {
  SetType(std::move(type_name));
  desc_.dims = dims_.data();
  desc_.rank = static_cast<int>(dims_.size());
  desc_.num_scales = static_cast<int>(scales.size());
  if (scales.size() == 1) desc_.scale = scales[0];
  desc_.zero_point = zero_point;
}

Options OptionsFrom(const py::object& options) {
  Options result;
  const auto read = [&options](const char* name, auto* field) {
    using Field = std::remove_pointer_t<decltype(field)>;
    const py::object value = options.attr(name);
    try {
      *field = py::cast<Field>(value);
    } catch (const py::cast_error&) {
      const char* expected = std::is_same_v<Field, bool>  ? "a bool"
                             : std::is_same_v<Field, int> ? "a 32-bit integer"
                                                          : "a number";
      throw py::type_error("option " + std::string(name) + " is " + std::string(py::repr(value)) +
                           ", expected " + expected);
    }
  };
  read("max_detections", &result.max_detections);
  read("max_classes_per_detection", &result.max_classes_per_detection);
  read("detections_per_class", &result.detections_per_class);
  read("num_classes", &result.num_classes);
  read("use_regular_nms", &result.use_regular_nms);
  read("nms_score_threshold", &result.nms_score_threshold);
  read("nms_iou_threshold", &result.nms_iou_threshold);
  read("y_scale", &result.y_scale);
  read("x_scale", &result.x_scale);
  read("h_scale", &result.h_scale);
  read("w_scale", &result.w_scale);
  return result;
}

void Raise(const FaultList& faults) {
  std::string text;
  bool all_dtype = true;
  bool memory = false;
  for (int i = 0; i < faults.size(); ++i) {
    if (i > 0) text += "; ";
    text += faults.message(i);
    all_dtype = all_dtype && faults.fault(i) == Fault::kDType;
    memory = memory || faults.fault(i) == Fault::kMemory;
  }
  PyObject* const type = all_dtype ? PyExc_TypeError
                         : memory  ? PyExc_MemoryError
                                   : PyExc_ValueError;
  PyErr_SetString(type, text.c_str());
  throw py::error_already_set();
}

py::list FaultTuples(const FaultList& faults) {
  py::list list;
  for (int i = 0; i < faults.size(); ++i) {
    list.append(py::make_tuple(FaultName(faults.fault(i)), faults.message(i)));
  }
  return list;
}

}  // namespace detops::python
