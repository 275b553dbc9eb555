// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

// The loops of the score passes, over a vector type V of one instruction set. Included by the files
// that are compiled for one, and by nothing else: everything here is local to the file, so that no
// linker can put a function made of wide instructions where a plain processor runs.
//
// V has: Value, Vector, kLanes; Load(address), Splat(value), Max(a, b) = a > b ? a : b,
// ReachedBy(values, threshold) = one bit per lane whose value is >= threshold.
#ifndef DETOPS_KERNELS_SCORE_SCAN_SIMD_H_
#define DETOPS_KERNELS_SCORE_SCAN_SIMD_H_

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "kernels/score_scan.h"

#if defined(_MSC_VER)
#include <intrin.h>
#endif

namespace detops {
namespace {

inline unsigned LowestBit(uint64_t bits) {
#if defined(_MSC_VER)
  unsigned long index;
  _BitScanForward64(&index, bits);
  return index;
#else
  return static_cast<unsigned>(__builtin_ctzll(bits));
#endif
}

template <typename T>
inline T LoadOne(const char* at) {
  T value;
  memcpy(&value, at, sizeof(T));
  return value;
}

// Every reduction starts from this, so that a running maximum is never NaN.
inline float LowestOf(float) {
  const uint32_t minus_infinity = 0xff800000u;
  float value;
  memcpy(&value, &minus_infinity, sizeof(value));
  return value;
}
inline uint8_t LowestOf(uint8_t) { return 0; }
inline int8_t LowestOf(int8_t) { return -128; }

template <class V>
struct SimdScan {
  using T = typename V::Value;

  // Rows looked at together: most reach no threshold of interest, and a group of those costs one
  // test.
  static constexpr size_t kGroup = 4;
  static constexpr bool kHasNaN = static_cast<T>(0.5) != 0;

  // How a row divides into vectors: whole ones, then one of which only some lanes count.
  struct RowShape {
    explicit RowShape(const ScoreRows& rows)
        : stride_bytes(rows.stride * sizeof(T)),
          full(rows.count - rows.count % V::kLanes),
          tail_bits(full == rows.count ? 0 : ~uint64_t{0} >> (64 - (rows.count - full))) {}
    size_t stride_bytes;
    size_t full;
    uint64_t tail_bits;
  };

  template <size_t kRows>
  static bool AnyReaches(const char* row, const RowShape& shape, typename V::Vector threshold) {
    typename V::Vector best = V::Splat(LowestOf(T()));
    uint64_t tails = 0;
    for (size_t r = 0; r < kRows; ++r, row += shape.stride_bytes) {
      for (size_t i = 0; i < shape.full; i += V::kLanes) {
        best = V::Max(V::Load(row + i * sizeof(T)), best);
      }
      if (shape.tail_bits != 0) {
        tails |= V::ReachedBy(V::Load(row + shape.full * sizeof(T)), threshold);
      }
    }
    const uint64_t whole = shape.full == 0 ? 0 : V::ReachedBy(best, threshold);
    return (whole | (tails & shape.tail_bits)) != 0;
  }

  static bool RowReaches(const char* row, size_t count, T threshold) {
    bool any = false;
    for (size_t i = 0; i < count; ++i) any |= LoadOne<T>(row + i * sizeof(T)) >= threshold;
    return any;
  }

  static size_t FindRows(const void* values, const ScoreRows& rows, size_t begin, size_t end,
                         T threshold, uint32_t* found, size_t max_found, size_t* resume) {
    const RowShape shape(rows);
    // The last vector of a row may reach into the next ones, but not past the array.
    const size_t reach = rows.offset + shape.full + (shape.tail_bits == 0 ? 0 : V::kLanes);
    const size_t elements = rows.rows * rows.stride;
    size_t safe_end = reach > elements ? 0 : (elements - reach) / rows.stride + 1;
    if (safe_end > end) safe_end = end;
    // A running maximum of nothing but NaN is still where it started, and would reach this.
    if (kHasNaN && threshold == LowestOf(T())) safe_end = 0;

    const char* base = static_cast<const char*>(values) + rows.offset * sizeof(T);
    const typename V::Vector limit = V::Splat(threshold);
    size_t size = 0;
    size_t row = begin;
    while (row < safe_end && size < max_found) {
      const char* first = base + row * shape.stride_bytes;
      if (row + kGroup <= safe_end && !AnyReaches<kGroup>(first, shape, limit)) {
        row += kGroup;
        continue;
      }
      const size_t stop = row + kGroup < safe_end ? row + kGroup : safe_end;
      for (; row < stop && size < max_found; ++row, first += shape.stride_bytes) {
        found[size] = static_cast<uint32_t>(row);
        size += AnyReaches<1>(first, shape, limit);
      }
    }
    for (; row < end && size < max_found; ++row) {
      found[size] = static_cast<uint32_t>(row);
      size += RowReaches(base + row * shape.stride_bytes, rows.count, threshold);
    }
    *resume = row;
    return size;
  }

  static size_t FindValues(const void* values, size_t begin, size_t end, T threshold,
                           uint32_t* found, size_t max_found, size_t* resume) {
    const char* base = static_cast<const char*>(values);
    const typename V::Vector limit = V::Splat(threshold);
    size_t size = 0;
    size_t i = begin;
    for (; i + V::kLanes <= end && size + V::kLanes <= max_found; i += V::kLanes) {
      uint64_t bits = V::ReachedBy(V::Load(base + i * sizeof(T)), limit);
      for (; bits != 0; bits &= bits - 1) {
        found[size++] = static_cast<uint32_t>(i + LowestBit(bits));
      }
    }
    for (; i < end && size < max_found; ++i) {
      found[size] = static_cast<uint32_t>(i);
      size += LoadOne<T>(base + i * sizeof(T)) >= threshold;
    }
    *resume = i;
    return size;
  }

  static T Maximum(const void* values, size_t begin, size_t count) {
    const char* base = static_cast<const char*>(values) + begin * sizeof(T);
    T best = LowestOf(T());
    size_t i = 0;
    if (count >= V::kLanes) {
      typename V::Vector running = V::Splat(best);
      for (; i + V::kLanes <= count; i += V::kLanes) {
        running = V::Max(V::Load(base + i * sizeof(T)), running);
      }
      // The last vector may overlap the one before: a maximum does not mind.
      running = V::Max(V::Load(base + (count - V::kLanes) * sizeof(T)), running);
      best = V::MaxLane(running);
      i = count;
    }
    for (; i < count; ++i) {
      const T value = LoadOne<T>(base + i * sizeof(T));
      best = value > best ? value : best;
    }
    return best == LowestOf(T()) ? LowestOrNaN(base, count) : best;
  }

  // The lowest value is also where the search started: it may mean that all values are NaN.
  static T LowestOrNaN(const char* base, size_t count) {
    for (size_t i = 0; i < count; ++i) {
      const T value = LoadOne<T>(base + i * sizeof(T));
      if (value == value) return LowestOf(T());
    }
    return LoadOne<T>(base);
  }

  static constexpr ScoreScan<T> kTable = {FindRows, FindValues, Maximum};
};

}  // namespace
}  // namespace detops

#endif  // DETOPS_KERNELS_SCORE_SCAN_SIMD_H_
