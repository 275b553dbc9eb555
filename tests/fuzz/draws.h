// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

#ifndef DETOPS_TESTS_FUZZ_DRAWS_H_
#define DETOPS_TESTS_FUZZ_DRAWS_H_

#include <cstddef>
#include <cstdint>

#include "fuzz/fuzz_input.h"
#include "fuzz/guarded_memory.h"
#include "kernels/options.h"
#include "kernels/tensor.h"

namespace detops {
namespace fuzz {

// Options that the op accepts for num_classes classes, unless the scales or the IoU threshold come
// out of the contract's range, which is seldom.
Options DrawOptions(FuzzInput* input, int num_classes);

GuardedMemory::Place DrawPlace(FuzzInput* input);

// A scale as files have it, most of the time.
float DrawScale(FuzzInput* input);

// A zero point among the values of an 8-bit type.
int DrawZeroPoint(FuzzInput* input, DType dtype);

// Fills size bytes with values of a type: some from a small palette of the fuzzer's, so that ties
// and odd values are common, the rest usual ones between low and high.
void FillTensor(FuzzInput* input, DType dtype, float low, float high, uint8_t* data, size_t size);

}  // namespace fuzz
}  // namespace detops

#endif  // DETOPS_TESTS_FUZZ_DRAWS_H_
