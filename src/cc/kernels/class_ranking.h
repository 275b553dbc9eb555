// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

#ifndef DETOPS_KERNELS_CLASS_RANKING_H_
#define DETOPS_KERNELS_CLASS_RANKING_H_

#include <cstddef>
#include <cstdint>

namespace detops {

// Puts the indices of the top k of count scores into indices[0, k), best first; 1 <= k <= count.
// Equal scores come as std::partial_sort leaves them, which is what stock does for k > 1. A NaN
// ranks below every number. indices has room for count entries.
void RankClasses(const float* scores, size_t count, size_t k, uint32_t* indices);

}  // namespace detops

#endif  // DETOPS_KERNELS_CLASS_RANKING_H_
