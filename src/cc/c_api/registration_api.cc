// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

// The op and the delegate for TFLite runtimes behind the C interface.
#include "detops/detops.h"
#include "tflite_ops/delegate.h"
#include "tflite_ops/postprocess_op.h"

static_assert(DETOPS_OP_VERSION == 1, "the version that postprocess_op.cc registers");

const TfLiteRegistration* detops_registration(void) { return detops::PostprocessOp(); }

TfLiteDelegate* detops_delegate_create(void) { return detops::CreateDelegate(); }

void detops_delegate_destroy(TfLiteDelegate* delegate) { detops::DestroyDelegate(delegate); }
