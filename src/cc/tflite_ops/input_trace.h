// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

#ifndef DETOPS_TFLITE_OPS_INPUT_TRACE_H_
#define DETOPS_TFLITE_OPS_INPUT_TRACE_H_

#include "detops_tflite/c_abi.h"
#include "kernels/buffer.h"
#include "tflite_ops/postprocess_node.h"

namespace detops {

// True for a TFLite_Detection_PostProcess node.
bool IsPostprocess(const TfLiteRegistration& registration);

// Which of a set of nodes writes each tensor.
class Producers {
 public:
  // False when there is no memory.
  bool Build(TfLiteContext* context, const int* nodes, int num_nodes);

  // The node that writes the tensor, or -1 when none of the set does.
  int Of(int tensor) const {
    return tensor >= 0 && static_cast<size_t>(tensor) < node_of_.size() ? node_of_[tensor] : -1;
  }

 private:
  Buffer<int> node_of_;
};

// The nodes between an input of the op and the quantised tensor it comes from.
struct InputTrace {
  InputSource source;
  int nodes[2] = {-1, -1};    // the DEQUANTIZE first, then the RESHAPE if there is one
  int tensors[2] = {-1, -1};  // what each of them writes
  int num_nodes = 0;
};

// Follows an input of the op up through a RESHAPE with a constant shape to a DEQUANTIZE of an 8-bit
// tensor, among the given producers. num_nodes is 0 and the source the tensor itself where there
// is no such path. May be called wherever the runtime lets a delegate look at the graph.
InputTrace TraceInput(TfLiteContext* context, const Producers& producers, int tensor);

}  // namespace detops

#endif  // DETOPS_TFLITE_OPS_INPUT_TRACE_H_
