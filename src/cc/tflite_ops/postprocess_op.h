// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

#ifndef DETOPS_TFLITE_OPS_POSTPROCESS_OP_H_
#define DETOPS_TFLITE_OPS_POSTPROCESS_OP_H_

#include "detops_tflite/c_abi.h"

namespace detops {

constexpr const char* kPostprocessOpName = "TFLite_Detection_PostProcess";

// The op for a resolver: resolver.AddCustom(kPostprocessOpName, PostprocessOp()). Static storage,
// never to be freed; usable from any thread.
const TfLiteRegistration* PostprocessOp();

}  // namespace detops

#endif  // DETOPS_TFLITE_OPS_POSTPROCESS_OP_H_
