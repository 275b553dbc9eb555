// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

#ifndef DETOPS_TESTS_FUZZ_SAME_BITS_H_
#define DETOPS_TESTS_FUZZ_SAME_BITS_H_

#include <cstddef>
#include <cstring>

#include "fuzz/expect.h"

namespace detops {
namespace fuzz {

// All NaN are one: which of two NaN operands an operation returns is the compiler's business. The
// sign of zero counts.
inline void ExpectSameBits(const float* got, const float* expected, size_t count,
                           const char* what) {
  for (size_t i = 0; i < count; ++i) {
    if (got[i] != got[i] && expected[i] != expected[i]) continue;
    FUZZ_EXPECT(std::memcmp(&got[i], &expected[i], sizeof(float)) == 0,
                "%s: element %zu is %.9g, expected %.9g", what, i, static_cast<double>(got[i]),
                static_cast<double>(expected[i]));
  }
}

}  // namespace fuzz
}  // namespace detops

#endif  // DETOPS_TESTS_FUZZ_SAME_BITS_H_
