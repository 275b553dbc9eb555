// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

#include "kernels/regular_mode.h"

#include <algorithm>

#include "kernels/iou.h"

namespace detops {
namespace {

// Anchors and classes are found in runs of this many.
constexpr size_t kRun = 1024;

// The queue starts small, because most walks end early, and grows by this factor whenever a walk
// outlives it. Its capacity is a fixed share of all pairs, so the scores are read a bounded number
// of times however long the walk.
constexpr size_t kFirstQueue = 4096;
constexpr size_t kQueueGrowth = 8;
constexpr size_t kSmallestCapacity = 65536;
constexpr size_t kCapacityShare = 4;

size_t QueueCapacity(size_t pairs) {
  return std::min(pairs, std::max(kSmallestCapacity, pairs / kCapacityShare));
}

size_t MaxKept(const Problem& problem) {
  const size_t pairs = static_cast<size_t>(problem.shape.anchors) * problem.options.num_classes;
  return std::min<size_t>(problem.options.max_detections, pairs);
}

}  // namespace

bool RegularMode::Prepare(const Problem& problem) {
  const size_t anchors = problem.shape.anchors;
  const size_t classes = problem.options.num_classes;
  const size_t pairs = anchors * classes;
  return scan_.Prepare(problem) && plan_.Prepare(anchors) && queue_.Prepare(QueueCapacity(pairs)) &&
         kept_.Prepare(*problem.kernels, classes, MaxKept(problem)) && boxes_.Allocate(anchors) &&
         decoded_.Allocate(anchors) && ruled_out_.Allocate(classes);
}

// Finds the classes in which an anchor is already suppressed. All that is kept has a better score
// than any candidate that is still to come, so this need not wait for the candidate's turn; and the
// anchor's box is the same for all classes, so one pass over all that is kept does for all.
void RegularMode::RuleOut(const Problem& problem, const ImageInputs& in, size_t anchor) {
  if (count_ == 0) return;
  const Box& box = BoxOf(problem, in, anchor);
  const uint32_t mark = static_cast<uint32_t>(anchor) + 1;
  kept_.MarkSuppressing(box, problem.options.nms_iou_threshold, mark, ruled_out_.data());
}

// A full queue raises the threshold: nothing below its bar can enter any more.
void RegularMode::Collect(const Problem& problem, const ImageInputs& in, float threshold) {
  const size_t anchors = problem.shape.anchors;
  const size_t classes = problem.options.num_classes;
  uint32_t found_anchors[kRun];
  uint32_t found_classes[kRun];
  for (size_t next = 0; next < anchors;) {
    const size_t found = scan_.FindAnchors(threshold, next, found_anchors, kRun, &next);
    for (size_t i = 0; i < found; ++i) {
      const size_t anchor = found_anchors[i];
      RuleOut(problem, in, anchor);
      if (queue_.dropped()) threshold = std::max(threshold, ScoreOf(queue_.bar()));
      for (size_t c = 0; c < classes;) {
        const size_t hits = scan_.FindClasses(anchor, threshold, c, found_classes, kRun, &c);
        for (size_t j = 0; j < hits; ++j) {
          const size_t hit = found_classes[j];
          if (ruled_out_[hit] == anchor + 1 || kept_.Count(hit) == class_limit_) continue;
          const float score = problem.scores.At(in.scores, problem.ForegroundBegin(anchor) + hit);
          queue_.Push(CandidateKey(score, static_cast<uint32_t>(hit * anchors + anchor)));
        }
      }
    }
  }
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
  const size_t anchors = problem.shape.anchors;
  // There are no more pairs to keep, unless somebody writes the scores meanwhile.
  const int limit = static_cast<int>(MaxKept(problem));
  class_limit_ = std::min(options.detections_per_class, limit);
  if (limit == 0) return 0;
  kept_.Clear();
  std::fill(decoded_.begin(), decoded_.end(), uint8_t{0});
  std::fill(ruled_out_.begin(), ruled_out_.end(), 0u);

  scan_.Start(problem, in.scores);
  plan_.Start(&scan_, anchors, options.nms_score_threshold, static_cast<size_t>(limit) + limit / 2);
  count_ = 0;
  int open_classes = options.num_classes;
  uint64_t key = 0;
  size_t queue_size = kFirstQueue;
  float threshold = plan_.Next();
  for (;;) {
    queue_.Start(key, queue_size);
    Collect(problem, in, threshold);
    while (queue_.Pop(&key)) {
      const uint32_t c = PositionOf(key) / static_cast<uint32_t>(anchors);
      const uint32_t anchor = PositionOf(key) % static_cast<uint32_t>(anchors);
      if (kept_.Count(c) == class_limit_) continue;
      const Box& box = BoxOf(problem, in, anchor);
      if (HasNegativeSize(box)) continue;
      if (!kept_.KeepUnlessSuppressed(c, box, options.nms_iou_threshold)) continue;
      const float score = problem.scores.At(in.scores, problem.ForegroundBegin(anchor) + c);
      out.Write(count_++, box, static_cast<int>(c), score);
      if (kept_.Count(c) == class_limit_) --open_classes;
      if (count_ == limit || open_classes == 0) return count_;
    }
    if (queue_.dropped()) {
      queue_size = std::min(queue_size * kQueueGrowth, queue_.capacity());
    } else if (plan_.done()) {
      return count_;
    } else {
      threshold = plan_.Next();
    }
  }
}

}  // namespace detops
