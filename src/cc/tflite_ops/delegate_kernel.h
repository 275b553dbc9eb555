// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

#ifndef DETOPS_TFLITE_OPS_DELEGATE_KERNEL_H_
#define DETOPS_TFLITE_OPS_DELEGATE_KERNEL_H_

#include "detops_tflite/c_abi.h"

namespace detops {

// The node that stands for one partition of claimed nodes. Errors found while it is made are
// reported by its prepare.
TfLiteRegistration DelegateKernel();

}  // namespace detops

#endif  // DETOPS_TFLITE_OPS_DELEGATE_KERNEL_H_
