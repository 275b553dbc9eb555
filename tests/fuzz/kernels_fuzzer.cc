// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

// Every kernel of every instruction set against the scalar one and against a plain loop, on values
// of any bits that end where a guard page begins.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "fuzz/draws.h"
#include "fuzz/expect.h"
#include "fuzz/fuzz_input.h"
#include "fuzz/runnable_sets.h"
#include "kernels/iou.h"

namespace detops {
namespace fuzz {
namespace {

constexpr size_t kMaxBytes = 1 << 16;

template <typename T>
constexpr DType DTypeOf() {
  return std::is_same<T, float>::value ? DType::kFloat32 : DType::kUInt8;
}

template <typename T>
T DrawThreshold(FuzzInput* input) {
  if (std::is_same<T, float>::value) return static_cast<T>(input->Float());
  const uint8_t byte = input->Byte();
  T threshold;
  std::memcpy(&threshold, &byte, 1);
  return threshold;
}

// Calls find until it is through, and checks each answer against the wanted indices.
template <typename Find>
void ExpectFinds(const char* set, const std::vector<uint32_t>& wanted, size_t end, size_t step,
                 Find find) {
  std::vector<uint32_t> all, found(step);
  for (size_t next = 0; next < end;) {
    const size_t before = next;
    const size_t size = find(next, found.data(), step, &next);
    FUZZ_EXPECT(size <= step && next > before && next <= end, "%s: %zu found, then %zu", set, size,
                next);
    all.insert(all.end(), found.begin(), found.begin() + static_cast<long>(size));
  }
  FUZZ_EXPECT(all == wanted, "%s: %zu found, expected %zu", set, all.size(), wanted.size());
}

template <typename T>
class ScanCheck {
 public:
  ScanCheck(const KernelSet& set, const void* values, size_t count)
      : set_(set), scan_(set.scan(T())), values_(values), count_(count) {}

  void Maximum(size_t begin) const {
    if (begin >= count_) return;
    T best = std::numeric_limits<T>::has_infinity ? -std::numeric_limits<T>::infinity()
                                                  : std::numeric_limits<T>::lowest();
    bool any = false;
    for (size_t i = begin; i < count_; ++i) {
      const T value = Load<T>(values_, i);
      any = any || value == value;
      if (value > best) best = value;
    }
    const T got = scan_.maximum(values_, begin, count_ - begin);
    FUZZ_EXPECT(any ? got == best : got != got, "%s: maximum %g, expected %g", set_.name,
                static_cast<double>(got), static_cast<double>(best));
  }

  void Values(size_t begin, T threshold, size_t step) const {
    std::vector<uint32_t> wanted;
    for (size_t i = begin; i < count_; ++i) {
      if (Load<T>(values_, i) >= threshold) wanted.push_back(static_cast<uint32_t>(i));
    }
    if (begin >= count_) return;
    ExpectFinds(set_.name, wanted, count_, step,
                [&](size_t next, uint32_t* found, size_t max, size_t* resume) {
                  return scan_.find_values(values_, std::max(next, begin), count_, threshold, found,
                                           max, resume);
                });
  }

  void Rows(const ScoreRows& rows, size_t end, T threshold, size_t step) const {
    std::vector<uint32_t> wanted;
    for (size_t r = 0; r < end; ++r) {
      bool any = false;
      for (size_t i = 0; i < rows.count; ++i) {
        any = any || Load<T>(values_, r * rows.stride + rows.offset + i) >= threshold;
      }
      if (any) wanted.push_back(static_cast<uint32_t>(r));
    }
    ExpectFinds(set_.name, wanted, end, step,
                [&](size_t next, uint32_t* found, size_t max, size_t* resume) {
                  return scan_.find_rows(values_, rows, next, end, threshold, found, max, resume);
                });
  }

 private:
  const KernelSet& set_;
  const ScoreScan<T>& scan_;
  const void* values_;
  size_t count_;
};

template <typename T>
void CheckScans(FuzzInput* input, const std::vector<const KernelSet*>& sets) {
  static GuardedMemory memory(kMaxBytes);
  ScoreRows rows;
  rows.count = static_cast<size_t>(input->Range(1, 200));
  rows.offset = static_cast<size_t>(input->Range(0, 1));
  rows.stride = rows.count + rows.offset + (input->OneIn(8) ? input->Byte() % 3u : 0u);
  rows.rows = static_cast<size_t>(input->Range(0, 40));
  const size_t count = rows.rows * rows.stride;
  uint8_t* values = memory.Put(count * sizeof(T), DrawPlace(input));
  FillTensor(input, DTypeOf<T>(), 0.0f, 1.0f, values, count * sizeof(T));
  const T threshold = DrawThreshold<T>(input);
  const size_t step = input->OneIn(2) ? static_cast<size_t>(input->Range(1, 70)) : 1024;
  const size_t begin = count == 0 ? 0 : input->Word() % count;
  // The rows behind are there, but are not asked for.
  const size_t end = input->OneIn(2) ? input->Byte() % (rows.rows + 1) : rows.rows;
  for (const KernelSet* set : sets) {
    const ScanCheck<T> check(*set, values, count);
    check.Maximum(0);
    check.Maximum(begin);
    check.Values(begin, threshold, step);
    check.Rows(rows, end, threshold, step);
  }
}

Box DrawBox(FuzzInput* input) {
  Box box;
  float* corners[] = {&box.ymin, &box.xmin, &box.ymax, &box.xmax};
  for (float* corner : corners) *corner = input->Float();
  return box;
}

void CheckSuppression(FuzzInput* input, const std::vector<const KernelSet*>& sets) {
  // The blocks end at a guard, so that a wide load past the last box is seen.
  static GuardedMemory memory(4096);
  constexpr size_t kBlocks = 2;
  auto* blocks = reinterpret_cast<KeptBlock*>(
      memory.Put(kBlocks * sizeof(KeptBlock), GuardedMemory::Place::kEnd));
  std::memset(blocks, 0, kBlocks * sizeof(KeptBlock));
  for (size_t b = 0; b < kBlocks; ++b) {
    KeptBlock& block = blocks[b];
    block.next = static_cast<int32_t>(b) - 1;
    block.count = input->Range(0, KeptBlock::kBoxes);
    for (int i = 0; i < block.count; ++i) {
      const Box kept = DrawBox(input);
      block.ymin[i] = kept.ymin;
      block.xmin[i] = kept.xmin;
      block.ymax[i] = kept.ymax;
      block.xmax[i] = kept.xmax;
      block.area[i] = Area(kept);
    }
  }
  const Box box = DrawBox(input);
  const float drawn = std::fabs(input->Float());
  // The contract of the kernels: above zero, as the checks of the op make sure.
  const float threshold = drawn > 0.0f && drawn <= 1.0f ? drawn : 0.5f;
  const KernelSet& scalar = *sets[0];
  for (const KernelSet* set : sets) {
    for (size_t b = 0; b < kBlocks; ++b) {
      const uint32_t want = scalar.overlapped(blocks[b], box, Area(box), threshold);
      const uint32_t got = set->overlapped(blocks[b], box, Area(box), threshold);
      FUZZ_EXPECT(got == want, "%s: overlapped %x, expected %x", set->name, got, want);
    }
    for (int32_t head = -1; head < static_cast<int32_t>(kBlocks); ++head) {
      FUZZ_EXPECT(set->suppresses(blocks, head, box, Area(box), threshold) ==
                      scalar.suppresses(blocks, head, box, Area(box), threshold),
                  "%s: suppresses otherwise than scalar from block %d", set->name, head);
    }
  }
}

void Run(const uint8_t* data, size_t size) {
  static const std::vector<const KernelSet*> sets = RunnableSets();
  FuzzInput input(data, size);
  switch (input.Range(0, 3)) {
    case 0: CheckScans<float>(&input, sets); break;
    case 1: CheckScans<uint8_t>(&input, sets); break;
    case 2: CheckScans<int8_t>(&input, sets); break;
    default: CheckSuppression(&input, sets); break;
  }
}

}  // namespace
}  // namespace fuzz
}  // namespace detops

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  detops::fuzz::Run(data, size);
  return 0;
}
