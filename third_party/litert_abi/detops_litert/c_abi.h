// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

// The part of the LiteRT 2 C interface that a custom op kernel meets at run time.
//
// LiteRT documents the two structures as stable. The names are the interface's own; see
// tflite_abi for why they are declared here. Tried against ai-edge-litert 2.3.
#ifndef DETOPS_LITERT_C_ABI_H_
#define DETOPS_LITERT_C_ABI_H_

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum LiteRtStatus {
  kLiteRtStatusOk = 0,
  kLiteRtStatusErrorInvalidArgument = 1,
} LiteRtStatus;

typedef enum LiteRtElementType {
  kLiteRtElementTypeFloat32 = 1,
  kLiteRtElementTypeUInt8 = 3,
  kLiteRtElementTypeInt8 = 9,
} LiteRtElementType;

typedef enum LiteRtTensorBufferLockMode {
  kLiteRtTensorBufferLockModeRead = 0,
  kLiteRtTensorBufferLockModeWrite = 1,
} LiteRtTensorBufferLockMode;

#define LITERT_TENSOR_MAX_RANK 8

typedef struct LiteRtLayout {
  unsigned int rank : 7;
  unsigned int has_strides : 1;
  int32_t dimensions[LITERT_TENSOR_MAX_RANK];
  uint32_t strides[LITERT_TENSOR_MAX_RANK];
} LiteRtLayout;

typedef struct LiteRtRankedTensorType {
  int32_t element_type;
  LiteRtLayout layout;
} LiteRtRankedTensorType;

typedef struct LiteRtTensorBufferT* LiteRtTensorBuffer;

typedef struct LiteRtCustomOpKernel {
  LiteRtStatus (*Init)(void* user_data, const void* init_data, size_t init_data_size);
  LiteRtStatus (*GetOutputLayouts)(void* user_data, size_t num_inputs,
                                   const LiteRtLayout* input_layouts, size_t num_outputs,
                                   LiteRtLayout* output_layouts);
  LiteRtStatus (*Run)(void* user_data, size_t num_inputs, const LiteRtTensorBuffer* inputs,
                      size_t num_outputs, LiteRtTensorBuffer* outputs);
  LiteRtStatus (*Destroy)(void* user_data);
} LiteRtCustomOpKernel;

#ifdef __cplusplus
}  // extern "C"

static_assert(sizeof(LiteRtLayout) == 68, "as LiteRT documents it");
static_assert(sizeof(LiteRtRankedTensorType) == 72, "as LiteRT documents it");
#endif

#endif  // DETOPS_LITERT_C_ABI_H_
