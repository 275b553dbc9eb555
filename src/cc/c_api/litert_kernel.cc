// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

#include "c_api/litert_kernel.h"

#include <algorithm>
#include <cstring>

#include "c_api/conversions.h"
#include "c_api/messages.h"
#include "tflite_ops/op_options.h"

namespace detops {
namespace {

const char* TypeName(int type) {
  switch (type) {
    case DETOPS_FLOAT32: return "float32";
    case DETOPS_UINT8: return "uint8";
    case DETOPS_INT8: return "int8";
    default: return "another type";
  }
}

LiteRtLayout LayoutOf(int rank, const int32_t* dims) {
  LiteRtLayout layout = {};
  layout.rank = static_cast<unsigned>(rank) & 0x7f;
  std::copy_n(dims, rank, layout.dimensions);
  return layout;
}

}  // namespace

void LiteRtKernel::SetInput(int input, detops_type type, float scale, int32_t zero_point) {
  stated_[input].type = type;
  stated_[input].scale = scale;
  stated_[input].zero_point = zero_point;
}

LiteRtStatus LiteRtKernel::Report(const FaultList& faults) {
  const detops_status status = Message(message_, sizeof(message_)).Report(faults);
  return status == DETOPS_OK ? kLiteRtStatusOk : kLiteRtStatusErrorInvalidArgument;
}

LiteRtStatus LiteRtKernel::Init(const void* options, size_t options_size) {
  ++nodes_;
  prepared_ = false;
  option_faults_.Clear();
  options_ = ReadOpOptions(options, options_size, &option_faults_);
  return Report(option_faults_);
}

bool LiteRtKernel::Prepare(size_t num_inputs, const LiteRtLayout* inputs, size_t num_outputs,
                           FaultList* faults) {
  if (nodes_ > 1) {
    faults->Add(Fault::kInputCount, "%d nodes share one kernel, expected a kernel for each node",
                nodes_);
  }
  CheckCounts(static_cast<int>(num_inputs), static_cast<int>(num_outputs), faults);
  if (!faults->empty()) return false;
  for (int i = 0; i < kNumInputs; ++i) {
    inputs_[i] = stated_[i];
    inputs_[i].rank = static_cast<int32_t>(inputs[i].rank);
    std::copy_n(inputs[i].dimensions, DETOPS_MAX_RANK, inputs_[i].dims);
  }
  return postprocessor_.Prepare(options_, DescOf(inputs_[0]), ScoreDescOf(inputs_[1]),
                                DescOf(inputs_[2]), faults);
}

LiteRtStatus LiteRtKernel::GetOutputLayouts(size_t num_inputs, const LiteRtLayout* inputs,
                                            size_t num_outputs, LiteRtLayout* outputs) {
  FaultList faults = option_faults_;
  prepared_ = faults.empty() && Prepare(num_inputs, inputs, num_outputs, &faults);
  if (prepared_) {
    const ProblemShape& shape = postprocessor_.shape();
    const int32_t dims[3] = {shape.batch, shape.slots, 4};
    const int ranks[kNumOutputs] = {3, 2, 2, 1};
    for (int i = 0; i < kNumOutputs; ++i) outputs[i] = LayoutOf(ranks[i], dims);
  } else {
    // LiteRT goes on whatever the status is, but not with such a shape.
    const int32_t impossible = -1;
    for (size_t i = 0; i < num_outputs; ++i) outputs[i] = LayoutOf(1, &impossible);
  }
  return Report(faults);
}

void LiteRtKernel::CheckInputs(const LiteRtTensorBuffer* inputs, FaultList* faults) const {
  for (int i = 0; i < kNumInputs; ++i) {
    LiteRtRankedTensorType type = {};
    if (functions_.get_tensor_type(inputs[i], &type) != kLiteRtStatusOk) {
      faults->Add(Fault::kDType, "LiteRT does not tell the type of %s", kInputNames[i]);
    } else if (type.element_type != inputs_[i].type) {
      faults->Add(
          Fault::kDType,
          "%s has type %s (LiteRT's number %d), expected %s; tell the type and quantization "
          "with detops_litert_kernel_set_input",
          kInputNames[i], TypeName(type.element_type), static_cast<int>(type.element_type),
          TypeName(inputs_[i].type));
    } else if (type.layout.rank != static_cast<unsigned>(inputs_[i].rank) ||
               std::memcmp(type.layout.dimensions, inputs_[i].dims,
                           sizeof(int32_t) * type.layout.rank) != 0) {
      faults->Add(Fault::kShape, "%s has another shape than when it was prepared", kInputNames[i]);
    }
  }
}

bool LiteRtKernel::LockAll(const LiteRtTensorBuffer* inputs, const LiteRtTensorBuffer* outputs,
                           void* memory[kNumInputs + kNumOutputs], FaultList* faults) const {
  for (int i = 0; i < kNumInputs + kNumOutputs; ++i) {
    const bool input = i < kNumInputs;
    const LiteRtTensorBuffer buffer = input ? inputs[i] : outputs[i - kNumInputs];
    const int mode = input ? kLiteRtTensorBufferLockModeRead : kLiteRtTensorBufferLockModeWrite;
    if (functions_.lock(buffer, &memory[i], mode) == kLiteRtStatusOk) continue;
    faults->Add(Fault::kMemory, "LiteRT does not lock %s %d", input ? "input" : "output",
                input ? i : i - kNumInputs);
    while (--i >= 0) functions_.unlock(i < kNumInputs ? inputs[i] : outputs[i - kNumInputs]);
    return false;
  }
  return true;
}

LiteRtStatus LiteRtKernel::Run(size_t num_inputs, const LiteRtTensorBuffer* inputs,
                               size_t num_outputs, const LiteRtTensorBuffer* outputs) {
  FaultList faults;
  if (!prepared_ || num_inputs != kNumInputs || num_outputs != kNumOutputs) {
    faults.Add(Fault::kShape, "it runs without having been prepared");
    return Report(faults);
  }
  void* memory[kNumInputs + kNumOutputs];
  if (!LockAll(inputs, outputs, memory, &faults)) return Report(faults);
  const DetectionOutputs out = {static_cast<float*>(memory[3]), static_cast<float*>(memory[4]),
                                static_cast<float*>(memory[5]), static_cast<float*>(memory[6])};
  CheckInputs(inputs, &faults);
  if (faults.empty()) {
    postprocessor_.Run(memory[0], memory[1], memory[2], out);
  } else {
    const size_t images = static_cast<size_t>(postprocessor_.shape().batch);
    const size_t slots = images * static_cast<size_t>(postprocessor_.shape().slots);
    std::fill_n(out.boxes, slots * 4, 0.0f);
    std::fill_n(out.classes, slots, 0.0f);
    std::fill_n(out.scores, slots, 0.0f);
    std::fill_n(out.counts, images, 0.0f);
  }
  for (int i = 0; i < kNumInputs; ++i) functions_.unlock(inputs[i]);
  for (int i = 0; i < kNumOutputs; ++i) functions_.unlock(outputs[i]);
  return Report(faults);
}

LiteRtStatus LiteRtKernel::Destroy() {
  if (nodes_ > 0) --nodes_;
  prepared_ = false;
  return kLiteRtStatusOk;
}

}  // namespace detops
