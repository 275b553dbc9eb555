// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

#ifndef DETOPS_TFLITE_OPS_STUCK_NODE_H_
#define DETOPS_TFLITE_OPS_STUCK_NODE_H_

#include "detops_tflite/c_abi.h"
#include "kernels/buffer.h"
#include "tflite_ops/input_trace.h"

namespace detops {

// Finds a node that can never run, because it waits for what comes of its own outputs. Runtimes
// crash when they cut such a graph into partitions.
class StuckNode {
 public:
  // False when there is no memory. The work is in proportion to the nodes and their tensors.
  bool Find(TfLiteContext* context, const Buffer<int>& plan, const Producers& producers);

  // The first such node of the plan, or -1.
  int node() const { return node_; }

 private:
  bool ListReaders(TfLiteContext* context, const Buffer<int>& plan, const Producers& producers);
  void RunAll(TfLiteContext* context, const Buffer<int>& plan);
  void Write(const TfLiteIntArray& tensors, size_t* num_ready);

  Buffer<int> first_;        // per tensor: where its readers begin in readers_; then their end
  Buffer<int> readers_;      // places in the plan
  Buffer<int> waits_for_;    // per place: inputs that are not written yet
  Buffer<int> ready_;        // places, in the order in which they can run
  Buffer<uint8_t> written_;  // per tensor
  int node_ = -1;
};

}  // namespace detops

#endif  // DETOPS_TFLITE_OPS_STUCK_NODE_H_
