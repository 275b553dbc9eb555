// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

#include "kernels/fast_mode.h"

#include <algorithm>

#include "kernels/class_ranking.h"
#include "kernels/iou.h"

namespace detops {
namespace {

// Anchors are found in runs of this many.
constexpr size_t kRun = 1024;

}  // namespace

bool FastMode::Prepare(const Problem& problem) {
  const size_t anchors = problem.shape.anchors;
  const size_t classes = problem.options.num_classes;
  const size_t max_kept = std::min<size_t>(problem.options.max_detections, anchors);
  return scan_.Prepare(problem) && plan_.Prepare(anchors) && queue_.Prepare(anchors) &&
         kept_.Prepare(*problem.kernels, 1, max_kept) && class_scores_.Allocate(classes) &&
         class_order_.Allocate(classes);
}

// What is kept has better scores than all that is still to come, so after the first pass most
// candidates are ruled out at once, before they are sorted.
void FastMode::Collect(const Problem& problem, const ImageInputs& in, float threshold) {
  const bool first_pass = kept_.Count(0) == 0;
  uint32_t anchors[kRun];
  for (size_t next = 0; next < queue_.capacity();) {
    const size_t found = scan_.FindAnchors(threshold, next, anchors, kRun, &next);
    for (size_t i = 0; i < found; ++i) {
      const uint64_t key = CandidateKey(scan_.BestScore(anchors[i]), anchors[i]);
      if (!queue_.Wants(key)) continue;
      if (!first_pass) {
        const Box box = problem.boxes.Decode(in.box_encodings, in.anchors, anchors[i]);
        if (kept_.Suppresses(0, box, problem.options.nms_iou_threshold)) continue;
      }
      queue_.Push(key);
    }
  }
}

void FastMode::Emit(const Problem& problem, const void* scores, uint64_t key, const Box& box,
                    int index, const ImageOutputs& out) {
  const size_t anchor = PositionOf(key);
  const size_t slots = problem.options.max_classes_per_detection;
  const size_t classes = problem.options.num_classes;
  const size_t begin = problem.ForegroundBegin(anchor);
  if (slots == 1) {
    // The best class is the first that reaches the best score; none does where somebody writes the
    // scores meanwhile, and then class 0 is as good as any.
    size_t resume;
    class_order_[0] = 0;
    scan_.FindClasses(anchor, ScoreOf(key), 0, class_order_.data(), classes, &resume);
    const uint32_t best = class_order_[0];
    out.Write(index, box, static_cast<int>(best), problem.scores.At(scores, begin + best));
    return;
  }
  const size_t k = std::min(slots, classes);
  problem.scores.Read(scores, begin, classes, class_scores_.data());
  RankClasses(class_scores_.data(), classes, k, class_order_.data());
  for (size_t rank = 0; rank < k; ++rank) {
    const uint32_t c = class_order_[rank];
    out.Write(index * slots + rank, box, static_cast<int>(c), class_scores_[c]);
  }
}

int FastMode::Run(const Problem& problem, const ImageInputs& in, const ImageOutputs& out) {
  const size_t anchors = problem.shape.anchors;
  const int limit = std::min(problem.options.max_detections, problem.shape.anchors);
  if (limit == 0) return 0;
  kept_.Clear();
  scan_.Start(problem, in.scores);
  plan_.Start(&scan_, anchors, problem.options.nms_score_threshold,
              static_cast<size_t>(limit) + limit / 2);
  int count = 0;
  uint64_t key = 0;
  do {
    queue_.Start(key, anchors);
    Collect(problem, in, plan_.Next());
    while (queue_.Pop(&key)) {
      const size_t anchor = PositionOf(key);
      const Box box = problem.boxes.Decode(in.box_encodings, in.anchors, anchor);
      if (HasNegativeSize(box)) continue;
      if (!kept_.KeepUnlessSuppressed(0, box, problem.options.nms_iou_threshold)) continue;
      Emit(problem, in.scores, key, box, count++, out);
      if (count == limit) return count;
    }
  } while (!plan_.done());
  return count;
}

}  // namespace detops
