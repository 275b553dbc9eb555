// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

// Several interpreters at work in one process: each thread has nodes of its own, and what they
// share (the registration, the choice of kernels) is only read. ThreadSanitizer watches.
#include <atomic>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "kernels/postprocessor.h"
#include "tflite_ops/delegate.h"
#include "tflite_ops/postprocess_op.h"

namespace detops {
namespace {

constexpr int kThreads = 4;
constexpr int kAnchors = 300;
constexpr int kClasses = 7;

Options UsualOptions(bool regular) {
  Options options;
  options.max_detections = 20;
  options.max_classes_per_detection = 1;
  options.num_classes = kClasses;
  options.use_regular_nms = regular;
  options.nms_iou_threshold = 0.5f;
  options.y_scale = options.x_scale = options.h_scale = options.w_scale = 1.0f;
  return options;
}

TensorDesc Float(const int* dims, int rank) {
  TensorDesc desc;
  desc.dtype = DType::kFloat32;
  desc.dims = dims;
  desc.rank = rank;
  return desc;
}

std::vector<float> Numbers(size_t count, unsigned step) {
  std::vector<float> numbers(count);
  for (size_t i = 0; i < count; ++i) {
    numbers[i] = static_cast<float>(i * step % 997) / 997.0f;
  }
  return numbers;
}

std::vector<float> Detect(bool regular) {
  const int box_dims[] = {1, kAnchors, 4};
  const int score_dims[] = {1, kAnchors, kClasses};
  const int anchor_dims[] = {kAnchors, 4};
  Postprocessor postprocessor;
  FaultList faults;
  if (!postprocessor.Prepare(UsualOptions(regular), Float(box_dims, 3), Float(score_dims, 3),
                             Float(anchor_dims, 2), &faults)) {
    return {};
  }
  const std::vector<float> boxes = Numbers(kAnchors * 4, 7);
  const std::vector<float> scores = Numbers(kAnchors * kClasses, 131);
  const std::vector<float> anchors = Numbers(kAnchors * 4, 53);
  std::vector<float> out(20 * 6 + 1);
  postprocessor.Run(boxes.data(), scores.data(), anchors.data(),
                    {out.data(), out.data() + 80, out.data() + 100, out.data() + 120});
  return out;
}

TEST(Threads, NodesOfTheirOwnNeedNoLock) {
  const std::vector<float> expected[] = {Detect(false), Detect(true)};
  ASSERT_GT(expected[0].back(), 1.0f);
  ASSERT_GT(expected[1].back(), 1.0f);
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&expected, &wrong, t] {
      for (int round = 0; round < 20; ++round) {
        const int mode = (t + round) % 2;
        if (Detect(mode == 1) != expected[mode]) ++wrong;
        if (PostprocessOp()->invoke == nullptr) ++wrong;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

TfLiteStatus NoNodes(TfLiteContext*, TfLiteIntArray** plan) {
  static TfLiteIntArray none = {};
  *plan = &none;
  return kTfLiteOk;
}

// A runtime asks a delegate again whenever shapes change, in the thread that uses the interpreter.
TEST(Threads, InterpretersThatShareADelegateNeedNoLock) {
  TfLiteDelegate* delegate = CreateDelegate();
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([delegate, &wrong] {
      TfLiteContext context = {};
      context.GetExecutionPlan = NoNodes;
      for (int round = 0; round < 20; ++round) {
        if (delegate->Prepare(&context, delegate) != kTfLiteOk) ++wrong;
        if (ReportOf(delegate).postprocess_nodes != 0) ++wrong;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  DestroyDelegate(delegate);
  EXPECT_EQ(wrong, 0);
}

}  // namespace
}  // namespace detops
