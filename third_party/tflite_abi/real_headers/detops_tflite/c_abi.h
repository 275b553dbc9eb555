// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

// Stands in for the declarations beside it when the build has a TensorFlow or LiteRT source tree
// (DETOPS_TFLITE_SOURCE_DIR): the same names, from the real headers.
#ifndef DETOPS_TFLITE_C_ABI_H_
#define DETOPS_TFLITE_C_ABI_H_

#if __has_include("tflite/c/common.h")
#include "tflite/c/common.h"
#else
#include "tensorflow/lite/c/common.h"
#endif

// Operator codes of the schema, for the ops that the delegate looks at.
enum { kTfLiteBuiltinDequantize = 6, kTfLiteBuiltinReshape = 22, kTfLiteBuiltinCustom = 32 };

#endif  // DETOPS_TFLITE_C_ABI_H_
