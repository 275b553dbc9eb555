// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

#ifndef DETOPS_C_API_MESSAGES_H_
#define DETOPS_C_API_MESSAGES_H_

#include <cstddef>

#include "detops/detops.h"
#include "kernels/faults.h"

namespace detops {

// Where a function of the C interface says what was wrong. "" until it does.
class Message {
 public:
  Message(char* text, size_t bytes) : text_(text), bytes_(text == nullptr ? 0 : bytes) {
    if (bytes_ > 0) text_[0] = '\0';
  }

  // All faults in one line. The status is kOk for none.
  detops_status Report(const FaultList& faults);

  // A required pointer that is null.
  detops_status ReportNull(const char* name);

 private:
  char* text_;
  size_t bytes_;
};

}  // namespace detops

#endif  // DETOPS_C_API_MESSAGES_H_
