// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

#include "kernels/fast_mode.h"

#include <algorithm>
#include <limits>

#include "kernels/class_ranking.h"
#include "kernels/score_scan.h"

namespace detops {

bool FastMode::Prepare(const Problem& problem) {
  const size_t anchors = problem.shape.anchors;
  const size_t classes = problem.options.num_classes;
  const size_t max_kept = std::min<size_t>(problem.options.max_detections, anchors);
  return queue_.Prepare(anchors) && kept_.Prepare(1, max_kept) && class_scores_.Allocate(classes) &&
         class_order_.Allocate(classes);
}

template <typename T>
void FastMode::CollectByInteger(const Problem& problem, const void* scores, size_t end_anchor) {
  const int lowest = problem.scores.LowestLevelAtLeast(problem.options.nms_score_threshold);
  if (lowest == kLevels) return;
  const int threshold = lowest + std::numeric_limits<T>::lowest();
  for (size_t anchor = 0; anchor < end_anchor; ++anchor) {
    const T best = RowMaximum<T>(scores, problem.ForegroundBegin(anchor), problem.options.num_classes);
    if (best < threshold) continue;
    const int level = best - std::numeric_limits<T>::lowest();
    queue_.Push(CandidateKey(problem.scores.OfLevel(level), static_cast<uint32_t>(anchor)));
  }
}

void FastMode::CollectByFloat(const Problem& problem, const void* scores, size_t first_anchor) {
  const size_t classes = problem.options.num_classes;
  const size_t anchors = problem.shape.anchors;
  const bool is_float = problem.scores.dtype() == DType::kFloat32;
  for (size_t anchor = first_anchor; anchor < anchors; ++anchor) {
    const size_t begin = problem.ForegroundBegin(anchor);
    float best;
    if (is_float) {
      best = RowMaximum<float>(scores, begin, classes);
    } else {
      problem.scores.Read(scores, begin, classes, class_scores_.data());
      best = RowMaximum<float>(class_scores_.data(), 0, classes);
    }
    if (best >= problem.options.nms_score_threshold) {
      queue_.Push(CandidateKey(best, static_cast<uint32_t>(anchor)));
    }
  }
}

void FastMode::Collect(const Problem& problem, const void* scores) {
  const size_t integer_anchors = problem.scores.integer_order_end() / problem.shape.class_columns;
  if (problem.scores.dtype() == DType::kUInt8) {
    CollectByInteger<uint8_t>(problem, scores, integer_anchors);
  } else if (problem.scores.dtype() == DType::kInt8) {
    CollectByInteger<int8_t>(problem, scores, integer_anchors);
  }
  CollectByFloat(problem, scores, integer_anchors);
}

void FastMode::Emit(const Problem& problem, const void* scores, size_t anchor, const Box& box,
                    int index, const ImageOutputs& out) {
  const size_t slots = problem.options.max_classes_per_detection;
  const size_t classes = problem.options.num_classes;
  const size_t k = std::min(slots, classes);
  problem.scores.Read(scores, problem.ForegroundBegin(anchor), classes, class_scores_.data());
  RankClasses(class_scores_.data(), classes, k, class_order_.data());
  for (size_t rank = 0; rank < k; ++rank) {
    const int32_t c = class_order_[rank];
    out.Write(index * slots + rank, box, c, class_scores_[c]);
  }
}

int FastMode::Run(const Problem& problem, const ImageInputs& in, const ImageOutputs& out) {
  const int limit = problem.options.max_detections;
  if (limit == 0 || problem.shape.anchors == 0) return 0;
  queue_.Start(0, problem.shape.anchors);
  kept_.Clear();
  Collect(problem, in.scores);
  int count = 0;
  uint64_t key;
  while (count < limit && queue_.Pop(&key)) {
    const size_t anchor = PositionOf(key);
    const Box box = problem.boxes.Decode(in.box_encodings, in.anchors, anchor);
    if (HasNegativeSize(box)) continue;
    if (!kept_.KeepUnlessSuppressed(0, box, problem.options.nms_iou_threshold)) continue;
    Emit(problem, in.scores, anchor, box, count++, out);
  }
  return count;
}

}  // namespace detops
