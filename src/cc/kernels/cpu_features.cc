// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

#include "kernels/cpu_features.h"

#if defined(_MSC_VER) && (defined(_M_X64) || defined(_M_IX86))
#include <immintrin.h>
#include <intrin.h>
#endif

namespace detops {

#if defined(_MSC_VER) && (defined(_M_X64) || defined(_M_IX86))

CpuFeatures DetectCpuFeatures() {
  CpuFeatures features;
  features.sse2 = true;
  int leaf1[4], leaf7[4];
  __cpuid(leaf1, 1);
  const bool has_xsave = (leaf1[2] & (1 << 27)) != 0;
  if (!has_xsave) return features;
  __cpuidex(leaf7, 7, 0);
  const unsigned long long saved = _xgetbv(0);
  const bool ymm = (saved & 0x06) == 0x06;
  const bool zmm = (saved & 0xe6) == 0xe6;
  features.avx2 = ymm && (leaf7[1] & (1 << 5)) != 0;
  features.avx512 = zmm && (leaf7[1] & (1 << 16)) != 0 && (leaf7[1] & (1 << 30)) != 0;
  return features;
}

#elif defined(__x86_64__) || defined(__i386__)

CpuFeatures DetectCpuFeatures() {
  __builtin_cpu_init();
  CpuFeatures features;
  features.sse2 = __builtin_cpu_supports("sse2") != 0;
  features.avx2 = __builtin_cpu_supports("avx2") != 0;
  features.avx512 =
      __builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("avx512bw") != 0;
  return features;
}

#else

CpuFeatures DetectCpuFeatures() {
  CpuFeatures features;
#if defined(__aarch64__) || defined(_M_ARM64)
  features.neon = true;
#endif
  return features;
}

#endif

}  // namespace detops
