// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <string>

#include "arrays.h"
#include "bindings.h"
#include "kernels/kernel_set.h"

namespace detops::python {
namespace {

const KernelSet& Active() {
  FaultList faults;
  const KernelSet* set = SelectKernelSet(&faults);
  if (set == nullptr) Raise(faults);
  return *set;
}

// [(name, runs here), ...], the plainest first.
py::list Sets() {
  const CpuFeatures features = DetectCpuFeatures();
  const KernelSets all = AllKernelSets();
  py::list list;
  for (size_t i = 0; i < all.count; ++i) {
    list.append(py::make_tuple(all.sets[i].name, all.sets[i].runs_on(features)));
  }
  return list;
}

// The floor of the op: one pass over the scores that does nothing else.
double StreamingMaximum(const py::array& array) {
  const TensorView view(array, py::none());
  const size_t count = static_cast<size_t>(array.size());
  const KernelSet& set = Active();
  if (count == 0) throw py::value_error("the array is empty");
  const py::gil_scoped_release unlocked;
  switch (view.desc().dtype) {
    case DType::kFloat32: return set.scan_f32->maximum(view.data(), 0, count);
    case DType::kUInt8: return set.scan_u8->maximum(view.data(), 0, count);
    case DType::kInt8: return set.scan_i8->maximum(view.data(), 0, count);
    case DType::kUnsupported: break;
  }
  throw py::type_error("expected float32, uint8 or int8");
}

}  // namespace

void RegisterCpu(py::module_& module) {
  module.def("kernel_sets", &Sets);
  module.def("active_kernel_set", [] { return std::string(Active().name); });
  module.def("streaming_maximum", &StreamingMaximum, py::arg("array"));
}

}  // namespace detops::python
