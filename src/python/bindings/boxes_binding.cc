// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <vector>

#include "arrays.h"
#include "bindings.h"
#include "kernels/box_decoding.h"
#include "kernels/iou.h"
#include "kernels/kernel_set.h"
#include "kernels/nms.h"

namespace detops::python {
namespace {

// The callers have checked shapes and types: C-contiguous float32 and int32.
using FloatArray = py::array_t<float, py::array::c_style>;
using IntArray = py::array_t<int32_t, py::array::c_style>;

// Raises what the op would say of these tensors.
py::array_t<float> DecodeBoxes(const py::array& encodings, const py::array& anchors,
                               const py::tuple& scales, const py::object& encoding_quantization,
                               const py::object& anchor_quantization) {
  const TensorView encodings_in(encodings, encoding_quantization);
  const TensorView anchors_in(anchors, anchor_quantization);
  const float values[4] = {py::cast<float>(scales[0]), py::cast<float>(scales[1]),
                           py::cast<float>(scales[2]), py::cast<float>(scales[3])};
  BoxDecoding decoding;
  FaultList faults;
  if (!decoding.Prepare(values, encodings_in.desc(), anchors_in.desc(), &faults)) Raise(faults);
  py::array_t<float> boxes({encodings.shape(0), encodings.shape(1), py::ssize_t{4}});
  float* out = boxes.mutable_data();
  {
    const py::gil_scoped_release unlocked;
    decoding.Run(encodings_in.data(), anchors_in.data(), out);
  }
  return boxes;
}

py::array_t<float> IoUMatrix(const FloatArray& a, const FloatArray& b) {
  const py::ssize_t rows = a.shape(0);
  const py::ssize_t columns = b.shape(0);
  py::array_t<float> result({rows, columns});
  const float* a_data = a.data();
  const float* b_data = b.data();
  float* out = result.mutable_data();
  {
    const py::gil_scoped_release unlocked;
    for (py::ssize_t i = 0; i < rows; ++i) {
      const Box box = Load<Box>(a_data, i);
      const float area = Area(box);
      for (py::ssize_t j = 0; j < columns; ++j) {
        const Box other = Load<Box>(b_data, j);
        out[i * columns + j] = IoU(box, area, other, Area(other));
      }
    }
  }
  return result;
}

// classes holds a class in [0, num_classes) for each box.
py::array_t<int64_t> NmsIndices(const FloatArray& boxes, const FloatArray& scores,
                                const IntArray& classes, int num_classes, float iou_threshold,
                                float score_threshold, size_t max_detections) {
  const size_t count = static_cast<size_t>(boxes.shape(0));
  FaultList faults;
  const KernelSet* kernels = SelectKernelSet(&faults);
  if (kernels == nullptr) Raise(faults);
  Nms nms;
  if (!nms.Prepare(*kernels, count, static_cast<size_t>(num_classes), max_detections)) {
    throw std::bad_alloc();
  }
  std::vector<int64_t> kept(std::min(count, max_detections));
  const float* box_data = boxes.data();
  const float* score_data = scores.data();
  const int32_t* class_data = num_classes == 1 ? nullptr : classes.data();
  size_t found;
  {
    const py::gil_scoped_release unlocked;
    found = nms.Run(box_data, score_data, class_data, score_threshold, iou_threshold, kept.data());
  }
  return py::array_t<int64_t>(static_cast<py::ssize_t>(found), kept.data());
}

}  // namespace

void RegisterBoxes(py::module_& module) {
  module.def("decode_boxes", &DecodeBoxes, py::arg("box_encodings"), py::arg("anchors"),
             py::arg("scales"), py::arg("box_quantization"), py::arg("anchor_quantization"));
  module.def("iou", &IoUMatrix, py::arg("boxes_a"), py::arg("boxes_b"));
  module.def("nms", &NmsIndices, py::arg("boxes"), py::arg("scores"), py::arg("classes"),
             py::arg("num_classes"), py::arg("iou_threshold"), py::arg("score_threshold"),
             py::arg("max_detections"));
}

}  // namespace detops::python
