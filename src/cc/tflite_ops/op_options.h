// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

#ifndef DETOPS_TFLITE_OPS_OP_OPTIONS_H_
#define DETOPS_TFLITE_OPS_OP_OPTIONS_H_

#include <cstddef>

#include "kernels/faults.h"
#include "kernels/options.h"

namespace detops {

// Reads the option block of a TFLite_Detection_PostProcess node. Absent keys keep their initial
// values, unknown keys are ignored, and numbers are converted between integer, float, bool and
// numeric string as stock does. What cannot be a number or does not fit is a fault.
// Accepts any bytes, also none.
Options ReadOpOptions(const void* data, size_t size, FaultList* faults);

}  // namespace detops

#endif  // DETOPS_TFLITE_OPS_OP_OPTIONS_H_
