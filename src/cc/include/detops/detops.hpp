// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

// detops/detops.h with C++ types: objects that free themselves, and messages in the status. Header
// only, C++11, no exception of its own. The contracts are those of detops.h.
#ifndef DETOPS_DETOPS_HPP_
#define DETOPS_DETOPS_HPP_

#include <cstdio>
#include <initializer_list>
#include <memory>
#include <vector>

#include "detops/detops.h"

namespace detops {
// The library has classes of the same names inside; this keeps the linker from mixing them.
inline namespace api {

// What a function gave back. The message is "" when ok().
class Status {
 public:
  bool ok() const { return code_ == DETOPS_OK; }
  detops_status code() const { return code_; }
  const char* message() const { return message_; }

 private:
  friend class Postprocessor;
  friend Status DecodeBoxes(const detops_tensor&, const void*, const detops_tensor&, const void*,
                            const float (&)[4], std::vector<float>*);
  friend Status Nms(const std::vector<float>&, const std::vector<float>&,
                    const std::vector<int32_t>&, int32_t, float, float, int32_t,
                    std::vector<int64_t>*);

  detops_status code_ = DETOPS_OK;
  char message_[DETOPS_MESSAGE_BYTES] = "";
};

inline detops_tensor MakeTensor(detops_type type, std::initializer_list<int32_t> dims, float scale,
                                int32_t zero_point) {
  detops_tensor tensor = {};
  tensor.type = type;
  tensor.scale = scale;
  tensor.zero_point = zero_point;
  for (int32_t dim : dims) {
    // One dimension too many stays visible in the rank, which is then refused.
    if (tensor.rank < DETOPS_MAX_RANK) tensor.dims[tensor.rank] = dim;
    ++tensor.rank;
  }
  return tensor;
}

// FloatTensor({1, 1917, 4}) is the boxes of 1917 anchors.
inline detops_tensor FloatTensor(std::initializer_list<int32_t> dims) {
  return MakeTensor(DETOPS_FLOAT32, dims, 0.0f, 0);
}

// q stands for (q - zero_point) * scale.
inline detops_tensor UInt8Tensor(std::initializer_list<int32_t> dims, float scale,
                                 int32_t zero_point) {
  return MakeTensor(DETOPS_UINT8, dims, scale, zero_point);
}
inline detops_tensor Int8Tensor(std::initializer_list<int32_t> dims, float scale,
                                int32_t zero_point) {
  return MakeTensor(DETOPS_INT8, dims, scale, zero_point);
}

// The usual options for so many foreground classes.
inline detops_options DefaultOptions(int32_t num_classes) {
  detops_options options;
  detops_options_init(&options);
  options.num_classes = num_classes;
  return options;
}

// The outputs of a batch; M is Postprocessor::slots().
struct Detections {
  std::vector<float> boxes;    // [batch, M, 4] ymin, xmin, ymax, xmax
  std::vector<float> classes;  // [batch, M]
  std::vector<float> scores;   // [batch, M]
  std::vector<float> counts;   // [batch]
};

// The whole op for one set of shapes.
class Postprocessor {
 public:
  // Checks and allocates; may be called again for other shapes. After a fault the object is as it
  // was.
  Status Create(const detops_options& options, const detops_tensor& box_encodings,
                const detops_tensor& scores, const detops_tensor& anchors) {
    Status status;
    detops_postprocessor* made = nullptr;
    status.code_ = detops_postprocessor_create(&options, &box_encodings, &scores, &anchors, &made,
                                               status.message_, sizeof(status.message_));
    if (status.ok()) handle_.reset(made);
    return status;
  }

  // Only after a Create that was ok. Allocates what detections do not have room for, so nothing
  // from the second run on.
  Status Run(const void* box_encodings, const void* scores, const void* anchors,
             Detections* detections) {
    const size_t images = static_cast<size_t>(batch());
    const size_t all = images * static_cast<size_t>(slots());
    detections->boxes.resize(all * 4);
    detections->classes.resize(all);
    detections->scores.resize(all);
    detections->counts.resize(images);
    Status status;
    status.code_ = detops_postprocessor_run(handle_.get(), box_encodings, scores, anchors,
                                            detections->boxes.data(), detections->classes.data(),
                                            detections->scores.data(), detections->counts.data(),
                                            status.message_, sizeof(status.message_));
    return status;
  }

  int32_t batch() const { return detops_postprocessor_batch(handle_.get()); }
  int32_t slots() const { return detops_postprocessor_slots(handle_.get()); }

 private:
  struct Destroy {
    void operator()(detops_postprocessor* handle) const { detops_postprocessor_destroy(handle); }
  };
  std::unique_ptr<detops_postprocessor, Destroy> handle_;
};

// All boxes as corners; scales are y, x, h, w.
inline Status DecodeBoxes(const detops_tensor& box_encodings, const void* box_encoding_values,
                          const detops_tensor& anchors, const void* anchor_values,
                          const float (&scales)[4], std::vector<float>* boxes) {
  size_t corners = 4;
  for (int i = 0; i < 2; ++i) {
    corners *= box_encodings.dims[i] > 0 ? static_cast<size_t>(box_encodings.dims[i]) : 0;
  }
  boxes->resize(corners);
  Status status;
  status.code_ =
      detops_decode_boxes(&box_encodings, box_encoding_values, &anchors, anchor_values, scales,
                          boxes->data(), status.message_, sizeof(status.message_));
  return status;
}

// Indices of the boxes to keep, best first. classes is empty for one class. Vectors whose sizes do
// not fit are refused.
inline Status Nms(const std::vector<float>& boxes, const std::vector<float>& scores,
                  const std::vector<int32_t>& classes, int32_t num_classes, float score_threshold,
                  float iou_threshold, int32_t max_detections, std::vector<int64_t>* kept) {
  Status status;
  const bool one_class_each = classes.empty() || classes.size() == scores.size();
  if (boxes.size() % 4 != 0 || boxes.size() / 4 != scores.size() || !one_class_each ||
      scores.size() > static_cast<size_t>(INT32_MAX)) {
    status.code_ = DETOPS_INVALID;
    std::snprintf(status.message_, sizeof(status.message_),
                  "there are %zu scores with %zu coordinates and %zu classes, expected at most "
                  "2147483647, with four of the one and one or none of the other for each",
                  scores.size(), boxes.size(), classes.size());
    return status;
  }
  const int32_t count = static_cast<int32_t>(scores.size());
  const int32_t room = max_detections < count ? max_detections : count;
  kept->resize(room > 0 ? static_cast<size_t>(room) : 0);
  int32_t found = 0;
  status.code_ = detops_nms(boxes.data(), scores.data(), classes.empty() ? nullptr : classes.data(),
                            count, num_classes, score_threshold, iou_threshold, max_detections,
                            kept->data(), &found, status.message_, sizeof(status.message_));
  kept->resize(static_cast<size_t>(found));
  return status;
}

}  // namespace api
}  // namespace detops

// Puts the op into a resolver: tflite::MutableOpResolver, ops::builtin::BuiltinOpResolver, or
// anything else with their AddCustom. Call it last, because it replaces the stock op.
template <typename Resolver>
void DetopsRegisterOps(Resolver& resolver) {
  resolver.AddCustom(DETOPS_OP_NAME, detops_registration(), DETOPS_OP_VERSION);
}

#endif  // DETOPS_DETOPS_HPP_
