// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

#include <pybind11/pybind11.h>

#include <cstdint>
#include <memory>
#include <new>

#include "bindings.h"
#include "tflite_ops/delegate.h"

namespace detops::python {
namespace {

struct Destroy {
  void operator()(TfLiteDelegate* delegate) const { DestroyDelegate(delegate); }
};

// Owns a delegate; lives as long as the interpreter that it was applied to.
class DelegateHandle {
 public:
  DelegateHandle() : delegate_(CreateDelegate()) {
    if (delegate_ == nullptr) throw std::bad_alloc();
  }

  uintptr_t pointer() const { return reinterpret_cast<uintptr_t>(delegate_.get()); }
  DelegateReport report() const { return ReportOf(delegate_.get()); }

 private:
  std::unique_ptr<TfLiteDelegate, Destroy> delegate_;
};

}  // namespace

void RegisterDelegate(py::module_& module) {
  py::class_<DelegateHandle>(module, "DelegateHandle")
      .def(py::init<>())
      // The name under which interpreters ask their delegates for the native pointer.
      .def("_get_native_delegate_pointer", &DelegateHandle::pointer)
      .def("report", [](const DelegateHandle& handle) {
        const DelegateReport report = handle.report();
        py::dict result;
        result["postprocess_nodes"] = report.postprocess_nodes;
        result["dequantize_nodes"] = report.dequantize_nodes;
        result["reshape_nodes"] = report.reshape_nodes;
        result["earlier_nodes"] = report.earlier_nodes;
        return result;
      });
}

}  // namespace detops::python
