// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

#include "kernels/class_ranking.h"

#include <algorithm>
#include <numeric>

namespace detops {
namespace {

inline bool IsNaN(float value) { return value != value; }

inline bool Better(float a, float b) { return a > b || (IsNaN(b) && !IsNaN(a)); }

}  // namespace

void RankClasses(const float* scores, size_t count, size_t k, uint32_t* indices) {
  std::iota(indices, indices + count, 0u);
  std::partial_sort(indices, indices + k, indices + count,
                    [scores](uint32_t i, uint32_t j) { return Better(scores[i], scores[j]); });
}

}  // namespace detops
