// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

#include "kernels/box_decoding.h"

#include <cstring>

namespace detops {
namespace {

// Options and scores with which the op would decode, and of which nothing else can be wrong.
Options DecodingOptions(const float scales[4]) {
  Options options;
  options.num_classes = 1;
  options.max_classes_per_detection = 1;
  options.nms_iou_threshold = 0.5f;
  options.y_scale = scales[0];
  options.x_scale = scales[1];
  options.h_scale = scales[2];
  options.w_scale = scales[3];
  return options;
}

TensorDesc AnyScores(const TensorDesc& encodings, int dims[3]) {
  dims[0] = encodings.rank == 3 ? encodings.dims[0] : 0;
  dims[1] = encodings.rank == 3 ? encodings.dims[1] : 0;
  dims[2] = 1;
  TensorDesc scores;
  scores.dtype = DType::kFloat32;
  scores.dims = dims;
  scores.rank = 3;
  return scores;
}

}  // namespace

bool BoxDecoding::Prepare(const float scales[4], const TensorDesc& encodings,
                          const TensorDesc& anchors, FaultList* faults) {
  const Options options = DecodingOptions(scales);
  int dims[3];
  const TensorDesc scores = AnyScores(encodings, dims);
  CheckProblem(options, encodings, scores, anchors, &shape_, faults);
  if (!faults->empty()) return false;
  image_bytes_ = static_cast<size_t>(shape_.anchors) * shape_.box_columns *
                 (IsQuantized(encodings.dtype) ? 1 : sizeof(float));
  if (coder_.Prepare(options, encodings, anchors)) return true;
  faults->Add(Fault::kMemory, "no memory to decode %d boxes", shape_.anchors);
  return false;
}

void BoxDecoding::Run(const void* encodings, const void* anchors, float* boxes) const {
  const size_t count = static_cast<size_t>(shape_.anchors);
  for (size_t image = 0; image < static_cast<size_t>(shape_.batch); ++image) {
    const char* in = static_cast<const char*>(encodings) + image * image_bytes_;
    for (size_t i = 0; i < count; ++i) {
      const Box box = coder_.Decode(in, anchors, i);
      std::memcpy(boxes + (image * count + i) * 4, &box, sizeof(box));
    }
  }
}

}  // namespace detops
