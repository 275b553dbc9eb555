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
  const size_t max_kept = std::min<size_t>(problem.options.max_detections, pairs);
  return scan_.Prepare(problem) && plan_.Prepare(anchors) && queue_.Prepare(QueueCapacity(pairs)) &&
         kept_.Prepare(*problem.kernels, classes, max_kept) && boxes_.Allocate(anchors) &&
         decoded_.Allocate(anchors);
}

// True unless what is kept already rules the candidate out. All that is kept has a better score than
// any candidate that is still to come, so this does not wait for the candidate's turn.
bool RegularMode::Survives(const Problem& problem, const ImageInputs& in, size_t c, size_t anchor) {
  const int kept = kept_.Count(c);
  if (kept == 0) return true;
  if (kept == class_limit_) return false;
  const Box& box = BoxOf(problem, in, anchor);
  return !HasNegativeSize(box) && !kept_.Suppresses(c, box, problem.options.nms_iou_threshold);
}

// A full queue raises the threshold: nothing below its bar can enter any more.
void RegularMode::Collect(const Problem& problem, const ImageInputs& in, float threshold) {
  const size_t anchors = problem.shape.anchors;
  uint32_t found_anchors[kRun];
  uint32_t found_classes[kRun];
  for (size_t next = 0; next < anchors;) {
    const size_t found = scan_.FindAnchors(threshold, next, found_anchors, kRun, &next);
    for (size_t i = 0; i < found; ++i) {
      const size_t anchor = found_anchors[i];
      if (queue_.dropped()) threshold = std::max(threshold, ScoreOf(queue_.bar()));
      for (size_t c = 0; c < static_cast<size_t>(problem.options.num_classes);) {
        const size_t hits = scan_.FindClasses(anchor, threshold, c, found_classes, kRun, &c);
        for (size_t j = 0; j < hits; ++j) {
          const size_t hit = found_classes[j];
          const float score = problem.scores.At(in.scores, problem.ForegroundBegin(anchor) + hit);
          const uint64_t key = CandidateKey(score, static_cast<uint32_t>(hit * anchors + anchor));
          if (queue_.Wants(key) && Survives(problem, in, hit, anchor)) queue_.Push(key);
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
  const int limit = options.max_detections;
  class_limit_ = std::min(options.detections_per_class, limit);
  const size_t anchors = problem.shape.anchors;
  if (limit == 0 || anchors == 0) return 0;
  kept_.Clear();
  std::fill(decoded_.begin(), decoded_.end(), uint8_t{0});

  scan_.Start(problem, in.scores);
  plan_.Start(&scan_, anchors, options.nms_score_threshold, static_cast<size_t>(limit) + limit / 2);
  int count = 0;
  int open_classes = options.num_classes;
  uint64_t key = 0;
  size_t queue_size = kFirstQueue;
  float threshold = plan_.Next();
  for (;;) {
    queue_.Start(key, queue_size);
    Collect(problem, in, threshold);
    while (queue_.Pop(&key)) {
      const size_t c = PositionOf(key) / anchors;
      const size_t anchor = PositionOf(key) % anchors;
      if (kept_.Count(c) == class_limit_) continue;
      const Box& box = BoxOf(problem, in, anchor);
      if (HasNegativeSize(box)) continue;
      if (!kept_.KeepUnlessSuppressed(c, box, options.nms_iou_threshold)) continue;
      const float score = problem.scores.At(in.scores, problem.ForegroundBegin(anchor) + c);
      out.Write(count++, box, static_cast<int>(c), score);
      if (kept_.Count(c) == class_limit_) --open_classes;
      if (count == limit || open_classes == 0) return count;
    }
    if (queue_.dropped()) {
      queue_size = std::min(queue_size * kQueueGrowth, queue_.capacity());
    } else if (plan_.done()) {
      return count;
    } else {
      threshold = plan_.Next();
    }
  }
}

}  // namespace detops
