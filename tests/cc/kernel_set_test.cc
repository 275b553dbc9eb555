// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

// Every kernel of every instruction set that this processor runs, against the scalar one.
#include "kernels/kernel_set.h"

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "fuzz/runnable_sets.h"
#include "gtest/gtest.h"
#include "kernels/iou.h"

namespace detops {
namespace {

constexpr size_t kSizes[] = {1,  2,  3,  4,  5,  7,  8,  9,   15,  16,  17,  31,
                             32, 33, 63, 64, 65, 90, 91, 127, 128, 129, 1917};

using fuzz::RunnableSets;

const KernelSet& Scalar() { return AllKernelSets().sets[0]; }

// Values at an odd address inside an allocation that ends with them, so that a sanitizer sees any
// read past them.
template <typename T>
class Unaligned {
 public:
  explicit Unaligned(const std::vector<T>& values)
      : bytes_(new char[values.size() * sizeof(T) + 1]) {
    if (!values.empty()) std::memcpy(bytes_.get() + 1, values.data(), values.size() * sizeof(T));
  }
  const void* data() const { return bytes_.get() + 1; }

 private:
  std::unique_ptr<char[]> bytes_;
};

template <typename T>
class KernelSetScan : public testing::Test {
 protected:
  // Few distinct values, so that thresholds meet ties, with NaN among floats.
  std::vector<T> Draw(size_t count) {
    std::vector<T> values(count);
    for (T& value : values) {
      const int drawn = static_cast<int>(random_() % 256);
      value = static_cast<T>(std::is_same<T, uint8_t>::value ? drawn : drawn - 128);
      if (std::is_floating_point<T>::value) {
        if (drawn % 11 == 0) value = std::numeric_limits<T>::quiet_NaN();
        if (drawn % 13 == 0) value = -std::numeric_limits<T>::infinity();
        if (drawn == 1) value = static_cast<T>(-0.0);
      }
    }
    return values;
  }
  std::vector<T> Thresholds() {
    std::vector<T> thresholds = {std::numeric_limits<T>::lowest(), T(0), T(100),
                                 std::numeric_limits<T>::max()};
    if (std::is_floating_point<T>::value) {
      thresholds.push_back(-std::numeric_limits<T>::infinity());
      thresholds.push_back(std::numeric_limits<T>::quiet_NaN());
    }
    return thresholds;
  }
  std::mt19937 random_{4};
};
using Types = testing::Types<float, uint8_t, int8_t>;
TYPED_TEST_SUITE(KernelSetScan, Types);

template <typename T, typename Find>
std::vector<uint32_t> All(size_t end, size_t step, Find find) {
  std::vector<uint32_t> all, found(step);
  for (size_t next = 0; next < end;) {
    const size_t before = next;
    const size_t size = find(next, found.data(), step, &next);
    EXPECT_LE(size, step);
    EXPECT_GT(next, before);
    all.insert(all.end(), found.begin(), found.begin() + static_cast<long>(size));
  }
  return all;
}

TYPED_TEST(KernelSetScan, Maximum) {
  using T = TypeParam;
  for (size_t count : kSizes) {
    for (int kind = 0; kind < 3; ++kind) {
      std::vector<T> values = this->Draw(count);
      if (kind == 1) values.assign(count, std::numeric_limits<T>::lowest());
      if (kind == 2 && std::is_floating_point<T>::value)
        values.assign(count, std::numeric_limits<T>::quiet_NaN());
      const Unaligned<T> memory(values);
      for (size_t begin : {size_t{0}, count / 2}) {
        const T expected = Scalar().scan(T()).maximum(memory.data(), begin, count - begin);
        for (const KernelSet* set : RunnableSets()) {
          const T got = set->scan(T()).maximum(memory.data(), begin, count - begin);
          EXPECT_TRUE(got == expected || (got != got && expected != expected))
              << set->name << " count " << count << " kind " << kind << ": " << +got << ", not "
              << +expected;
        }
      }
    }
  }
}

TYPED_TEST(KernelSetScan, FindValues) {
  using T = TypeParam;
  for (size_t count : kSizes) {
    const std::vector<T> values = this->Draw(count);
    const Unaligned<T> memory(values);
    for (T threshold : this->Thresholds()) {
      std::vector<uint32_t> expected;
      for (size_t i = 0; i < count; ++i) {
        if (values[i] >= threshold) expected.push_back(static_cast<uint32_t>(i));
      }
      for (const KernelSet* set : RunnableSets()) {
        for (size_t step : {1, 3, 64, 100}) {
          const auto got =
              All<T>(count, step, [&](size_t begin, uint32_t* found, size_t max, size_t* resume) {
                return set->scan(T()).find_values(memory.data(), begin, count, threshold, found,
                                                  max, resume);
              });
          ASSERT_EQ(got, expected)
              << set->name << " count " << count << " threshold " << +threshold;
        }
      }
    }
  }
}

TYPED_TEST(KernelSetScan, FindRows) {
  using T = TypeParam;
  for (size_t count : kSizes) {
    if (count > 200) continue;
    for (size_t offset : {0, 1}) {
      for (size_t num_rows : {1, 2, 3, 4, 5, 19}) {
        const ScoreRows rows = {num_rows, count + offset, offset, count};
        std::vector<T> values = this->Draw(rows.rows * rows.stride);
        // The background is the greatest of all, and must not be seen.
        for (size_t r = 0; r < rows.rows && offset == 1; ++r)
          values[r * rows.stride] = std::numeric_limits<T>::max();
        // Some rows reach little, and one of nothing but NaN not even minus infinity.
        for (size_t r = 0; r < rows.rows; r += 2) {
          const bool nan = r % 4 == 2 && std::numeric_limits<T>::has_quiet_NaN;
          for (size_t i = 0; i < count; ++i)
            values[r * rows.stride + offset + i] =
                nan ? std::numeric_limits<T>::quiet_NaN() : std::numeric_limits<T>::lowest();
        }
        const Unaligned<T> memory(values);
        for (T threshold : this->Thresholds()) {
          std::vector<uint32_t> expected;
          for (size_t r = 0; r < rows.rows; ++r) {
            bool any = false;
            for (size_t i = 0; i < count; ++i)
              any = any || values[r * rows.stride + offset + i] >= threshold;
            if (any) expected.push_back(static_cast<uint32_t>(r));
          }
          for (const KernelSet* set : RunnableSets()) {
            for (size_t step : {1, 4, 100}) {
              const auto got = All<T>(
                  rows.rows, step, [&](size_t begin, uint32_t* found, size_t max, size_t* resume) {
                    return set->scan(T()).find_rows(memory.data(), rows, begin, rows.rows,
                                                    threshold, found, max, resume);
                  });
              ASSERT_EQ(got, expected) << set->name << " count " << count << " offset " << offset
                                       << " rows " << num_rows << " threshold " << +threshold;
            }
          }
        }
      }
    }
  }
}

TEST(KernelSet, SuppressesDecidesAlike) {
  std::mt19937 random(6);
  const float odd[] = {0.0f,
                       -0.0f,
                       1.0f,
                       0.5f,
                       1e-40f,
                       3e38f,
                       std::numeric_limits<float>::infinity(),
                       -std::numeric_limits<float>::infinity(),
                       std::nanf("")};
  const auto draw = [&](bool wild) {
    if (wild && random() % 4 == 0) return odd[random() % std::size(odd)];
    return static_cast<float>(random() % 17) / 16.0f;
  };
  int suppressed = 0;
  for (int round = 0; round < 200000; ++round) {
    const bool wild = round % 2 == 1;
    KeptBlock blocks[2] = {};
    blocks[0].next = -1;
    KeptBlock& block = blocks[round % 2];
    blocks[1].next = 0;
    block.count = static_cast<int32_t>(random() % (KeptBlock::kBoxes + 1));
    for (int i = 0; i < block.count; ++i) {
      const Box kept = {draw(wild), draw(wild), draw(wild), draw(wild)};
      block.ymin[i] = kept.ymin;
      block.xmin[i] = kept.xmin;
      block.ymax[i] = kept.ymax;
      block.xmax[i] = kept.xmax;
      block.area[i] = Area(kept);
    }
    const Box box = {draw(wild), draw(wild), draw(wild), draw(wild)};
    // Also thresholds that some quotient meets exactly.
    const float threshold = round % 3 == 0 ? 0.5f : round % 3 == 1 ? 1.0f / 3.0f : 1e-6f;
    const bool expected = Scalar().suppresses(blocks, 1, box, Area(box), threshold);
    suppressed += expected;
    for (const KernelSet* set : RunnableSets()) {
      ASSERT_EQ(set->overlapped(block, box, Area(box), threshold),
                Scalar().overlapped(block, box, Area(box), threshold))
          << set->name << " round " << round;
      EXPECT_FALSE(set->suppresses(blocks, -1, box, Area(box), threshold));
      ASSERT_EQ(set->suppresses(blocks, 1, box, Area(box), threshold), expected)
          << set->name << " round " << round;
    }
  }
  EXPECT_GT(suppressed, 1000);
}

class SelectKernelSetTest : public testing::Test {
 protected:
  void TearDown() override { unsetenv("DETOPS_ISA"); }
};

TEST_F(SelectKernelSetTest, TakesTheWidestByItself) {
  unsetenv("DETOPS_ISA");
  FaultList faults;
  EXPECT_EQ(SelectKernelSet(&faults), RunnableSets().back());
}

TEST_F(SelectKernelSetTest, TakesTheOneNamed) {
  for (const KernelSet* set : RunnableSets()) {
    setenv("DETOPS_ISA", set->name, 1);
    FaultList faults;
    EXPECT_EQ(SelectKernelSet(&faults), set);
  }
}

TEST_F(SelectKernelSetTest, RefusesAnUnknownName) {
  setenv("DETOPS_ISA", "sse9", 1);
  FaultList faults;
  EXPECT_EQ(SelectKernelSet(&faults), nullptr);
  ASSERT_EQ(faults.size(), 1);
  EXPECT_NE(std::string(faults.message(0)).find("sse9, expected one of scalar"), std::string::npos)
      << faults.message(0);
}

// Messages are one line of UTF-8, for Python and for people.
TEST_F(SelectKernelSetTest, TellsANameInPlainCharacters) {
  setenv("DETOPS_ISA", "a\n\xff\x1b", 1);
  FaultList faults;
  EXPECT_EQ(SelectKernelSet(&faults), nullptr);
  EXPECT_EQ(std::string(faults.message(0)).find("DETOPS_ISA is a???, expected"), 0u);
}

}  // namespace
}  // namespace detops
