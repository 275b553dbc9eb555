// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include "arrays.h"
#include "bindings.h"
#include "kernels/postprocessor.h"

namespace detops::python {
namespace {

py::tuple Postprocess(const py::array& box_encodings, const py::array& scores,
                      const py::array& anchors, const py::object& options,
                      const py::object& box_quantization, const py::object& score_quantization,
                      const py::object& anchor_quantization) {
  const TensorView boxes_in(box_encodings, box_quantization);
  TensorView scores_in(scores, score_quantization);
  const TensorView anchors_in(anchors, anchor_quantization);
  // As the op reads them; stock has no int8.
  if (scores_in.desc().dtype == DType::kUInt8) {
    scores_in.desc().dequantization = Dequantization::kBlocksOfEight;
  }

  Postprocessor postprocessor;
  FaultList faults;
  if (!postprocessor.Prepare(OptionsFrom(options), boxes_in.desc(), scores_in.desc(),
                             anchors_in.desc(), &faults)) {
    Raise(faults);
  }
  const py::ssize_t batch = postprocessor.shape().batch;
  const py::ssize_t slots = postprocessor.shape().slots;
  py::array_t<float> boxes({batch, slots, py::ssize_t{4}});
  py::array_t<float> classes({batch, slots});
  py::array_t<float> out_scores({batch, slots});
  py::array_t<float> counts(batch);
  const DetectionOutputs out = {boxes.mutable_data(), classes.mutable_data(),
                                out_scores.mutable_data(), counts.mutable_data()};
  {
    const py::gil_scoped_release unlocked;
    postprocessor.Run(boxes_in.data(), scores_in.data(), anchors_in.data(), out);
  }
  return py::make_tuple(boxes, classes, out_scores, counts);
}

}  // namespace

void RegisterPostprocess(py::module_& module) {
  module.def("postprocess", &Postprocess, py::arg("box_encodings"), py::arg("scores"),
             py::arg("anchors"), py::arg("options"), py::arg("box_quantization"),
             py::arg("score_quantization"), py::arg("anchor_quantization"));
}

}  // namespace detops::python
