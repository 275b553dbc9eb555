// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

#ifndef DETOPS_PYTHON_BINDINGS_BINDINGS_H_
#define DETOPS_PYTHON_BINDINGS_BINDINGS_H_

#include <pybind11/pybind11.h>

namespace detops::python {

namespace py = pybind11;

void RegisterCpu(py::module_& module);
void RegisterDelegate(py::module_& module);
void RegisterOptions(py::module_& module);
void RegisterPostprocess(py::module_& module);
void RegisterBoxes(py::module_& module);

}  // namespace detops::python

#endif  // DETOPS_PYTHON_BINDINGS_BINDINGS_H_
