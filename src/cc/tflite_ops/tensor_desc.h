// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

#ifndef DETOPS_TFLITE_OPS_TENSOR_DESC_H_
#define DETOPS_TFLITE_OPS_TENSOR_DESC_H_

#include "detops_tflite/c_abi.h"
#include "kernels/tensor.h"

namespace detops {

// What the kernels must know of a runtime tensor. Valid while the tensor keeps its shape.
TensorDesc DescribeTensor(const TfLiteTensor& tensor);

// Bytes that a tensor of this description holds.
size_t ByteSize(const TensorDesc& desc);

// Asks the runtime to give a tensor a shape.
TfLiteStatus ResizeTensor(TfLiteContext* context, TfLiteTensor* tensor, const int* dims, int rank);

}  // namespace detops

#endif  // DETOPS_TFLITE_OPS_TENSOR_DESC_H_
