// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

#include <limits>

#include "kernels/score_scan.h"
#include "kernels/tensor.h"

namespace detops {
namespace {

// Independent running maxima: one chain of comparisons would wait for each result in turn.
constexpr size_t kChains = 16;

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

}  // namespace

template <typename T>
T RowMaximum(const void* values, size_t begin, size_t count) {
  T chains[kChains];
  for (T& chain : chains) chain = LowestValue<T>();
  const size_t end = begin + count;
  size_t i = begin;
  for (; i + kChains <= end; i += kChains) {
    for (size_t j = 0; j < kChains; ++j) {
      const T value = Load<T>(values, i + j);
      chains[j] = value > chains[j] ? value : chains[j];
    }
  }
  T best = LowestValue<T>();
  for (; i < end; ++i) {
    const T value = Load<T>(values, i);
    best = value > best ? value : best;
  }
  for (T chain : chains) best = chain > best ? chain : best;
  if (std::numeric_limits<T>::has_quiet_NaN && best == LowestValue<T>() &&
      HoldsOnlyNaN<T>(values, begin, count)) {
    return std::numeric_limits<T>::quiet_NaN();
  }
  return best;
}

template <typename T>
size_t ScanAtLeast(const void* values, size_t begin, size_t end, T threshold, uint32_t* hits,
                   size_t max_hits, size_t* resume) {
  size_t found = 0;
  size_t i = begin;
  // Most scores are below any threshold of interest: look at a whole group before each of it.
  for (; i + kChains <= end && found + kChains <= max_hits; i += kChains) {
    unsigned any = 0;
    for (size_t j = 0; j < kChains; ++j) any |= Load<T>(values, i + j) >= threshold;
    if (any == 0) continue;
    for (size_t j = 0; j < kChains; ++j) {
      hits[found] = static_cast<uint32_t>(i + j);
      found += Load<T>(values, i + j) >= threshold;
    }
  }
  for (; i < end && found < max_hits; ++i) {
    if (Load<T>(values, i) >= threshold) hits[found++] = static_cast<uint32_t>(i);
  }
  *resume = i;
  return found;
}

template float RowMaximum<float>(const void*, size_t, size_t);
template uint8_t RowMaximum<uint8_t>(const void*, size_t, size_t);
template int8_t RowMaximum<int8_t>(const void*, size_t, size_t);
template size_t ScanAtLeast<float>(const void*, size_t, size_t, float, uint32_t*, size_t, size_t*);
template size_t ScanAtLeast<uint8_t>(const void*, size_t, size_t, uint8_t, uint32_t*, size_t,
                                     size_t*);
template size_t ScanAtLeast<int8_t>(const void*, size_t, size_t, int8_t, uint32_t*, size_t,
                                    size_t*);

}  // namespace detops
