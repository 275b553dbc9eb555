// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

#include "c_api/messages.h"

#include <cstdio>

namespace detops {

detops_status Message::Report(const FaultList& faults) {
  if (faults.empty()) return DETOPS_OK;
  bool memory = true;
  size_t used = 0;
  for (int i = 0; i < faults.size(); ++i) {
    memory = memory && faults.fault(i) == Fault::kMemory;
    if (used >= bytes_) continue;
    const int length =
        std::snprintf(text_ + used, bytes_ - used, "%s%s", i == 0 ? "" : "; ", faults.message(i));
    used += length > 0 ? static_cast<size_t>(length) : 0;
  }
  return memory ? DETOPS_NO_MEMORY : DETOPS_INVALID;
}

detops_status Message::ReportNull(const char* name) {
  if (bytes_ > 0) std::snprintf(text_, bytes_, "%s is NULL", name);
  return DETOPS_INVALID;
}

}  // namespace detops
