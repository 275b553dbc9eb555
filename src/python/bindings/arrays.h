// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

#ifndef DETOPS_PYTHON_BINDINGS_ARRAYS_H_
#define DETOPS_PYTHON_BINDINGS_ARRAYS_H_

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <string>
#include <vector>

#include "kernels/faults.h"
#include "kernels/options.h"
#include "kernels/tensor.h"

namespace detops::python {

namespace py = pybind11;

// The description of a NumPy array as a tensor, with what it points to kept alive.
class TensorView {
 public:
  // array is C-contiguous, at any alignment; quantization is None or (scale, zero_point).
  TensorView(const py::array& array, const py::object& quantization);

  // A tensor known by its description alone: type name, shape, scales, zero points.
  TensorView(std::string type_name, std::vector<int> dims, const std::vector<float>& scales,
             int zero_point);

  TensorView(const TensorView&) = delete;
  TensorView& operator=(const TensorView&) = delete;

  const TensorDesc& desc() const { return desc_; }
  TensorDesc& desc() { return desc_; }
  const void* data() const { return array_.data(); }

 private:
  void SetType(std::string type_name);

  py::array array_;
  std::string type_name_;
  std::vector<int> dims_;
  TensorDesc desc_;
};

// The fields of a detops.Options object or any object with the same attributes.
Options OptionsFrom(const py::object& options);

// Raises TypeError for a wrong dtype, MemoryError for no memory, ValueError for the rest.
[[noreturn]] void Raise(const FaultList& faults);

// [(name, message), ...]
py::list FaultTuples(const FaultList& faults);

}  // namespace detops::python

#endif  // DETOPS_PYTHON_BINDINGS_ARRAYS_H_
