// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

#include "kernels/regular_mode.h"

#include <algorithm>
#include <limits>

#include "kernels/score_scan.h"

namespace detops {
namespace {

// Hits and dequantised scores are handled in runs of this many.
constexpr size_t kRun = 1024;

// The queue starts small, because most walks end early, and grows by this factor whenever a walk
// outlives it. Its capacity is a fixed share of all pairs, so the scores are read a bounded number
// of times however long the walk.
constexpr size_t kFirstQueue = 1024;
constexpr size_t kQueueGrowth = 8;
constexpr size_t kSmallestCapacity = 65536;
constexpr size_t kCapacityShare = 4;

size_t QueueCapacity(size_t pairs) {
  return std::min(pairs, std::max(kSmallestCapacity, pairs / kCapacityShare));
}

}  // namespace

bool RegularMode::Prepare(const Problem& problem) {
  const size_t anchors = problem.shape.anchors;
  const size_t classes = problem.options.num_classes;
  const size_t pairs = anchors * classes;
  capacity_ = QueueCapacity(pairs);
  const size_t max_kept = std::min<size_t>(problem.options.max_detections, pairs);
  return queue_.Prepare(capacity_) && kept_.Prepare(classes, max_kept) && boxes_.Allocate(anchors) &&
         decoded_.Allocate(anchors);
}

void RegularMode::PushScore(const Problem& problem, float score, size_t index) {
  const size_t columns = problem.shape.class_columns;
  const size_t offset = problem.shape.label_offset;
  const size_t anchor = index / columns;
  const size_t column = index % columns;
  if (column < offset) return;
  const size_t position = (column - offset) * problem.shape.anchors + anchor;
  queue_.Push(CandidateKey(score, static_cast<uint32_t>(position)));
}

template <typename T>
void RegularMode::CollectByInteger(const Problem& problem, const void* scores, size_t end) {
  float threshold = problem.options.nms_score_threshold;
  uint32_t hits[kRun];
  for (size_t next = 0; next < end;) {
    if (queue_.dropped()) threshold = std::max(threshold, ScoreOf(queue_.bar()));
    const int lowest = problem.scores.LowestLevelAtLeast(threshold);
    if (lowest == kLevels) return;
    const T least = static_cast<T>(lowest + std::numeric_limits<T>::lowest());
    const size_t found = ScanAtLeast<T>(scores, next, end, least, hits, kRun, &next);
    for (size_t i = 0; i < found; ++i) {
      const int level = Load<T>(scores, hits[i]) - std::numeric_limits<T>::lowest();
      PushScore(problem, problem.scores.OfLevel(level), hits[i]);
    }
  }
}

// values[begin, end) are float scores of the flattened indices from base on.
void RegularMode::PushFloats(const Problem& problem, const void* values, size_t base, size_t begin,
                             size_t end) {
  float threshold = problem.options.nms_score_threshold;
  uint32_t hits[kRun];
  for (size_t next = begin; next < end;) {
    if (queue_.dropped()) threshold = std::max(threshold, ScoreOf(queue_.bar()));
    const size_t found = ScanAtLeast<float>(values, next, end, threshold, hits, kRun, &next);
    for (size_t i = 0; i < found; ++i) {
      PushScore(problem, Load<float>(values, hits[i]), base + hits[i]);
    }
  }
}

void RegularMode::CollectByFloat(const Problem& problem, const void* scores, size_t begin) {
  const size_t end = static_cast<size_t>(problem.shape.anchors) * problem.shape.class_columns;
  if (problem.scores.dtype() == DType::kFloat32) {
    PushFloats(problem, scores, 0, begin, end);
    return;
  }
  float values[kRun];
  for (size_t base = begin; base < end; base += kRun) {
    const size_t count = std::min(kRun, end - base);
    problem.scores.Read(scores, base, count, values);
    PushFloats(problem, values, base, 0, count);
  }
}

void RegularMode::Collect(const Problem& problem, const void* scores) {
  const size_t integer_end = problem.scores.integer_order_end();
  if (problem.scores.dtype() == DType::kUInt8) {
    CollectByInteger<uint8_t>(problem, scores, integer_end);
  } else if (problem.scores.dtype() == DType::kInt8) {
    CollectByInteger<int8_t>(problem, scores, integer_end);
  }
  CollectByFloat(problem, scores, integer_end);
}

const Box& RegularMode::BoxOf(const Problem& problem, const ImageInputs& in, size_t anchor) {
  if (decoded_[anchor] == 0) {
    boxes_[anchor] = problem.boxes.Decode(in.box_encodings, in.anchors, anchor);
    decoded_[anchor] = 1;
  }
  return boxes_[anchor];
}

int RegularMode::Run(const Problem& problem, const ImageInputs& in, const ImageOutputs& out) {
  const Options& options = problem.options;
  const int limit = options.max_detections;
  const int class_limit = std::min(options.detections_per_class, limit);
  const size_t anchors = problem.shape.anchors;
  if (limit == 0 || anchors == 0) return 0;
  kept_.Clear();
  std::fill(decoded_.begin(), decoded_.end(), uint8_t{0});

  int count = 0;
  int open_classes = options.num_classes;
  uint64_t key = 0;
  size_t queue_size = kFirstQueue;
  do {
    queue_.Start(key, queue_size);
    Collect(problem, in.scores);
    while (queue_.Pop(&key)) {
      const size_t c = PositionOf(key) / anchors;
      const size_t anchor = PositionOf(key) % anchors;
      if (kept_.Count(c) == class_limit) continue;
      const Box& box = BoxOf(problem, in, anchor);
      if (HasNegativeSize(box)) continue;
      if (!kept_.KeepUnlessSuppressed(c, box, options.nms_iou_threshold)) continue;
      const float score = problem.scores.At(in.scores, problem.ForegroundBegin(anchor) + c);
      out.Write(count++, box, static_cast<int>(c), score);
      if (kept_.Count(c) == class_limit) --open_classes;
      if (count == limit || open_classes == 0) return count;
    }
    queue_size = std::min(queue_size * kQueueGrowth, capacity_);
  } while (queue_.dropped());
  return count;
}

}  // namespace detops
