// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

// The whole op, and its options, behind the C interface.
#include <memory>
#include <new>

#include "c_api/conversions.h"
#include "c_api/messages.h"
#include "detops/detops.h"
#include "kernels/postprocessor.h"
#include "tflite_ops/op_options.h"

struct detops_postprocessor {
  detops::Postprocessor postprocessor;
};

using detops::DescOf;
using detops::Fault;
using detops::FaultList;
using detops::Message;
using detops::OptionsOf;
using detops::ScoreDescOf;

const char* detops_version(void) { return DETOPS_VERSION; }

void detops_options_init(detops_options* options) {
  *options = {0, 10, 1, 100, false, 0.0f, 0.6f, 10.0f, 10.0f, 5.0f, 5.0f};
}

detops_status detops_options_parse(const void* block, size_t block_bytes, detops_options* options,
                                   char* message, size_t message_bytes) {
  Message to(message, message_bytes);
  if (options == nullptr) return to.ReportNull("options");
  if (block == nullptr && block_bytes > 0) return to.ReportNull("block");
  FaultList faults;
  const detops::Options read = detops::ReadOpOptions(block, block_bytes, &faults);
  if (faults.empty()) *options = OptionsOf(read);
  return to.Report(faults);
}

detops_status detops_postprocessor_create(const detops_options* options,
                                          const detops_tensor* box_encodings,
                                          const detops_tensor* scores, const detops_tensor* anchors,
                                          detops_postprocessor** postprocessor, char* message,
                                          size_t message_bytes) {
  Message to(message, message_bytes);
  if (postprocessor == nullptr) return to.ReportNull("postprocessor");
  *postprocessor = nullptr;
  if (options == nullptr) return to.ReportNull("options");
  if (box_encodings == nullptr) return to.ReportNull("box_encodings");
  if (scores == nullptr) return to.ReportNull("scores");
  if (anchors == nullptr) return to.ReportNull("anchors");
  FaultList faults;
  std::unique_ptr<detops_postprocessor> made(new (std::nothrow) detops_postprocessor);
  if (made == nullptr) {
    faults.Add(Fault::kMemory, "no memory for a postprocessor");
  } else if (made->postprocessor.Prepare(OptionsOf(*options), DescOf(*box_encodings),
                                         ScoreDescOf(*scores), DescOf(*anchors), &faults)) {
    *postprocessor = made.release();
  }
  return to.Report(faults);
}

void detops_postprocessor_destroy(detops_postprocessor* postprocessor) { delete postprocessor; }

int32_t detops_postprocessor_slots(const detops_postprocessor* postprocessor) {
  return postprocessor->postprocessor.shape().slots;
}

int32_t detops_postprocessor_batch(const detops_postprocessor* postprocessor) {
  return postprocessor->postprocessor.shape().batch;
}

detops_status detops_postprocessor_run(detops_postprocessor* postprocessor,
                                       const void* box_encodings, const void* score_values,
                                       const void* anchors, float* boxes, float* classes,
                                       float* scores, float* counts, char* message,
                                       size_t message_bytes) {
  Message to(message, message_bytes);
  if (postprocessor == nullptr) return to.ReportNull("postprocessor");
  const detops::ProblemShape& shape = postprocessor->postprocessor.shape();
  const bool inputs = shape.batch > 0 && shape.anchors > 0;
  const bool outputs = shape.batch > 0 && shape.slots > 0;
  if (inputs && box_encodings == nullptr) return to.ReportNull("box_encodings");
  if (inputs && score_values == nullptr) return to.ReportNull("score_values");
  if (inputs && anchors == nullptr) return to.ReportNull("anchors");
  if (outputs && boxes == nullptr) return to.ReportNull("boxes");
  if (outputs && classes == nullptr) return to.ReportNull("classes");
  if (outputs && scores == nullptr) return to.ReportNull("scores");
  if (shape.batch > 0 && counts == nullptr) return to.ReportNull("counts");
  postprocessor->postprocessor.Run(box_encodings, score_values, anchors,
                                   {boxes, classes, scores, counts});
  return DETOPS_OK;
}
