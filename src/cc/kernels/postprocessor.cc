// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

#include "kernels/postprocessor.h"

#include <algorithm>

namespace detops {
namespace {

size_t ElementBytes(DType dtype) { return dtype == DType::kFloat32 ? sizeof(float) : 1; }

}  // namespace

bool Postprocessor::Prepare(const Options& options, const TensorDesc& box_encodings,
                            const TensorDesc& scores, const TensorDesc& anchors,
                            FaultList* faults) {
  CheckProblem(options, box_encodings, scores, anchors, &problem_.shape, faults);
  if (!faults->empty()) return false;
  problem_.options = options;
  problem_.kernels = SelectKernelSet(faults);
  if (problem_.kernels == nullptr) return false;
  const size_t score_count =
      static_cast<size_t>(problem_.shape.anchors) * problem_.shape.class_columns;
  const size_t box_count = static_cast<size_t>(problem_.shape.anchors) * problem_.shape.box_columns;
  score_image_bytes_ = score_count * ElementBytes(scores.dtype);
  box_image_bytes_ = box_count * ElementBytes(box_encodings.dtype);
  problem_.scores.Prepare(scores, score_count);
  // Where the scores hold no byte no mode is run, and num_classes may be anything.
  const bool room =
      problem_.shape.batch == 0 || problem_.shape.anchors == 0 ||
      (problem_.boxes.Prepare(options, box_encodings, anchors) &&
       (options.use_regular_nms ? regular_.Prepare(problem_) : fast_.Prepare(problem_)));
  if (!room) {
    faults->Add(Fault::kMemory, "no memory to post-process %d anchors and %d classes",
                problem_.shape.anchors, options.num_classes);
  }
  return room;
}

void Postprocessor::Run(const void* box_encodings, const void* scores, const void* anchors,
                        const DetectionOutputs& out) {
  const size_t slots = problem_.shape.slots;
  for (size_t image = 0; image < static_cast<size_t>(problem_.shape.batch); ++image) {
    const ImageInputs in = {static_cast<const char*>(box_encodings) + image * box_image_bytes_,
                            static_cast<const char*>(scores) + image * score_image_bytes_, anchors};
    const ImageOutputs to = {out.boxes + image * slots * 4, out.classes + image * slots,
                             out.scores + image * slots};
    std::fill_n(to.boxes, slots * 4, 0.0f);
    std::fill_n(to.classes, slots, 0.0f);
    std::fill_n(to.scores, slots, 0.0f);
    const int count = problem_.options.use_regular_nms ? regular_.Run(problem_, in, to)
                                                       : fast_.Run(problem_, in, to);
    out.counts[image] = static_cast<float>(count);
  }
}

}  // namespace detops
