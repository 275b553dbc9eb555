// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

#ifndef DETOPS_C_API_CONVERSIONS_H_
#define DETOPS_C_API_CONVERSIONS_H_

#include "detops/detops.h"
#include "kernels/options.h"
#include "kernels/tensor.h"

namespace detops {

// A description that points to the dimensions of tensor. A rank that it cannot have becomes 0,
// which no check lets pass.
TensorDesc DescOf(const detops_tensor& tensor);

// The same, rounded as the op rounds its scores.
TensorDesc ScoreDescOf(const detops_tensor& tensor);

Options OptionsOf(const detops_options& options);
detops_options OptionsOf(const Options& options);

}  // namespace detops

#endif  // DETOPS_C_API_CONVERSIONS_H_
