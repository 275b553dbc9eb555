// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

#include "kernels/score_scan.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "gtest/gtest.h"

namespace detops {
namespace {

constexpr size_t kSizes[] = {0, 1, 2, 15, 16, 17, 31, 32, 33, 90, 91, 1917};

// The values at an odd address inside an allocation that ends with them.
template <typename T>
class Unaligned {
 public:
  explicit Unaligned(const std::vector<T>& values) : bytes_(values.size() * sizeof(T) + 1) {
    if (!values.empty()) std::memcpy(bytes_.data() + 1, values.data(), values.size() * sizeof(T));
  }
  const void* data() const { return bytes_.data() + 1; }

 private:
  std::vector<char> bytes_;
};

template <typename T>
class ScoreScan : public testing::Test {
 protected:
  std::vector<T> Draw(size_t count) {
    std::vector<T> values(count);
    for (T& value : values) {
      value = static_cast<T>(static_cast<int>(random_() % 40) - (std::is_signed<T>::value ? 20 : 0));
      if (std::is_floating_point<T>::value && random_() % 7 == 0) {
        value = std::numeric_limits<T>::quiet_NaN();
      }
    }
    return values;
  }
  std::mt19937 random_{4};
};
using Types = testing::Types<float, uint8_t, int8_t>;
TYPED_TEST_SUITE(ScoreScan, Types);

TYPED_TEST(ScoreScan, RowMaximumIgnoresNaN) {
  for (size_t count : kSizes) {
    if (count == 0) continue;
    const std::vector<TypeParam> values = this->Draw(count);
    const Unaligned<TypeParam> memory(values);
    for (size_t begin : {size_t{0}, count / 2}) {
      TypeParam expected = values[begin];
      for (size_t i = begin; i < count; ++i) {
        if (expected != expected || values[i] > expected) expected = values[i];
      }
      const TypeParam got = RowMaximum<TypeParam>(memory.data(), begin, count - begin);
      if (expected != expected) {
        EXPECT_NE(got, got);
      } else {
        EXPECT_EQ(got, expected) << count;
      }
    }
  }
}

TYPED_TEST(ScoreScan, ScanFindsEveryHitOnceInAnySteps) {
  for (size_t count : kSizes) {
    const std::vector<TypeParam> values = this->Draw(count);
    const Unaligned<TypeParam> memory(values);
    for (int threshold : {-100, 0, 10, 19, 100}) {
      if (!std::is_signed<TypeParam>::value && threshold < 0) continue;
      std::vector<uint32_t> expected;
      for (size_t i = 0; i < count; ++i) {
        if (values[i] >= static_cast<TypeParam>(threshold)) expected.push_back(static_cast<uint32_t>(i));
      }
      for (size_t step : {1, 3, 16, 100}) {
        std::vector<uint32_t> hits(step), all;
        for (size_t next = 0; next < count;) {
          const size_t found = ScanAtLeast<TypeParam>(memory.data(), next, count,
                                                      static_cast<TypeParam>(threshold), hits.data(), step, &next);
          all.insert(all.end(), hits.begin(), hits.begin() + static_cast<long>(found));
        }
        ASSERT_EQ(all, expected) << count << " " << threshold << " " << step;
      }
    }
  }
}

TEST(ScoreScanFloat, MinusInfinityAsThresholdKeepsAllButNaN) {
  const float inf = std::numeric_limits<float>::infinity();
  const std::vector<float> values = {-inf, std::nanf(""), 0.0f, -0.0f};
  uint32_t hits[4];
  size_t next;
  EXPECT_EQ(ScanAtLeast<float>(values.data(), 0, 4, -inf, hits, 4, &next), 3u);
  EXPECT_EQ(RowMaximum<float>(values.data(), 0, 1), -inf);
}

}  // namespace
}  // namespace detops
