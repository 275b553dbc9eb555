// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

#include "tflite_ops/delegate.h"

#include <atomic>
#include <cstring>
#include <new>

#include "tflite_ops/delegate_kernel.h"
#include "tflite_ops/input_trace.h"
#include "tflite_ops/node_claim.h"

namespace detops {
namespace {

// The runtime sees the first member; the report travels with it. Interpreters in several threads
// may add to it at once.
struct Delegate {
  TfLiteDelegate base = {};
  // What a later runtime reads behind the fields that are known here: null is none.
  void* later[8] = {};
  std::atomic<int> postprocess_nodes{0};
  std::atomic<int> dequantize_nodes{0};
  std::atomic<int> reshape_nodes{0};
  std::atomic<int> earlier_nodes{0};
};

int CountPostprocess(TfLiteContext* context, const TfLiteIntArray& nodes) {
  int count = 0;
  for (int i = 0; i < nodes.size; ++i) {
    TfLiteNode* node;
    TfLiteRegistration* registration;
    const bool found =
        context->GetNodeAndRegistration(context, nodes.data[i], &node, &registration) == kTfLiteOk;
    count += found && IsPostprocess(*registration);
  }
  return count;
}

// What kernels of a delegate applied before stand for. It may come from another copy of the
// library, so only what the runtime keeps is looked at.
int CountEarlierNodes(TfLiteContext* context) {
  TfLiteIntArray* plan;
  if (context->GetExecutionPlan(context, &plan) != kTfLiteOk) return 0;
  int count = 0;
  for (int i = 0; i < plan->size; ++i) {
    TfLiteNode* node;
    TfLiteRegistration* registration;
    if (context->GetNodeAndRegistration(context, plan->data[i], &node, &registration) !=
        kTfLiteOk) {
      continue;
    }
    const char* name = registration->custom_name;
    if (name == nullptr || std::strcmp(name, kDelegateName) != 0) continue;
    const auto* partition = static_cast<const TfLiteDelegateParams*>(node->builtin_data);
    if (partition != nullptr) count += CountPostprocess(context, *partition->nodes_to_replace);
  }
  return count;
}

TfLiteStatus Prepare(TfLiteContext* context, TfLiteDelegate* delegate) {
  auto& report = *static_cast<Delegate*>(delegate->data_);
  report.earlier_nodes += CountEarlierNodes(context);
  NodeClaim claim;
  const TfLiteStatus status = claim.Build(context);
  if (status != kTfLiteOk) return status;
  report.postprocess_nodes += claim.num_postprocess();
  report.dequantize_nodes += claim.num_dequantize();
  report.reshape_nodes += claim.num_reshape();
  if (claim.num_postprocess() == 0) return kTfLiteOk;
  return context->ReplaceNodeSubsetsWithDelegateKernels(context, DelegateKernel(), claim.nodes(),
                                                        delegate);
}

}  // namespace

TfLiteDelegate* CreateDelegate() {
  auto* delegate = new (std::nothrow) Delegate();
  if (delegate == nullptr) return nullptr;
  delegate->base.data_ = delegate;
  delegate->base.Prepare = Prepare;
  // Shapes are checked again whenever they change, so the graph need not be frozen.
  delegate->base.flags = kTfLiteDelegateFlagsAllowDynamicTensors;
  return &delegate->base;
}

void DestroyDelegate(TfLiteDelegate* delegate) {
  if (delegate != nullptr) delete static_cast<Delegate*>(delegate->data_);
}

DelegateReport ReportOf(const TfLiteDelegate* delegate) {
  const auto& counts = *static_cast<const Delegate*>(delegate->data_);
  DelegateReport report;
  report.postprocess_nodes = counts.postprocess_nodes;
  report.dequantize_nodes = counts.dequantize_nodes;
  report.reshape_nodes = counts.reshape_nodes;
  report.earlier_nodes = counts.earlier_nodes;
  return report;
}

}  // namespace detops
