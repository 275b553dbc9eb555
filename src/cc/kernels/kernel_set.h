// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

#ifndef DETOPS_KERNELS_KERNEL_SET_H_
#define DETOPS_KERNELS_KERNEL_SET_H_

#include <cstddef>
#include <cstdint>

#include "kernels/box.h"
#include "kernels/cpu_features.h"
#include "kernels/faults.h"
#include "kernels/kept_block.h"
#include "kernels/score_scan.h"

namespace detops {

// Every kernel with variants, as one instruction set implements it.
struct KernelSet {
  const char* name;
  bool (*runs_on)(const CpuFeatures& features);
  const ScoreScan<float>* scan_f32;
  const ScoreScan<uint8_t>* scan_u8;
  const ScoreScan<int8_t>* scan_i8;
  OverlappedFunction overlapped;
  SuppressesFunction suppresses;

  const ScoreScan<float>& scan(float) const { return *scan_f32; }
  const ScoreScan<uint8_t>& scan(uint8_t) const { return *scan_u8; }
  const ScoreScan<int8_t>& scan(int8_t) const { return *scan_i8; }
};

// All sets that this build contains, the plainest first. Dispatch, tests and benchmarks take their
// kernels from here, so none exists untested.
struct KernelSets {
  const KernelSet* sets;
  size_t count;
};
KernelSets AllKernelSets();

// The widest set that this processor runs, or the one that the environment variable DETOPS_ISA
// names. Null, with a fault, when that name is unknown or the set cannot run here. The variable is
// read at each call.
const KernelSet* SelectKernelSet(FaultList* faults);

}  // namespace detops

#endif  // DETOPS_KERNELS_KERNEL_SET_H_
