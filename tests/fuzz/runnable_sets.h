// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

#ifndef DETOPS_TESTS_FUZZ_RUNNABLE_SETS_H_
#define DETOPS_TESTS_FUZZ_RUNNABLE_SETS_H_

#include <vector>

#include "kernels/kernel_set.h"

namespace detops {
namespace fuzz {

// The kernels that this processor runs, the scalar ones first.
inline std::vector<const KernelSet*> RunnableSets() {
  const CpuFeatures features = DetectCpuFeatures();
  const KernelSets all = AllKernelSets();
  std::vector<const KernelSet*> runnable;
  for (size_t i = 0; i < all.count; ++i) {
    if (all.sets[i].runs_on(features)) runnable.push_back(&all.sets[i]);
  }
  return runnable;
}

}  // namespace fuzz
}  // namespace detops

#endif  // DETOPS_TESTS_FUZZ_RUNNABLE_SETS_H_
