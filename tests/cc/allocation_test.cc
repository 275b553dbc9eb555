// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

// Counts what the library allocates while it runs: nothing. The linker sends its calls of malloc
// and its kin here (--wrap), and operator new is replaced.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <new>
#include <random>
#include <vector>

#include "gtest/gtest.h"
#include "kernels/postprocessor.h"

namespace {
int allocations = 0;
size_t largest = 0;
}  // namespace

extern "C" {
void* __real_malloc(size_t size);
void* __real_calloc(size_t count, size_t size);
void* __real_realloc(void* memory, size_t size);
void* __wrap_malloc(size_t size) {
  ++allocations;
  largest = std::max(largest, size);
  return __real_malloc(size);
}
void* __wrap_calloc(size_t count, size_t size) {
  ++allocations;
  return __real_calloc(count, size);
}
void* __wrap_realloc(void* memory, size_t size) {
  ++allocations;
  return __real_realloc(memory, size);
}
}

void* operator new(size_t size) {
  ++allocations;
  void* memory = __real_malloc(size);
  if (memory == nullptr) std::abort();
  return memory;
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }

namespace detops {
namespace {

TensorDesc Describe(DType dtype, const char* name, const std::vector<int>& dims) {
  TensorDesc desc;
  desc.dtype = dtype;
  desc.type_name = name;
  desc.dims = dims.data();
  desc.rank = static_cast<int>(dims.size());
  if (IsQuantized(dtype)) {
    desc.num_scales = 1;
    desc.scale = 1.0f / 256.0f;
    desc.zero_point = -128;
  }
  return desc;
}

class Allocation : public testing::TestWithParam<bool> {};

TEST_P(Allocation, RunAllocatesNothing) {
  constexpr int kAnchors = 3000, kClasses = 30;
  const std::vector<int> box_dims = {1, kAnchors, 4}, score_dims = {1, kAnchors, kClasses},
                         anchor_dims = {kAnchors, 4};
  Options options;
  options.max_detections = 100;
  options.max_classes_per_detection = 2;
  options.num_classes = kClasses;
  options.use_regular_nms = GetParam();
  // Everything is a candidate, and the queue has to refill.
  options.nms_score_threshold = -std::numeric_limits<float>::infinity();
  options.nms_iou_threshold = 0.01f;
  options.y_scale = options.x_scale = options.h_scale = options.w_scale = 1.0f;

  std::mt19937 random(1);
  std::vector<int8_t> boxes(kAnchors * 4), scores(kAnchors * kClasses);
  for (int8_t& value : boxes) value = static_cast<int8_t>(random());
  for (int8_t& value : scores) value = static_cast<int8_t>(random());
  std::vector<float> anchors(kAnchors * 4, 0.5f);

  Postprocessor postprocessor;
  FaultList faults;
  const int before_prepare = allocations;
  ASSERT_TRUE(postprocessor.Prepare(options, Describe(DType::kInt8, "int8", box_dims),
                                    Describe(DType::kInt8, "int8", score_dims),
                                    Describe(DType::kFloat32, "float32", anchor_dims), &faults));
  // The counter counts.
  ASSERT_GT(allocations, before_prepare);
  const size_t slots = static_cast<size_t>(postprocessor.shape().slots);
  std::vector<float> out_boxes(slots * 4), out_classes(slots), out_scores(slots), counts(1);
  const int before = allocations;
  for (int run = 0; run < 3; ++run) {
    postprocessor.Run(boxes.data(), scores.data(), anchors.data(),
                      {out_boxes.data(), out_classes.data(), out_scores.data(), counts.data()});
  }
  EXPECT_EQ(allocations, before);
  EXPECT_GT(counts[0], 0.0f);
}

// A row of scores may have billions of columns where there is none, or no image that has some.
TEST_P(Allocation, ShapesWithoutBytesAskForNone) {
  constexpr int kClasses = INT32_MAX;
  Options options;
  options.max_detections = 10;
  options.max_classes_per_detection = 1;
  options.num_classes = kClasses;
  options.use_regular_nms = GetParam();
  options.nms_iou_threshold = 0.5f;
  options.y_scale = options.x_scale = options.h_scale = options.w_scale = 1.0f;
  for (int images : {0, 1}) {
    const int rows = 1 - images;
    const std::vector<int> box_dims = {images, rows, 4}, score_dims = {images, rows, kClasses},
                           anchor_dims = {rows, 4};
    Postprocessor postprocessor;
    FaultList faults;
    largest = 0;
    EXPECT_TRUE(postprocessor.Prepare(options, Describe(DType::kInt8, "int8", box_dims),
                                      Describe(DType::kInt8, "int8", score_dims),
                                      Describe(DType::kFloat32, "float32", anchor_dims), &faults));
    EXPECT_LT(largest, 1u << 20) << images << " images";
  }
}

INSTANTIATE_TEST_SUITE_P(Modes, Allocation, testing::Bool());

}  // namespace
}  // namespace detops
