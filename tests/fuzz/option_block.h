// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

#ifndef DETOPS_TESTS_FUZZ_OPTION_BLOCK_H_
#define DETOPS_TESTS_FUZZ_OPTION_BLOCK_H_

#include <cstdint>
#include <vector>

#include "kernels/options.h"

namespace detops {
namespace fuzz {

// The options as a flexbuffer map of 4-byte integers and floats, all keys present.
std::vector<uint8_t> OptionBlock(const Options& options);

}  // namespace fuzz
}  // namespace detops

#endif  // DETOPS_TESTS_FUZZ_OPTION_BLOCK_H_
