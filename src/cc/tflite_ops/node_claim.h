// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

#ifndef DETOPS_TFLITE_OPS_NODE_CLAIM_H_
#define DETOPS_TFLITE_OPS_NODE_CLAIM_H_

#include "detops_tflite/c_abi.h"
#include "kernels/buffer.h"
#include "tflite_ops/input_trace.h"

namespace detops {

// Decides which nodes of a graph the delegate takes: every TFLite_Detection_PostProcess, and the
// DEQUANTIZE and RESHAPE nodes whose values nobody but such a node sees.
class NodeClaim {
 public:
  // Looks at the graph, from a delegate's Prepare. Errors are reported to the context.
  TfLiteStatus Build(TfLiteContext* context);

  // The nodes taken, in execution order, in the runtime's own form.
  const TfLiteIntArray* nodes() const {
    return reinterpret_cast<const TfLiteIntArray*>(claimed_.data());
  }

  int num_postprocess() const { return num_postprocess_; }
  int num_dequantize() const { return num_dequantize_; }
  int num_reshape() const { return num_reshape_; }

 private:
  bool IndexPlan();
  bool CountUses(TfLiteContext* context);
  TfLiteStatus CheckWiring(TfLiteContext* context);
  void MarkFusable(TfLiteContext* context);
  void Collect(TfLiteContext* context);
  TfLiteStatus DropWhatPartitionsSplit(TfLiteContext* context, bool* dropped);
  void MarkPartition(const TfLiteDelegateParams& partition, int number);
  bool IsSplit(const InputTrace& trace, int number) const;
  void FuseNothing();

  Buffer<int> plan_;
  Buffer<int> place_of_;       // per node: its place in the plan
  Buffer<int> uses_;           // per tensor: how many node inputs read it
  Buffer<int> op_uses_;        // per tensor: how many of them are inputs of the op
  Buffer<uint8_t> not_fused_;  // per tensor: an input of the op that must stay as it is
  Buffer<uint8_t> taken_;      // per place in the plan
  Buffer<int> partition_of_;   // per place in the plan: the last partition that had it
  Buffer<int> leaves_;         // per tensor: the last partition that it was to leave
  Buffer<int> claimed_;        // size, then nodes
  Producers producers_;
  int num_postprocess_ = 0;
  int num_dequantize_ = 0;
  int num_reshape_ = 0;
};

}  // namespace detops

#endif  // DETOPS_TFLITE_OPS_NODE_CLAIM_H_
