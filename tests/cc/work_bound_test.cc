// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

// No scores and no boxes make the post-processing slow out of all proportion: what it reads of the
// scores is at most a fixed multiple of their number, and the comparisons of boxes are at most
// those that a suppression of everything needs, the same multiple of them. A set of kernels that
// counts what it is asked to read stands in front of the real one, so no clock is involved.
#include <algorithm>
#include <cstdint>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "kernels/postprocessor.h"

namespace detops {
namespace {

// Passes over the scores that one image may cost. Thresholds: the sample of N / 128 anchors is gone
// through eightfold, which for 2^31 of them takes nine steps. Queues, in regular mode: from 4096
// keys eightfold up to a quarter of all pairs, six steps; from there on each pass takes at least an
// eighth of all pairs out of the running.
constexpr uint64_t kFastPasses = 9;
constexpr uint64_t kRegularPasses = kFastPasses + 6 + 8;

struct Work {
  uint64_t scores = 0;  // values read
  uint64_t blocks = 0;  // blocks of kept boxes compared with a candidate
};
Work work;
const KernelSet* real_kernels = nullptr;

template <typename T>
const ScoreScan<T>& RealScan() {
  return real_kernels->scan(T());
}

template <typename T>
size_t FindRows(const void* values, const ScoreRows& rows, size_t begin, size_t end, T threshold,
                uint32_t* found, size_t max_found, size_t* resume) {
  const size_t size =
      RealScan<T>().find_rows(values, rows, begin, end, threshold, found, max_found, resume);
  work.scores += (*resume - begin) * rows.count;
  return size;
}

template <typename T>
size_t FindValues(const void* values, size_t begin, size_t end, T threshold, uint32_t* found,
                  size_t max_found, size_t* resume) {
  const size_t size =
      RealScan<T>().find_values(values, begin, end, threshold, found, max_found, resume);
  work.scores += *resume - begin;
  return size;
}

template <typename T>
T Maximum(const void* values, size_t begin, size_t count) {
  work.scores += count;
  return RealScan<T>().maximum(values, begin, count);
}

uint32_t Overlapped(const KeptBlock& block, const Box& box, float area, float threshold) {
  ++work.blocks;
  return real_kernels->overlapped(block, box, area, threshold);
}

bool Suppresses(const KeptBlock* blocks, int32_t head, const Box& box, float area,
                float threshold) {
  for (int32_t at = head; at >= 0; at = blocks[at].next) ++work.blocks;
  return real_kernels->suppresses(blocks, head, box, area, threshold);
}

template <typename T>
constexpr ScoreScan<T> kCountingScan = {FindRows<T>, FindValues<T>, Maximum<T>};

const KernelSet kCounting = {
    "counting", nullptr,   &kCountingScan<float>, &kCountingScan<uint8_t>, &kCountingScan<int8_t>,
    Overlapped, Suppresses};

enum class Scores { kEqual, kRising, kFalling, kRandom, kFewLevels, kNaN };
enum class Boxes { kOnePlace, kApart, kRandom, kNegative };

struct Case {
  int anchors;
  int classes;
  DType dtype;
  Scores scores;
  Boxes boxes;
  int max_detections;
  float threshold;
  bool regular;
};

std::vector<float> MakeBoxes(Boxes kind, int count) {
  std::mt19937 random(7);
  std::uniform_real_distribution<float> place(0.0f, 20.0f);
  std::vector<float> anchors;
  for (int i = 0; i < count; ++i) {
    const float size = kind == Boxes::kNegative ? -1.0f : 1.0f;
    const float at = kind == Boxes::kApart ? 2.0f * static_cast<float>(i) : 0.0f;
    const bool spread = kind == Boxes::kRandom;
    anchors.insert(anchors.end(),
                   {spread ? place(random) : at, spread ? place(random) : 0.0f, size, size});
  }
  return anchors;
}

// Ranks in [0, 255], for the type to scale.
std::vector<float> MakeRanks(Scores kind, size_t count) {
  std::mt19937 random(11);
  std::vector<float> ranks(count, 200.0f);
  for (size_t i = 0; i < count; ++i) {
    const float share = 255.0f * static_cast<float>(i) / static_cast<float>(count);
    if (kind == Scores::kRising) ranks[i] = share;
    if (kind == Scores::kFalling) ranks[i] = 255.0f - share;
    if (kind == Scores::kRandom)
      ranks[i] = static_cast<float>(random() >> 8) * (255.0f / (1 << 24));
    if (kind == Scores::kFewLevels) ranks[i] = static_cast<float>(random() % 3) * 100.0f;
  }
  return ranks;
}

std::vector<char> MakeScores(const Case& each, size_t count) {
  std::vector<float> ranks = MakeRanks(each.scores, count);
  std::vector<char> bytes;
  if (each.dtype == DType::kFloat32) {
    for (float& rank : ranks) {
      rank = each.scores == Scores::kNaN ? std::numeric_limits<float>::quiet_NaN() : rank / 256;
    }
    const char* first = reinterpret_cast<const char*>(ranks.data());
    bytes.assign(first, first + count * sizeof(float));
    return bytes;
  }
  const int zero = each.dtype == DType::kInt8 ? -128 : 0;
  for (float rank : ranks) bytes.push_back(static_cast<char>(static_cast<int>(rank) + zero));
  return bytes;
}

TensorDesc Describe(DType dtype, const std::vector<int>& dims) {
  TensorDesc desc;
  desc.dtype = dtype;
  desc.dims = dims.data();
  desc.rank = static_cast<int>(dims.size());
  if (IsQuantized(dtype)) {
    desc.num_scales = 1;
    desc.scale = 1.0f / 256.0f;
    desc.zero_point = dtype == DType::kInt8 ? -128 : 0;
  }
  return desc;
}

// What Postprocessor::Prepare does, with the kernels that count.
bool MakeProblem(const Case& each, Problem* problem) {
  Options& options = problem->options;
  options.max_detections = options.detections_per_class = each.max_detections;
  options.max_classes_per_detection = 1;
  options.num_classes = each.classes;
  options.use_regular_nms = each.regular;
  options.nms_score_threshold = each.threshold;
  options.nms_iou_threshold = 0.5f;
  options.y_scale = options.x_scale = options.h_scale = options.w_scale = 1.0f;
  const std::vector<int> box_dims = {1, each.anchors, 4},
                         score_dims = {1, each.anchors, each.classes},
                         anchor_dims = {each.anchors, 4};
  const TensorDesc boxes = Describe(DType::kFloat32, box_dims),
                   scores = Describe(each.dtype, score_dims),
                   anchors = Describe(DType::kFloat32, anchor_dims);
  FaultList faults;
  CheckProblem(options, boxes, scores, anchors, &problem->shape, &faults);
  problem->kernels = &kCounting;
  problem->scores.Prepare(scores, static_cast<size_t>(each.anchors) * each.classes);
  return faults.empty() && problem->boxes.Prepare(options, boxes, anchors);
}

template <class Mode>
int RunCounted(const Case& each) {
  Problem problem;
  EXPECT_TRUE(MakeProblem(each, &problem));
  Mode mode;
  EXPECT_TRUE(mode.Prepare(problem));
  const std::vector<float> anchors = MakeBoxes(each.boxes, each.anchors);
  const std::vector<float> encodings(anchors.size(), 0.0f);
  const std::vector<char> scores =
      MakeScores(each, static_cast<size_t>(each.anchors) * each.classes);
  const size_t slots = static_cast<size_t>(problem.shape.slots);
  std::vector<float> boxes(4 * slots), classes(slots), found(slots);
  work = Work();
  return mode.Run(problem, {encodings.data(), scores.data(), anchors.data()},
                  {boxes.data(), classes.data(), found.data()});
}

std::string Describe(const Case& each) {
  return std::to_string(each.anchors) + " anchors, " + std::to_string(each.classes) +
         " classes, type " + std::to_string(static_cast<int>(each.dtype)) + ", scores " +
         std::to_string(static_cast<int>(each.scores)) + ", boxes " +
         std::to_string(static_cast<int>(each.boxes)) + ", at most " +
         std::to_string(each.max_detections) + ", from " + std::to_string(each.threshold) +
         (each.regular ? ", regular" : ", fast");
}

// Each pass reads a score when its row is looked at and again when the row is taken apart, and the
// sample and the reported boxes may cost all scores once more.
void ExpectBounded(const Case& each) {
  SCOPED_TRACE(Describe(each));
  const int kept = each.regular ? RunCounted<RegularMode>(each) : RunCounted<FastMode>(each);
  const uint64_t pairs = static_cast<uint64_t>(each.anchors) * each.classes;
  const uint64_t passes = each.regular ? kRegularPasses : kFastPasses;
  EXPECT_LE(work.scores, (2 * passes + 2) * pairs);
  // In a pass each anchor is compared with all that is kept; and each candidate once with those of
  // its class, which all may be in one. A list's newest block may be part full.
  const uint64_t blocks = static_cast<uint64_t>(kept) / KeptBlock::kBoxes + 1;
  const uint64_t candidates = each.regular ? pairs : each.anchors;
  EXPECT_LE(work.blocks, (passes * each.anchors + candidates) * blocks);
}

class WorkBound : public testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    FaultList faults;
    real_kernels = SelectKernelSet(&faults);
    ASSERT_NE(real_kernels, nullptr);
  }
};

TEST_P(WorkBound, HoldsForEveryKindOfData) {
  const float lowest = -std::numeric_limits<float>::infinity();
  for (const auto& [anchors, classes] : {std::pair{1, 1}, {3, 400}, {700, 1}, {6000, 20}}) {
    for (DType dtype : {DType::kFloat32, DType::kUInt8, DType::kInt8}) {
      for (Scores scores : {Scores::kEqual, Scores::kRising, Scores::kFalling, Scores::kRandom,
                            Scores::kFewLevels, Scores::kNaN}) {
        for (Boxes boxes : {Boxes::kOnePlace, Boxes::kApart, Boxes::kRandom, Boxes::kNegative}) {
          for (int limit : {1, 100, 3000}) {
            ExpectBounded({anchors, classes, dtype, scores, boxes, limit, lowest, GetParam()});
          }
        }
      }
    }
  }
}

// The longest walk: every pair is a candidate, and none is ever kept. Two million of them would be
// read hundreds of times through a queue that did not grow with them.
TEST_P(WorkBound, HoldsWhereNothingIsEverKept) {
  const float lowest = -std::numeric_limits<float>::infinity();
  for (Scores scores : {Scores::kEqual, Scores::kRising, Scores::kRandom}) {
    ExpectBounded({20000, 91, DType::kFloat32, scores, Boxes::kNegative, 100, lowest, GetParam()});
  }
}

INSTANTIATE_TEST_SUITE_P(Modes, WorkBound, testing::Bool());

}  // namespace
}  // namespace detops
