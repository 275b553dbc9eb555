// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

// The reference: every other instruction set gives what these functions give.
#include <limits>

#include "kernels/iou.h"
#include "kernels/kept_block.h"
#include "kernels/score_scan.h"
#include "kernels/tensor.h"

namespace detops {
namespace {

template <typename T>
T LowestValue() {
  return std::numeric_limits<T>::has_infinity ? -std::numeric_limits<T>::infinity()
                                              : std::numeric_limits<T>::lowest();
}

template <typename T>
bool HoldsOnlyNaN(const void* values, size_t begin, size_t count) {
  for (size_t i = begin; i < begin + count; ++i) {
    const T value = Load<T>(values, i);
    if (value == value) return false;
  }
  return true;
}

template <typename T>
T Maximum(const void* values, size_t begin, size_t count) {
  T best = LowestValue<T>();
  for (size_t i = begin; i < begin + count; ++i) {
    const T value = Load<T>(values, i);
    best = value > best ? value : best;
  }
  const bool nan = std::numeric_limits<T>::has_quiet_NaN && best == LowestValue<T>() &&
                   HoldsOnlyNaN<T>(values, begin, count);
  return nan ? std::numeric_limits<T>::quiet_NaN() : best;
}

template <typename T>
size_t FindRows(const void* values, const ScoreRows& rows, size_t begin, size_t end, T threshold,
                uint32_t* found, size_t max_found, size_t* resume) {
  size_t size = 0;
  size_t row = begin;
  for (; row < end && size < max_found; ++row) {
    const size_t first = row * rows.stride + rows.offset;
    unsigned any = 0;
    for (size_t i = first; i < first + rows.count; ++i) any |= Load<T>(values, i) >= threshold;
    found[size] = static_cast<uint32_t>(row);
    size += any;
  }
  *resume = row;
  return size;
}

template <typename T>
size_t FindValues(const void* values, size_t begin, size_t end, T threshold, uint32_t* found,
                  size_t max_found, size_t* resume) {
  size_t size = 0;
  size_t i = begin;
  for (; i < end && size < max_found; ++i) {
    found[size] = static_cast<uint32_t>(i);
    size += Load<T>(values, i) >= threshold;
  }
  *resume = i;
  return size;
}

}  // namespace

extern const ScoreScan<float> kScoreScanF32Scalar;
extern const ScoreScan<uint8_t> kScoreScanU8Scalar;
extern const ScoreScan<int8_t> kScoreScanI8Scalar;
const ScoreScan<float> kScoreScanF32Scalar = {FindRows<float>, FindValues<float>, Maximum<float>};
const ScoreScan<uint8_t> kScoreScanU8Scalar = {FindRows<uint8_t>, FindValues<uint8_t>,
                                               Maximum<uint8_t>};
const ScoreScan<int8_t> kScoreScanI8Scalar = {FindRows<int8_t>, FindValues<int8_t>,
                                              Maximum<int8_t>};

uint32_t OverlappedScalar(const KeptBlock& block, const Box& box, float area, float threshold) {
  uint32_t bits = 0;
  for (int i = 0; i < block.count; ++i) {
    const Box kept = {block.ymin[i], block.xmin[i], block.ymax[i], block.xmax[i]};
    if (IoU(kept, block.area[i], box, area) > threshold) bits |= 1u << i;
  }
  return bits;
}

bool SuppressesScalar(const KeptBlock* blocks, int32_t head, const Box& box, float area,
                      float threshold) {
  for (int32_t next = head; next >= 0; next = blocks[next].next) {
    if (OverlappedScalar(blocks[next], box, area, threshold) != 0) return true;
  }
  return false;
}

}  // namespace detops
