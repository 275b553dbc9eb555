// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

#include "kernels/kept_boxes.h"

#include <limits>
#include <random>
#include <vector>

#include "gtest/gtest.h"
#include "kernels/iou.h"

namespace detops {
namespace {

const float kNaN = std::numeric_limits<float>::quiet_NaN();
const float kInf = std::numeric_limits<float>::infinity();

float IoUOf(const Box& a, const Box& b) { return IoU(a, Area(a), b, Area(b)); }

TEST(IoU, KnownValues) {
  const Box unit = {0, 0, 1, 1};
  EXPECT_EQ(IoUOf(unit, unit), 1.0f);
  EXPECT_EQ(IoUOf(unit, {0, 0.5f, 1, 1.5f}), 0.5f / 1.5f);
  EXPECT_EQ(IoUOf(unit, {2, 2, 3, 3}), 0.0f);
}

TEST(IoU, DegenerateAndNonFiniteBoxesDoNotSuppress) {
  const Box unit = {0, 0, 1, 1};
  for (const Box& odd : {Box{0, 0, 0, 1}, Box{0, 0, 0, 0}, Box{1, 0, 0, 1},
                         Box{-kInf, -kInf, kInf, kInf}, Box{kNaN, 0, 1, 1}, Box{0, 0, kInf, 1}}) {
    EXPECT_FALSE(IoUOf(unit, odd) > 0.01f);
    EXPECT_FALSE(IoUOf(odd, unit) > 0.01f);
    EXPECT_FALSE(IoUOf(odd, odd) > 0.01f);
  }
}

TEST(KeptBoxes, EqualityAtTheThresholdSurvives) {
  KeptBoxes kept;
  ASSERT_TRUE(kept.Prepare(AllKernelSets().sets[0], 1, 2));
  kept.Clear();
  EXPECT_TRUE(kept.KeepUnlessSuppressed(0, {0, 0, 1, 1}, 1.0f));
  EXPECT_TRUE(kept.KeepUnlessSuppressed(0, {0, 0, 1, 1}, 1.0f));
}

// Against a plain list for each class, past the end of several blocks.
TEST(KeptBoxes, AgreesWithAListPerClass) {
  std::mt19937 random(3);
  std::uniform_real_distribution<float> place(0.0f, 4.0f);
  constexpr size_t kClasses = 3;
  FaultList faults;
  const KernelSet* set = SelectKernelSet(&faults);
  ASSERT_NE(set, nullptr);
  KeptBoxes kept;
  ASSERT_TRUE(kept.Prepare(*set, kClasses, 200));
  for (int round = 0; round < 3; ++round) {
    kept.Clear();
    std::vector<Box> lists[kClasses];
    for (int i = 0; i < 200; ++i) {
      const float y = place(random), x = place(random);
      const Box box = {y, x, y + 0.5f, x + 0.5f};
      const size_t c = random() % kClasses;
      bool expected = true;
      for (const Box& other : lists[c]) expected = expected && !(IoUOf(other, box) > 0.3f);
      if (expected) lists[c].push_back(box);
      ASSERT_EQ(kept.KeepUnlessSuppressed(c, box, 0.3f), expected) << i;
      ASSERT_EQ(kept.Count(c), static_cast<int>(lists[c].size()));
    }
  }
}

}  // namespace
}  // namespace detops
