// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

#ifndef DETOPS_TESTS_FUZZ_LITERT_CHECK_H_
#define DETOPS_TESTS_FUZZ_LITERT_CHECK_H_

#include "fuzz/fuzz_input.h"

namespace detops {
namespace fuzz {

// Calls the kernel for LiteRT's CompiledModel as LiteRT and a program would, in any order, with any
// layouts, types and refusals: a status with words, or outputs that were written.
void CheckLiteRtKernel(FuzzInput* input);

}  // namespace fuzz
}  // namespace detops

#endif  // DETOPS_TESTS_FUZZ_LITERT_CHECK_H_
