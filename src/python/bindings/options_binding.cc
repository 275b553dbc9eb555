// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <tuple>

#include "arrays.h"
#include "bindings.h"
#include "kernels/checks.h"
#include "tflite_ops/op_options.h"

namespace detops::python {
namespace {

// The double with the fewest digits that is this float: 0.6, not 0.60000002384185791.
double Shortest(float value) {
  char text[32];
  for (int digits = 1; digits <= 9; ++digits) {
    std::snprintf(text, sizeof(text), "%.*g", digits, static_cast<double>(value));
    if (std::strtof(text, nullptr) == value) return std::strtod(text, nullptr);
  }
  return static_cast<double>(value);
}

py::dict OptionsDict(const Options& options) {
  py::dict result;
  result["max_detections"] = options.max_detections;
  result["max_classes_per_detection"] = options.max_classes_per_detection;
  result["detections_per_class"] = options.detections_per_class;
  result["num_classes"] = options.num_classes;
  result["use_regular_nms"] = options.use_regular_nms;
  result["nms_score_threshold"] = Shortest(options.nms_score_threshold);
  result["nms_iou_threshold"] = Shortest(options.nms_iou_threshold);
  result["y_scale"] = Shortest(options.y_scale);
  result["x_scale"] = Shortest(options.x_scale);
  result["h_scale"] = Shortest(options.h_scale);
  result["w_scale"] = Shortest(options.w_scale);
  return result;
}

py::tuple ReadOptions(const py::bytes& block) {
  const std::string_view bytes = block;
  FaultList faults;
  const Options options = ReadOpOptions(bytes.data(), bytes.size(), &faults);
  return py::make_tuple(OptionsDict(options), FaultTuples(faults));
}

// (type name, shape, scales, zero point)
using Description = std::tuple<std::string, std::vector<int>, std::vector<float>, int>;

py::list Check(const py::object& options, const Description& boxes, const Description& scores,
               const Description& anchors) {
  const auto view = [](const Description& d) {
    return TensorView(std::get<0>(d), std::get<1>(d), std::get<2>(d), std::get<3>(d));
  };
  const TensorView views[] = {view(boxes), view(scores), view(anchors)};
  FaultList faults;
  ProblemShape shape;
  CheckProblem(OptionsFrom(options), views[0].desc(), views[1].desc(), views[2].desc(), &shape,
               &faults);
  return FaultTuples(faults);
}

}  // namespace

void RegisterOptions(py::module_& module) {
  module.def("read_options", &ReadOptions, py::arg("block"));
  module.def("check", &Check, py::arg("options"), py::arg("box_encodings"), py::arg("scores"),
             py::arg("anchors"));
}

}  // namespace detops::python
