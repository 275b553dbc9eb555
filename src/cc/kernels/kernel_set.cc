// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

#include "kernels/kernel_set.h"

#include <cstdlib>
#include <cstring>

namespace detops {

#define DETOPS_KERNEL_SET(name, suffix, condition)                                           \
  extern const ScoreScan<float> kScoreScanF32##suffix;                                       \
  extern const ScoreScan<uint8_t> kScoreScanU8##suffix;                                      \
  extern const ScoreScan<int8_t> kScoreScanI8##suffix;                                       \
  uint32_t Overlapped##suffix(const KeptBlock& block, const Box& box, float area,            \
                              float threshold);                                              \
  bool Suppresses##suffix(const KeptBlock* blocks, int32_t head, const Box& box, float area, \
                          float threshold);
#include "kernels/kernel_sets.inc"
#undef DETOPS_KERNEL_SET

namespace {

#define DETOPS_KERNEL_SET(name, suffix, condition) \
  {name,                                           \
   [](const CpuFeatures& cpu) -> bool {            \
     (void)cpu;                                    \
     return condition;                             \
   },                                              \
   &kScoreScanF32##suffix,                         \
   &kScoreScanU8##suffix,                          \
   &kScoreScanI8##suffix,                          \
   Overlapped##suffix,                             \
   Suppresses##suffix},
const KernelSet kSets[] = {
#include "kernels/kernel_sets.inc"
};
#undef DETOPS_KERNEL_SET

constexpr size_t kNumSets = sizeof(kSets) / sizeof(kSets[0]);

}  // namespace

KernelSets AllKernelSets() { return {kSets, kNumSets}; }

const KernelSet* SelectKernelSet(FaultList* faults) {
  static const CpuFeatures features = DetectCpuFeatures();
  const char* wanted = std::getenv("DETOPS_ISA");
  if (wanted == nullptr || *wanted == '\0') {
    const KernelSet* widest = &kSets[0];
    for (const KernelSet& set : kSets) {
      if (set.runs_on(features)) widest = &set;
    }
    return widest;
  }
  for (const KernelSet& set : kSets) {
    if (std::strcmp(set.name, wanted) != 0) continue;
    if (set.runs_on(features)) return &set;
    faults->Add(Fault::kInstructionSet, "DETOPS_ISA is %s, which this processor does not have",
                set.name);
    return nullptr;
  }
  char names[64] = "";
  for (const KernelSet& set : kSets) {
    if (names[0] != '\0') std::strcat(names, ", ");
    std::strcat(names, set.name);
  }
  faults->Add(Fault::kInstructionSet, "DETOPS_ISA is %s, expected one of %s",
              PlainText(wanted, std::strlen(wanted)).text, names);
  return nullptr;
}

}  // namespace detops
