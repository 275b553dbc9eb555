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

void RankClasses(const float* scores, size_t count, size_t k, int32_t* indices) {
  if (k == 1) {
    size_t best = 0;
    for (size_t i = 1; i < count; ++i) {
      if (Better(scores[i], scores[best])) best = i;
    }
    indices[0] = static_cast<int32_t>(best);
    return;
  }
  std::iota(indices, indices + count, 0);
  std::partial_sort(indices, indices + k, indices + count,
                    [scores](int32_t i, int32_t j) { return Better(scores[i], scores[j]); });
}

}  // namespace detops
