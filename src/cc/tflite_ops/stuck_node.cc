// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

#include "tflite_ops/stuck_node.h"

#include <algorithm>

namespace detops {
namespace {

// Nodes of the plan are known to exist.
const TfLiteNode& NodeAt(TfLiteContext* context, int index) {
  TfLiteNode* node = nullptr;
  TfLiteRegistration* registration;
  context->GetNodeAndRegistration(context, index, &node, &registration);
  return *node;
}

}  // namespace

bool StuckNode::ListReaders(TfLiteContext* context, const Buffer<int>& plan,
                            const Producers& producers) {
  const size_t num_tensors = context->tensors_size;
  if (!first_.Allocate(num_tensors + 2) || !waits_for_.Allocate(plan.size())) return false;
  std::fill(first_.begin(), first_.end(), 0);
  // Counted two places ahead, so that filling in moves each begin to where it belongs.
  size_t num_reads = 0;
  for (size_t place = 0; place < plan.size(); ++place) {
    const TfLiteIntArray& inputs = *NodeAt(context, plan[place]).inputs;
    waits_for_[place] = 0;
    for (int i = 0; i < inputs.size; ++i) {
      if (producers.Of(inputs.data[i]) < 0) continue;
      ++waits_for_[place];
      ++first_[static_cast<size_t>(inputs.data[i]) + 2];
      ++num_reads;
    }
  }
  for (size_t t = 2; t < first_.size(); ++t) first_[t] += first_[t - 1];
  if (!readers_.Allocate(num_reads)) return false;
  for (size_t place = 0; place < plan.size(); ++place) {
    const TfLiteIntArray& inputs = *NodeAt(context, plan[place]).inputs;
    for (int i = 0; i < inputs.size; ++i) {
      if (producers.Of(inputs.data[i]) < 0) continue;
      readers_[first_[static_cast<size_t>(inputs.data[i]) + 1]++] = static_cast<int>(place);
    }
  }
  return true;
}

void StuckNode::Write(const TfLiteIntArray& tensors, size_t* num_ready) {
  for (int i = 0; i < tensors.size; ++i) {
    const int tensor = tensors.data[i];
    if (tensor < 0 || static_cast<size_t>(tensor) >= written_.size() || written_[tensor] != 0) {
      continue;
    }
    written_[tensor] = 1;
    for (int r = first_[tensor]; r < first_[tensor + 1]; ++r) {
      if (--waits_for_[readers_[r]] == 0) ready_[(*num_ready)++] = readers_[r];
    }
  }
}

void StuckNode::RunAll(TfLiteContext* context, const Buffer<int>& plan) {
  size_t num_ready = 0;
  for (size_t place = 0; place < plan.size(); ++place) {
    if (waits_for_[place] == 0) ready_[num_ready++] = static_cast<int>(place);
  }
  for (size_t done = 0; done < num_ready; ++done) {
    Write(*NodeAt(context, plan[ready_[done]]).outputs, &num_ready);
  }
  for (size_t place = plan.size(); place-- > 0;) {
    if (waits_for_[place] > 0) node_ = plan[place];
  }
}

bool StuckNode::Find(TfLiteContext* context, const Buffer<int>& plan, const Producers& producers) {
  node_ = -1;
  if (!ListReaders(context, plan, producers) || !ready_.Allocate(plan.size()) ||
      !written_.Allocate(context->tensors_size)) {
    return false;
  }
  std::fill(written_.begin(), written_.end(), uint8_t{0});
  RunAll(context, plan);
  return true;
}

}  // namespace detops
