// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

#ifndef DETOPS_KERNELS_CPU_FEATURES_H_
#define DETOPS_KERNELS_CPU_FEATURES_H_

namespace detops {

// The instruction sets of this processor that kernels exist for and the system has enabled.
struct CpuFeatures {
  bool sse2 = false;
  bool avx2 = false;
  bool avx512 = false;  // F and BW
  bool neon = false;
};

CpuFeatures DetectCpuFeatures();

}  // namespace detops

#endif  // DETOPS_KERNELS_CPU_FEATURES_H_
