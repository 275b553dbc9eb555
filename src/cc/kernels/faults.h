// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

#ifndef DETOPS_KERNELS_FAULTS_H_
#define DETOPS_KERNELS_FAULTS_H_

#include <cstddef>
#include <cstdint>

namespace detops {

// Every reason to refuse a node, in the order in which they are reported.
enum class Fault : uint8_t {
  kOptionBlock,
  kOptionValue,
  kInputCount,
  kOutputCount,
  kMaxDetections,
  kMaxClassesPerDetection,
  kDetectionsPerClass,
  kNumClasses,
  kOutputSize,
  kIouThreshold,
  kScale,
  kDType,
  kQuantization,
  kShape,
  kRowMismatch,
  kClassColumns,
  kSize,
  kInstructionSet,
  kMemory,
};

// The name of a fault in reports meant for programs, such as "class_columns".
const char* FaultName(Fault fault);

// A text of somebody else's as it may stand in a message: plain characters, and not too many.
struct PlainText {
  PlainText(const char* from, size_t bytes);
  char text[41];
};

// What was wrong with a node: a name for programs and a sentence for people. Never allocates;
// faults past the capacity are dropped, the first ones explain the rest.
class FaultList {
 public:
  static constexpr int kCapacity = 16;
  static constexpr int kMessageBytes = 256;

  // Adds a printf-style message that says what, where, got, expected.
#if defined(__GNUC__)
  __attribute__((format(printf, 3, 4)))
#endif
  void Add(Fault fault, const char* format, ...);

  void Clear() { size_ = 0; }
  int size() const { return size_; }
  bool empty() const { return size_ == 0; }
  Fault fault(int i) const { return entries_[i].fault; }
  const char* message(int i) const { return entries_[i].message; }

 private:
  struct Entry {
    Fault fault;
    char message[kMessageBytes];
  };
  Entry entries_[kCapacity];
  int size_ = 0;
};

}  // namespace detops

#endif  // DETOPS_KERNELS_FAULTS_H_
