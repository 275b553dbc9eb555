// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

// Pins the place of every field of the runtime's structures that is read or written. Compiled
// against our own declarations it guards them from edits; against the real headers it proves that
// the two agree.
#include <cstddef>
#include <cstdint>

#include "detops_tflite/c_abi.h"

// 32-bit x86 aligns 8-byte fields as neither of these does.
#if UINTPTR_MAX == UINT64_MAX || defined(__arm__)

namespace {

// Where a field is with 8-byte and with 4-byte pointers.
#define DETOPS_OFFSET(type, field, lp64, ilp32)                                   \
  static_assert(offsetof(type, field) == (sizeof(void*) == 8 ? (lp64) : (ilp32)), \
                #type "." #field " is not where the runtime puts it")

DETOPS_OFFSET(TfLiteTensor, type, 0, 0);
DETOPS_OFFSET(TfLiteTensor, data, 8, 4);
DETOPS_OFFSET(TfLiteTensor, dims, 16, 8);
DETOPS_OFFSET(TfLiteTensor, params, 24, 12);
DETOPS_OFFSET(TfLiteTensor, allocation_type, 32, 20);
DETOPS_OFFSET(TfLiteTensor, bytes, 40, 24);
DETOPS_OFFSET(TfLiteTensor, name, 56, 32);
DETOPS_OFFSET(TfLiteTensor, quantization, 80, 48);
DETOPS_OFFSET(TfLiteTensor, dims_signature, 104, 60);
static_assert(sizeof(TfLiteTensor) == (sizeof(void*) == 8 ? 112 : 64),
              "the stride of context->tensors");

DETOPS_OFFSET(TfLiteQuantization, params, 8, 4);
DETOPS_OFFSET(TfLiteAffineQuantization, scale, 0, 0);
DETOPS_OFFSET(TfLiteIntArray, data, 4, 4);
DETOPS_OFFSET(TfLiteFloatArray, data, 4, 4);

DETOPS_OFFSET(TfLiteNode, inputs, 0, 0);
DETOPS_OFFSET(TfLiteNode, outputs, 8, 4);
DETOPS_OFFSET(TfLiteNode, user_data, 32, 16);
DETOPS_OFFSET(TfLiteNode, custom_initial_data, 48, 24);
DETOPS_OFFSET(TfLiteNode, custom_initial_data_size, 56, 28);

DETOPS_OFFSET(TfLiteRegistration, init, 0, 0);
DETOPS_OFFSET(TfLiteRegistration, free, 8, 4);
DETOPS_OFFSET(TfLiteRegistration, prepare, 16, 8);
DETOPS_OFFSET(TfLiteRegistration, invoke, 24, 12);
DETOPS_OFFSET(TfLiteRegistration, builtin_code, 40, 20);
DETOPS_OFFSET(TfLiteRegistration, custom_name, 48, 24);
DETOPS_OFFSET(TfLiteRegistration, version, 56, 28);
static_assert(sizeof(TfLiteRegistration) == (sizeof(void*) == 8 ? 88 : 48),
              "a delegate passes its kernel's by value");

DETOPS_OFFSET(TfLiteContext, tensors_size, 0, 0);
DETOPS_OFFSET(TfLiteContext, GetExecutionPlan, 8, 4);
DETOPS_OFFSET(TfLiteContext, tensors, 16, 8);
DETOPS_OFFSET(TfLiteContext, ResizeTensor, 32, 16);
DETOPS_OFFSET(TfLiteContext, ReportError, 40, 20);
DETOPS_OFFSET(TfLiteContext, GetNodeAndRegistration, 56, 28);
DETOPS_OFFSET(TfLiteContext, ReplaceNodeSubsetsWithDelegateKernels, 64, 32);
DETOPS_OFFSET(TfLiteContext, PreviewDelegatePartitioning, 152, 76);

DETOPS_OFFSET(TfLiteDelegateParams, nodes_to_replace, 8, 4);
DETOPS_OFFSET(TfLiteDelegateParams, output_tensors, 24, 12);

DETOPS_OFFSET(TfLiteDelegate, data_, 0, 0);
DETOPS_OFFSET(TfLiteDelegate, Prepare, 8, 4);
DETOPS_OFFSET(TfLiteDelegate, flags, 40, 24);
DETOPS_OFFSET(TfLiteDelegate, opaque_delegate_builder, 48, 32);

}  // namespace

#endif
