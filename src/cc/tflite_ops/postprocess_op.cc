// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

#include "tflite_ops/postprocess_op.h"

#include <new>

#include "tflite_ops/postprocess_node.h"

namespace detops {
namespace {

void* Init(TfLiteContext*, const char* options, size_t size) {
  auto* node = new (std::nothrow) PostprocessNode;
  if (node != nullptr) node->Init(options, size);
  return node;
}

void Free(TfLiteContext*, void* user_data) { delete static_cast<PostprocessNode*>(user_data); }

// Null, with an error, if Init had no memory for it.
PostprocessNode* NodeOf(TfLiteContext* context, const TfLiteNode& tflite_node) {
  auto* node = static_cast<PostprocessNode*>(tflite_node.user_data);
  if (node == nullptr) {
    context->ReportError(context, "TFLite_Detection_PostProcess: no memory for the node.");
  }
  return node;
}

TfLiteStatus Prepare(TfLiteContext* context, TfLiteNode* tflite_node) {
  PostprocessNode* node = NodeOf(context, *tflite_node);
  if (node == nullptr) return kTfLiteError;
  node->Bind(tflite_node->inputs, tflite_node->outputs);
  return node->Prepare(context);
}

TfLiteStatus Invoke(TfLiteContext* context, TfLiteNode* tflite_node) {
  PostprocessNode* node = NodeOf(context, *tflite_node);
  return node == nullptr ? kTfLiteError : node->Invoke(context);
}

// A runtime copies as much as its own structure has. What a later one has behind the fields that
// are known here is null, which is none.
struct Registration {
  TfLiteRegistration known;
  void* later[8];
};

Registration MakeRegistration() {
  Registration made = {};
  TfLiteRegistration& registration = made.known;
  registration.init = Init;
  registration.free = Free;
  registration.prepare = Prepare;
  registration.invoke = Invoke;
  registration.builtin_code = kTfLiteBuiltinCustom;
  registration.custom_name = kPostprocessOpName;
  registration.version = 1;
  return made;
}

}  // namespace

const TfLiteRegistration* PostprocessOp() {
  static const Registration registration = MakeRegistration();
  return &registration.known;
}

}  // namespace detops
