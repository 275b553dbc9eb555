// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

#ifndef DETOPS_C_API_LITERT_KERNEL_H_
#define DETOPS_C_API_LITERT_KERNEL_H_

#include <cstddef>
#include <cstdint>

#include "detops/detops.h"
#include "detops_litert/c_abi.h"
#include "kernels/checks.h"
#include "kernels/faults.h"
#include "kernels/postprocessor.h"

namespace detops {

// The op as LiteRT's CompiledModel calls it: options once, shapes when they change, then runs.
// LiteRT looks at no status, so each of these also leaves a message.
class LiteRtKernel {
 public:
  explicit LiteRtKernel(const detops_litert_functions& functions) : functions_(functions) {}

  // What runs will find in an input, from the next preparation on.
  void SetInput(int input, detops_type type, float scale, int32_t zero_point);

  LiteRtStatus Init(const void* options, size_t options_size);
  LiteRtStatus GetOutputLayouts(size_t num_inputs, const LiteRtLayout* inputs, size_t num_outputs,
                                LiteRtLayout* outputs);
  LiteRtStatus Run(size_t num_inputs, const LiteRtTensorBuffer* inputs, size_t num_outputs,
                   const LiteRtTensorBuffer* outputs);
  LiteRtStatus Destroy();

  const char* message() const { return message_; }

 private:
  bool Prepare(size_t num_inputs, const LiteRtLayout* inputs, size_t num_outputs,
               FaultList* faults);
  void CheckInputs(const LiteRtTensorBuffer* inputs, FaultList* faults) const;
  bool LockAll(const LiteRtTensorBuffer* inputs, const LiteRtTensorBuffer* outputs,
               void* memory[kNumInputs + kNumOutputs], FaultList* faults) const;
  LiteRtStatus Report(const FaultList& faults);

  detops_litert_functions functions_;
  detops_tensor stated_[kNumInputs] = {{DETOPS_FLOAT32, 0, {}, 0.0f, 0},
                                       {DETOPS_FLOAT32, 0, {}, 0.0f, 0},
                                       {DETOPS_FLOAT32, 0, {}, 0.0f, 0}};
  detops_tensor inputs_[kNumInputs] = {};  // what the last preparation was for
  int nodes_ = 0;
  Options options_;
  FaultList option_faults_;
  bool prepared_ = false;
  Postprocessor postprocessor_;
  char message_[DETOPS_MESSAGE_BYTES] = "";
};

}  // namespace detops

#endif  // DETOPS_C_API_LITERT_KERNEL_H_
