// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

#include "kernels/candidate_queue.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "gtest/gtest.h"

namespace detops {
namespace {

TEST(CandidateKey, OrdersByScoreDescendingThenPosition) {
  const float inf = std::numeric_limits<float>::infinity();
  const float scores[] = {inf, 1.0f, 0.5f, 1e-45f, 0.0f, -1e-45f, -0.5f, -inf};
  for (size_t i = 0; i + 1 < std::size(scores); ++i) {
    EXPECT_LT(CandidateKey(scores[i], 4000000000u), CandidateKey(scores[i + 1], 0)) << scores[i];
    EXPECT_LT(CandidateKey(scores[i], 1), CandidateKey(scores[i], 2));
    EXPECT_EQ(ScoreOf(CandidateKey(scores[i], 7)), scores[i]);
    EXPECT_EQ(PositionOf(CandidateKey(scores[i], 7)), 7u);
  }
  EXPECT_EQ(CandidateKey(-0.0f, 3), CandidateKey(0.0f, 3));
  EXPECT_GT(CandidateKey(inf, 0), 0u);
  EXPECT_LT(CandidateKey(-inf, UINT32_MAX), UINT64_MAX);
}

std::vector<uint64_t> Drain(CandidateQueue* queue) {
  std::vector<uint64_t> order;
  for (uint64_t key; queue->Pop(&key);) order.push_back(key);
  return order;
}

TEST(CandidateQueue, GivesEverythingInOrderWhenItFits) {
  std::mt19937 random(1);
  for (size_t count : {0, 1, 2, 63, 64, 65, 320, 321, 1917}) {
    std::vector<uint64_t> keys(count);
    for (size_t i = 0; i < count; ++i) {
      keys[i] = CandidateKey(static_cast<float>(random() % 5), static_cast<uint32_t>(i));
    }
    CandidateQueue queue;
    ASSERT_TRUE(queue.Prepare(count));
    queue.Start(0, count);
    for (uint64_t key : keys) queue.Push(key);
    EXPECT_FALSE(queue.dropped());
    std::sort(keys.begin(), keys.end());
    EXPECT_EQ(Drain(&queue), keys) << count;
  }
}

// Offering the same candidates again above the last key taken continues the order.
TEST(CandidateQueue, RefillsContinueTheOrder) {
  std::mt19937 random(2);
  for (const char* kind : {"random", "ascending", "descending"}) {
    std::vector<uint64_t> keys(5000);
    for (size_t i = 0; i < keys.size(); ++i) {
      keys[i] = CandidateKey(static_cast<float>(random() % 9), static_cast<uint32_t>(i));
    }
    std::vector<uint64_t> sorted = keys;
    std::sort(sorted.begin(), sorted.end());
    if (kind[0] == 'a') std::reverse_copy(sorted.begin(), sorted.end(), keys.begin());
    if (kind[0] == 'd') keys = sorted;
    CandidateQueue queue;
    ASSERT_TRUE(queue.Prepare(200));
    std::vector<uint64_t> order;
    uint64_t last = 0;
    do {
      queue.Start(last, 50);
      for (uint64_t key : keys) queue.Push(key);
      const std::vector<uint64_t> part = Drain(&queue);
      ASSERT_FALSE(part.empty());
      order.insert(order.end(), part.begin(), part.end());
      last = part.back();
    } while (queue.dropped());
    EXPECT_EQ(order, sorted) << kind;
  }
}

}  // namespace
}  // namespace detops
