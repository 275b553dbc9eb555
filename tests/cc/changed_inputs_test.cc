// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

// Scores that change during a run: by the fault of another thread, or because outputs lie over
// inputs. What comes out then is as wrong as what went in, but nothing outside the buffers is read
// or written. AddressSanitizer watches.
#include <algorithm>
#include <atomic>
#include <limits>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "kernels/postprocessor.h"

// ThreadSanitizer would tell of the tests themselves.
#if defined(__SANITIZE_THREAD__)
#define DETOPS_UNDER_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define DETOPS_UNDER_TSAN 1
#endif
#endif

namespace detops {
namespace {

// Boxes of one size, no two of which are alike, all of whose corners are below zero. Nothing
// suppresses anything.
class Detection {
 public:
  Detection(int anchors, int classes, int detections, bool regular)
      : encodings_(static_cast<size_t>(anchors) * 4, 0.0f),
        classes_(static_cast<size_t>(detections)),
        scores_(static_cast<size_t>(detections)) {
    for (int i = 0; i < anchors; ++i) {
      const float y = -2.0f - static_cast<float>(i) / 16.0f;
      anchors_.insert(anchors_.end(), {y, y, 1.0f, 1.0f});
    }
    options_.max_detections = options_.detections_per_class = detections;
    options_.max_classes_per_detection = 1;
    options_.num_classes = classes;
    options_.use_regular_nms = regular;
    options_.nms_score_threshold = -std::numeric_limits<float>::infinity();
    options_.nms_iou_threshold = 1.0f;
    options_.y_scale = options_.x_scale = options_.h_scale = options_.w_scale = 1.0f;
  }

  // How many are found; boxes has room for all of them.
  float Run(const float* scores, float* boxes) {
    const int anchors = static_cast<int>(anchors_.size() / 4);
    const int dims[3][3] = {{1, anchors, 4}, {1, anchors, options_.num_classes}, {anchors, 4, 0}};
    TensorDesc descs[3];
    for (int i = 0; i < 3; ++i) {
      descs[i].dtype = DType::kFloat32;
      descs[i].dims = dims[i];
      descs[i].rank = i == 2 ? 2 : 3;
    }
    // A fresh one, whose memory holds nothing of an earlier run.
    Postprocessor postprocessor;
    FaultList faults;
    if (!postprocessor.Prepare(options_, descs[0], descs[1], descs[2], &faults)) return -1.0f;
    float count = 0.0f;
    postprocessor.Run(encodings_.data(), scores, anchors_.data(),
                      {boxes, classes_.data(), scores_.data(), &count});
    return count;
  }

 private:
  Options options_;
  std::vector<float> encodings_, anchors_, classes_, scores_;
};

#if !defined(DETOPS_UNDER_TSAN)
TEST(ChangedInputs, AnotherThreadWritesTheScores) {
  constexpr int kAnchors = 64, kClasses = 16, kDetections = 4;
  Detection detection(kAnchors, kClasses, kDetections, false);
  std::vector<float> scores(kAnchors * kClasses), boxes(kDetections * 4);
  std::atomic<bool> done{false};
  std::thread writer([&scores, &done] {
    volatile float* values = scores.data();
    while (!done) {
      for (float value : {0.1f, 0.9f}) {
        for (size_t i = 0; i < scores.size(); ++i) values[i] = value;
      }
    }
  });
  for (int round = 0; round < 5000; ++round) {
    const float found = detection.Run(scores.data(), boxes.data());
    // Fewer where scores fell below the threshold of the pass before.
    EXPECT_TRUE(found >= 0.0f && found <= kDetections) << found;
  }
  done = true;
  writer.join();
}
#endif

// More pairs than the first queue holds: those that were kept come again, with the scores that
// their boxes were written over.
TEST(ChangedInputs, BoxesWrittenOverTheScores) {
  constexpr int kAnchors = 1200, kClasses = 8, kPairs = kAnchors * kClasses;
  Detection detection(kAnchors, kClasses, 4 * kPairs, true);
  std::vector<float> scores(16 * kPairs);
  EXPECT_EQ(detection.Run(scores.data(), scores.data()), static_cast<float>(kPairs));
}

}  // namespace
}  // namespace detops
