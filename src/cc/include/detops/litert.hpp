// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

// TFLite_Detection_PostProcess in LiteRT's CompiledModel. Include LiteRT's own headers first:
//
//   #include "litert/c/litert_custom_op_kernel.h"
//   #include "litert/c/litert_options.h"
//   #include "detops/litert.hpp"
//
//   detops::LiteRtKernel kernel;          // outlives the compiled model
//   kernel.AddTo(options);                // a LiteRtOptions, before LiteRtCreateCompiledModel
//
// LiteRT hands constants to a kernel only if they lie at a multiple of 64 bytes, and says
// "Unaligned host memory pointer" otherwise: `detops convert tidy` aligns the anchors of a model.
#ifndef DETOPS_LITERT_HPP_
#define DETOPS_LITERT_HPP_

#include <memory>

#include "detops/detops.h"

namespace detops {
inline namespace api {

class LiteRtKernel {
 public:
  LiteRtKernel() {
    const detops_litert_functions functions = {
        [](void* buffer, void* type) {
          return static_cast<int>(LiteRtGetTensorBufferTensorType(
              static_cast<LiteRtTensorBuffer>(buffer), static_cast<LiteRtRankedTensorType*>(type)));
        },
        [](void* buffer, void** memory, int mode) {
          return static_cast<int>(
              LiteRtLockTensorBuffer(static_cast<LiteRtTensorBuffer>(buffer), memory,
                                     static_cast<LiteRtTensorBufferLockMode>(mode)));
        },
        [](void* buffer) {
          return static_cast<int>(
              LiteRtUnlockTensorBuffer(static_cast<LiteRtTensorBuffer>(buffer)));
        }};
    detops_litert_kernel* made = nullptr;
    detops_litert_kernel_create(&functions, &made, nullptr, 0);
    kernel_.reset(made);
  }

  // Type and quantisation of input 0 (box encodings), 1 (scores) or 2 (anchors), which LiteRT does
  // not tell; float32 otherwise.
  detops_status SetInput(int32_t input, detops_type type, float scale, int32_t zero_point) {
    return detops_litert_kernel_set_input(kernel_.get(), input, type, scale, zero_point, nullptr,
                                          0);
  }

  // Registers the op for models that are compiled with these options.
  LiteRtStatus AddTo(LiteRtOptions options) {
    if (kernel_ == nullptr) return kLiteRtStatusErrorInvalidArgument;
    return LiteRtAddCustomOpKernelOption(
        options, DETOPS_OP_NAME, DETOPS_OP_VERSION,
        static_cast<const LiteRtCustomOpKernel*>(detops_litert_kernel_interface()), kernel_.get());
  }

  // Why the last preparation failed or the last run gave no detections; "" when it did not.
  const char* message() const { return detops_litert_kernel_message(kernel_.get()); }

 private:
  struct Destroy {
    void operator()(detops_litert_kernel* kernel) const { detops_litert_kernel_destroy(kernel); }
  };
  std::unique_ptr<detops_litert_kernel, Destroy> kernel_;
};

}  // namespace api
}  // namespace detops

#endif  // DETOPS_LITERT_HPP_
