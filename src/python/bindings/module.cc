// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

#include "bindings.h"

PYBIND11_MODULE(_core, module) {
  module.doc() = "libdetops for Python. Private: use the functions of the package.";
  module.attr("__version__") = DETOPS_VERSION;
  detops::python::RegisterCpu(module);
  detops::python::RegisterDelegate(module);
  detops::python::RegisterOptions(module);
  detops::python::RegisterPostprocess(module);
  detops::python::RegisterBoxes(module);
}
