// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

#include "tflite_ops/node_claim.h"

#include <algorithm>

#include "tflite_ops/stuck_node.h"

namespace detops {
namespace {

// Each round drops what the one before has split off, which takes two at most in graphs that
// anybody wrote. In one made to take many, nothing is fused.
constexpr int kMaxRounds = 8;

// The node at a place of the plan, or null.
TfLiteNode* NodeOf(TfLiteContext* context, int index, TfLiteRegistration** registration) {
  TfLiteNode* node;
  return context->GetNodeAndRegistration(context, index, &node, registration) == kTfLiteOk
             ? node
             : nullptr;
}

// The inputs that the op reads; a malformed node may have more.
int NumOpInputs(const TfLiteNode& node) { return std::min(node.inputs->size, kNumInputs); }

}  // namespace

bool NodeClaim::IndexPlan() {
  const int* last = std::max_element(plan_.begin(), plan_.end());
  if (!place_of_.Allocate(last == plan_.end() ? 0 : static_cast<size_t>(*last) + 1)) return false;
  for (size_t i = 0; i < plan_.size(); ++i) place_of_[plan_[i]] = static_cast<int>(i);
  return true;
}

bool NodeClaim::CountUses(TfLiteContext* context) {
  if (!uses_.Allocate(context->tensors_size) || !op_uses_.Allocate(context->tensors_size) ||
      !not_fused_.Allocate(context->tensors_size)) {
    return false;
  }
  std::fill(uses_.begin(), uses_.end(), 0);
  std::fill(op_uses_.begin(), op_uses_.end(), 0);
  std::fill(not_fused_.begin(), not_fused_.end(), uint8_t{0});
  for (int index : plan_) {
    TfLiteRegistration* registration;
    const TfLiteNode* node = NodeOf(context, index, &registration);
    if (node == nullptr) return false;
    const int op_inputs = IsPostprocess(*registration) ? NumOpInputs(*node) : 0;
    for (int i = 0; i < node->inputs->size; ++i) {
      const int tensor = node->inputs->data[i];
      if (tensor < 0 || static_cast<size_t>(tensor) >= uses_.size()) continue;
      ++uses_[tensor];
      if (i < op_inputs) ++op_uses_[tensor];
    }
  }
  return true;
}

// What Prepare would refuse too late: a runtime crashes when it cuts a graph in which something can
// never run, and forgets the message when it goes back to its own op.
TfLiteStatus NodeClaim::CheckWiring(TfLiteContext* context) {
  bool any = false;
  for (int index : plan_) {
    TfLiteRegistration* registration;
    const TfLiteNode* node = NodeOf(context, index, &registration);
    if (!IsPostprocess(*registration)) continue;
    any = true;
    PostprocessNode probe;
    probe.Bind(node->inputs, node->outputs);
    const TfLiteStatus status = probe.CheckOutputsWritable(context);
    if (status != kTfLiteOk) return status;
  }
  StuckNode stuck;
  if (any && !stuck.Find(context, plan_, producers_)) {
    context->ReportError(context, "detops: no memory to look at %d nodes.",
                         static_cast<int>(plan_.size()));
    return kTfLiteError;
  }
  if (stuck.node() < 0) return kTfLiteOk;
  context->ReportError(context,
                       "detops: node %d can never run, since it waits for what comes of its own "
                       "outputs, expected a graph without circles. ",
                       stuck.node());
  return kTfLiteError;
}

// An input can be fused when all its uses are the op's and, with a RESHAPE between, the DEQUANTIZE
// feeds that alone.
void NodeClaim::MarkFusable(TfLiteContext* context) {
  for (int index : plan_) {
    TfLiteRegistration* registration;
    const TfLiteNode* node = NodeOf(context, index, &registration);
    if (!IsPostprocess(*registration)) continue;
    for (int i = 0; i < NumOpInputs(*node); ++i) {
      const int tensor = node->inputs->data[i];
      const InputTrace trace = TraceInput(context, producers_, tensor);
      if (trace.num_nodes == 0) continue;
      const bool shared = uses_[tensor] != op_uses_[tensor] ||
                          (trace.num_nodes == 2 && uses_[trace.tensors[0]] != 1);
      if (shared) not_fused_[tensor] = 1;
    }
  }
}

void NodeClaim::Collect(TfLiteContext* context) {
  num_postprocess_ = num_dequantize_ = num_reshape_ = 0;
  std::fill(taken_.begin(), taken_.end(), uint8_t{0});
  const auto take = [this](int node) {
    const int place = place_of_[node];
    const bool fresh = taken_[place] == 0;
    taken_[place] = 1;
    return fresh ? 1 : 0;
  };
  for (int index : plan_) {
    TfLiteRegistration* registration;
    const TfLiteNode* node = NodeOf(context, index, &registration);
    if (!IsPostprocess(*registration)) continue;
    num_postprocess_ += take(index);
    for (int i = 0; i < NumOpInputs(*node); ++i) {
      const int tensor = node->inputs->data[i];
      const InputTrace trace = TraceInput(context, producers_, tensor);
      if (trace.num_nodes == 0 || not_fused_[tensor] != 0) continue;
      num_dequantize_ += take(trace.nodes[0]);
      if (trace.num_nodes == 2) num_reshape_ += take(trace.nodes[1]);
    }
  }
  int size = 0;
  for (size_t i = 0; i < plan_.size(); ++i) {
    if (taken_[i] != 0) claimed_[++size] = plan_[i];
  }
  claimed_[0] = size;
}

void NodeClaim::MarkPartition(const TfLiteDelegateParams& partition, int number) {
  for (int i = 0; i < partition.nodes_to_replace->size; ++i) {
    partition_of_[place_of_[partition.nodes_to_replace->data[i]]] = number;
  }
  for (int i = 0; i < partition.output_tensors->size; ++i) {
    leaves_[partition.output_tensors->data[i]] = number;
  }
}

bool NodeClaim::IsSplit(const InputTrace& trace, int number) const {
  for (int t = 0; t < trace.num_nodes; ++t) {
    if (partition_of_[place_of_[trace.nodes[t]]] != number || leaves_[trace.tensors[t]] == number) {
      return true;
    }
  }
  return false;
}

// Only the runtime knows which tensors are outputs of the graph and how it will cut the claimed
// nodes into kernels. A value that would leave its kernel must be computed by its own node.
TfLiteStatus NodeClaim::DropWhatPartitionsSplit(TfLiteContext* context, bool* dropped) {
  *dropped = false;
  TfLiteDelegateParams* partitions = nullptr;
  int num_partitions = 0;
  const TfLiteStatus status =
      context->PreviewDelegatePartitioning(context, nodes(), &partitions, &num_partitions);
  if (status != kTfLiteOk) return status;
  std::fill(partition_of_.begin(), partition_of_.end(), -1);
  std::fill(leaves_.begin(), leaves_.end(), -1);
  for (int p = 0; p < num_partitions; ++p) {
    const TfLiteDelegateParams& partition = partitions[p];
    MarkPartition(partition, p);
    for (int n = 0; n < partition.nodes_to_replace->size; ++n) {
      TfLiteRegistration* registration;
      const TfLiteNode* node = NodeOf(context, partition.nodes_to_replace->data[n], &registration);
      if (node == nullptr || !IsPostprocess(*registration)) continue;
      for (int i = 0; i < NumOpInputs(*node); ++i) {
        const int tensor = node->inputs->data[i];
        const InputTrace trace = TraceInput(context, producers_, tensor);
        if (trace.num_nodes == 0 || not_fused_[tensor] != 0 || !IsSplit(trace, p)) continue;
        not_fused_[tensor] = 1;
        *dropped = true;
      }
    }
  }
  return kTfLiteOk;
}

void NodeClaim::FuseNothing() { std::fill(not_fused_.begin(), not_fused_.end(), uint8_t{1}); }

TfLiteStatus NodeClaim::Build(TfLiteContext* context) {
  TfLiteIntArray* plan;
  TfLiteStatus status = context->GetExecutionPlan(context, &plan);
  if (status != kTfLiteOk) return status;
  const size_t num_nodes = static_cast<size_t>(plan->size);
  if (!plan_.Allocate(num_nodes) || !taken_.Allocate(num_nodes) ||
      !claimed_.Allocate(num_nodes + 1) || !partition_of_.Allocate(num_nodes) ||
      !leaves_.Allocate(context->tensors_size)) {
    context->ReportError(context, "detops: no memory to look at %d nodes.", plan->size);
    return kTfLiteError;
  }
  std::copy(plan->data, plan->data + plan->size, plan_.begin());
  if (!IndexPlan() || !producers_.Build(context, plan_.data(), static_cast<int>(num_nodes)) ||
      !CountUses(context)) {
    context->ReportError(context, "detops: cannot look at the nodes of the graph.");
    return kTfLiteError;
  }
  status = CheckWiring(context);
  if (status != kTfLiteOk) return status;
  MarkFusable(context);
  bool dropped = true;
  for (int round = 0; dropped; ++round) {
    if (round == kMaxRounds) FuseNothing();
    Collect(context);
    dropped = false;
    if (num_dequantize_ == 0) break;
    status = DropWhatPartitionsSplit(context, &dropped);
    if (status != kTfLiteOk) return status;
  }
  return kTfLiteOk;
}

}  // namespace detops
