// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

// The kernel for LiteRT's CompiledModel behind the C interface.
#include <new>

#include "c_api/litert_kernel.h"
#include "c_api/messages.h"
#include "detops/detops.h"

struct detops_litert_kernel {
  detops::LiteRtKernel kernel;
};

using detops::Fault;
using detops::FaultList;
using detops::Message;

namespace {

detops::LiteRtKernel& KernelOf(void* user_data) {
  return static_cast<detops_litert_kernel*>(user_data)->kernel;
}

const LiteRtCustomOpKernel kInterface = {
    [](void* user_data, const void* options, size_t options_size) {
      return KernelOf(user_data).Init(options, options_size);
    },
    [](void* user_data, size_t num_inputs, const LiteRtLayout* inputs, size_t num_outputs,
       LiteRtLayout* outputs) {
      return KernelOf(user_data).GetOutputLayouts(num_inputs, inputs, num_outputs, outputs);
    },
    [](void* user_data, size_t num_inputs, const LiteRtTensorBuffer* inputs, size_t num_outputs,
       LiteRtTensorBuffer* outputs) {
      return KernelOf(user_data).Run(num_inputs, inputs, num_outputs, outputs);
    },
    [](void* user_data) { return KernelOf(user_data).Destroy(); }};

}  // namespace

detops_status detops_litert_kernel_create(const detops_litert_functions* functions,
                                          detops_litert_kernel** kernel, char* message,
                                          size_t message_bytes) {
  Message to(message, message_bytes);
  if (kernel == nullptr) return to.ReportNull("kernel");
  *kernel = nullptr;
  if (functions == nullptr) return to.ReportNull("functions");
  if (functions->get_tensor_type == nullptr) return to.ReportNull("functions->get_tensor_type");
  if (functions->lock == nullptr) return to.ReportNull("functions->lock");
  if (functions->unlock == nullptr) return to.ReportNull("functions->unlock");
  *kernel = new (std::nothrow) detops_litert_kernel{detops::LiteRtKernel(*functions)};
  FaultList faults;
  if (*kernel == nullptr) faults.Add(Fault::kMemory, "no memory for a kernel");
  return to.Report(faults);
}

void detops_litert_kernel_destroy(detops_litert_kernel* kernel) { delete kernel; }

detops_status detops_litert_kernel_set_input(detops_litert_kernel* kernel, int32_t input,
                                             detops_type type, float scale, int32_t zero_point,
                                             char* message, size_t message_bytes) {
  Message to(message, message_bytes);
  if (kernel == nullptr) return to.ReportNull("kernel");
  FaultList faults;
  if (input < 0 || input > 2) {
    faults.Add(Fault::kInputCount,
               "input is %d, expected 0 (box_encodings), 1 (scores) or 2 (anchors)", input);
  } else {
    kernel->kernel.SetInput(input, type, scale, zero_point);
  }
  return to.Report(faults);
}

const void* detops_litert_kernel_interface(void) { return &kInterface; }

const char* detops_litert_kernel_message(const detops_litert_kernel* kernel) {
  return kernel == nullptr ? "no memory for a kernel" : kernel->kernel.message();
}
