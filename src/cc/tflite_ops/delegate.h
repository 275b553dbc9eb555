// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

#ifndef DETOPS_TFLITE_OPS_DELEGATE_H_
#define DETOPS_TFLITE_OPS_DELEGATE_H_

#include "detops_tflite/c_abi.h"

namespace detops {

constexpr const char* kDelegateName = "DetopsDelegate";

// What a delegate did to all graphs it was applied to; a model may have several subgraphs.
struct DelegateReport {
  int postprocess_nodes = 0;  // TFLite_Detection_PostProcess nodes taken
  int dequantize_nodes = 0;   // DEQUANTIZE nodes fused into them
  int reshape_nodes = 0;      // RESHAPE nodes fused into them
  int earlier_nodes = 0;      // TFLite_Detection_PostProcess nodes that another detops delegate has
};

// A delegate that runs every TFLite_Detection_PostProcess of a graph, on the quantised tensors
// where DEQUANTIZE nodes feed nothing else. It may be applied to many interpreters, from any
// thread, and must outlive none that does not apply it again: kernels it made do not refer to it.
// Null when there is no memory.
TfLiteDelegate* CreateDelegate();
void DestroyDelegate(TfLiteDelegate* delegate);

DelegateReport ReportOf(const TfLiteDelegate* delegate);

}  // namespace detops

#endif  // DETOPS_TFLITE_OPS_DELEGATE_H_
