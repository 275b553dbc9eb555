// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

#include "tflite_ops/delegate_kernel.h"

#include <algorithm>
#include <new>

#include "kernels/buffer.h"
#include "tflite_ops/delegate.h"
#include "tflite_ops/input_trace.h"
#include "tflite_ops/postprocess_node.h"

namespace detops {
namespace {

// The post-process nodes of one partition.
class Kernel {
 public:
  Kernel() = default;
  Kernel(const Kernel&) = delete;
  Kernel& operator=(const Kernel&) = delete;
  ~Kernel() { delete[] nodes_; }

  // False when the partition cannot be read or there is no memory.
  bool Init(TfLiteContext* context, const TfLiteDelegateParams& partition) {
    const TfLiteIntArray& members = *partition.nodes_to_replace;
    Tensors tensors;
    if (!tensors.producers.Build(context, members.data, members.size) ||
        !tensors.leaves.Allocate(context->tensors_size) ||
        !tensors.unseen.Allocate(context->tensors_size)) {
      return false;
    }
    std::fill(tensors.leaves.begin(), tensors.leaves.end(), uint8_t{0});
    std::fill(tensors.unseen.begin(), tensors.unseen.end(), Unseen());
    for (int i = 0; i < partition.output_tensors->size; ++i) {
      tensors.leaves[partition.output_tensors->data[i]] = 1;
    }
    nodes_ = new (std::nothrow) PostprocessNode[members.size];
    return nodes_ != nullptr &&
           ForEach(context, members,
                   [&tensors](const TfLiteNode& from, PostprocessNode* node) {
                     Add(from, &tensors, node);
                   }) &&
           ForEach(context, members,
                   [&tensors, context](const TfLiteNode& from, PostprocessNode* node) {
                     Connect(context, from, tensors, node);
                   });
  }

  TfLiteStatus Prepare(TfLiteContext* context) {
    for (int i = 0; i < num_nodes_; ++i) {
      const TfLiteStatus status = nodes_[i].Prepare(context);
      if (status != kTfLiteOk) return status;
    }
    return kTfLiteOk;
  }

  TfLiteStatus Invoke(TfLiteContext* context) {
    for (int i = 0; i < num_nodes_; ++i) {
      const TfLiteStatus status = nodes_[i].Invoke(context);
      if (status != kTfLiteOk) return status;
    }
    return kTfLiteOk;
  }

 private:
  // A tensor that stays in the kernel: the output of one of its nodes.
  struct Unseen {
    const PostprocessNode* node = nullptr;
    int output = 0;
  };

  // What is known of the tensors of the graph.
  struct Tensors {
    Producers producers;
    Buffer<uint8_t> leaves;
    Buffer<Unseen> unseen;
  };

  // Calls function(node of the runtime, our node) for each that is a post-process node.
  template <typename Function>
  bool ForEach(TfLiteContext* context, const TfLiteIntArray& members, Function function) {
    num_nodes_ = 0;
    for (int i = 0; i < members.size; ++i) {
      TfLiteNode* node;
      TfLiteRegistration* registration;
      if (context->GetNodeAndRegistration(context, members.data[i], &node, &registration) !=
          kTfLiteOk) {
        return false;
      }
      if (IsPostprocess(*registration)) function(*node, &nodes_[num_nodes_++]);
    }
    return true;
  }

  // The runtime gives memory to the tensors that leave the partition, and to no others.
  static void Add(const TfLiteNode& from, Tensors* tensors, PostprocessNode* node) {
    const int size = from.custom_initial_data_size;
    node->Init(from.custom_initial_data, size > 0 ? static_cast<size_t>(size) : 0);
    node->Bind(from.inputs, from.outputs);
    for (int i = 0; i < kNumOutputs && i < from.outputs->size; ++i) {
      const int tensor = from.outputs->data[i];
      const bool known = IsTensor(*tensors, tensor);
      if (known && tensors->leaves[tensor] != 0) continue;
      node->SetUnseen(i);
      if (known) tensors->unseen[tensor] = {node, i};
    }
  }

  static void Connect(TfLiteContext* context, const TfLiteNode& from, const Tensors& tensors,
                      PostprocessNode* node) {
    for (int i = 0; i < kNumInputs && i < from.inputs->size; ++i) {
      const InputSource source =
          TraceInput(context, tensors.producers, from.inputs->data[i]).source;
      node->SetSource(i, source);
      if (!IsTensor(tensors, source.tensor)) continue;
      const Unseen& feeder = tensors.unseen[source.tensor];
      if (feeder.node != nullptr) node->SetFeeder(i, feeder.node, feeder.output);
    }
  }

  static bool IsTensor(const Tensors& tensors, int index) {
    return index >= 0 && static_cast<size_t>(index) < tensors.leaves.size();
  }

  PostprocessNode* nodes_ = nullptr;
  int num_nodes_ = 0;
};

void* Init(TfLiteContext* context, const char* params, size_t) {
  const auto* partition = reinterpret_cast<const TfLiteDelegateParams*>(params);
  auto* kernel = new (std::nothrow) Kernel;
  if (kernel != nullptr && !kernel->Init(context, *partition)) {
    delete kernel;
    kernel = nullptr;
  }
  return kernel;
}

void Free(TfLiteContext*, void* user_data) { delete static_cast<Kernel*>(user_data); }

// Null, with an error, if Init had no memory for it.
Kernel* KernelOf(TfLiteContext* context, const TfLiteNode& node) {
  auto* kernel = static_cast<Kernel*>(node.user_data);
  if (kernel == nullptr) {
    context->ReportError(context, "detops: no memory for the delegate's kernel.");
  }
  return kernel;
}

TfLiteStatus Prepare(TfLiteContext* context, TfLiteNode* node) {
  Kernel* kernel = KernelOf(context, *node);
  return kernel == nullptr ? kTfLiteError : kernel->Prepare(context);
}

TfLiteStatus Invoke(TfLiteContext* context, TfLiteNode* node) {
  Kernel* kernel = KernelOf(context, *node);
  return kernel == nullptr ? kTfLiteError : kernel->Invoke(context);
}

}  // namespace

TfLiteRegistration DelegateKernel() {
  TfLiteRegistration registration = {};
  registration.init = Init;
  registration.free = Free;
  registration.prepare = Prepare;
  registration.invoke = Invoke;
  registration.custom_name = kDelegateName;
  registration.version = 1;
  return registration;
}

}  // namespace detops
