// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

#ifndef DETOPS_KERNELS_SCORE_SCAN_H_
#define DETOPS_KERNELS_SCORE_SCAN_H_

#include <cstddef>
#include <cstdint>

namespace detops {

// The two passes over the scores, for T = float, uint8_t and int8_t. values may have any
// alignment; indices count elements of T from it.

// The greatest of values[begin, begin + count), NaN ignored; NaN when every value is NaN.
// count >= 1. Of -0 and +0 either may be returned.
template <typename T>
T RowMaximum(const void* values, size_t begin, size_t count);

// Writes the indices in [begin, end) whose value is >= threshold to hits, ascending, and returns
// how many. Stops when max_hits are written; *resume is where to go on (end when done).
// A NaN is never a hit. max_hits >= 1, end < 2^32.
template <typename T>
size_t ScanAtLeast(const void* values, size_t begin, size_t end, T threshold, uint32_t* hits,
                   size_t max_hits, size_t* resume);

}  // namespace detops

#endif  // DETOPS_KERNELS_SCORE_SCAN_H_
