// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

#ifndef DETOPS_KERNELS_SCORE_SCAN_H_
#define DETOPS_KERNELS_SCORE_SCAN_H_

#include <cstddef>
#include <cstdint>

namespace detops {

// Where the foreground scores of each row of a [rows, stride] array are.
struct ScoreRows {
  size_t rows;
  size_t stride;
  size_t offset;
  size_t count;  // >= 1; offset + count <= stride
};

// The passes over the scores, for T = float, uint8_t and int8_t. values may have any alignment;
// indices count rows, or elements of T, from it. All variants return the same values.
template <typename T>
struct ScoreScan {
  // Writes the rows in [begin, end) that have a foreground score >= threshold to found, ascending,
  // and returns how many. Stops when max_found are written; *resume is where to go on (end when
  // done). A NaN reaches no threshold. max_found >= 1, end <= rows.rows < 2^32.
  size_t (*find_rows)(const void* values, const ScoreRows& rows, size_t begin, size_t end,
                      T threshold, uint32_t* found, size_t max_found, size_t* resume);

  // The same for the single values[begin, end), whatever their row; end < 2^32.
  size_t (*find_values)(const void* values, size_t begin, size_t end, T threshold, uint32_t* found,
                        size_t max_found, size_t* resume);

  // The greatest of values[begin, begin + count), NaN ignored; NaN when every value is NaN.
  // count >= 1. Of -0 and +0 either may be returned.
  T (*maximum)(const void* values, size_t begin, size_t count);
};

}  // namespace detops

#endif  // DETOPS_KERNELS_SCORE_SCAN_H_
