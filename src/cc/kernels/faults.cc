// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

#include "kernels/faults.h"

#include <cstdarg>
#include <cstdio>

namespace detops {

const char* FaultName(Fault fault) {
  switch (fault) {
    case Fault::kOptionBlock: return "option_block";
    case Fault::kOptionValue: return "option_value";
    case Fault::kInputCount: return "input_count";
    case Fault::kOutputCount: return "output_count";
    case Fault::kMaxDetections: return "max_detections";
    case Fault::kMaxClassesPerDetection: return "max_classes_per_detection";
    case Fault::kDetectionsPerClass: return "detections_per_class";
    case Fault::kNumClasses: return "num_classes";
    case Fault::kOutputSize: return "output_size";
    case Fault::kIouThreshold: return "nms_iou_threshold";
    case Fault::kScale: return "scale";
    case Fault::kDType: return "dtype";
    case Fault::kQuantization: return "quantization";
    case Fault::kShape: return "shape";
    case Fault::kRowMismatch: return "row_mismatch";
    case Fault::kClassColumns: return "class_columns";
    case Fault::kSize: return "size";
    case Fault::kInstructionSet: return "instruction_set";
    case Fault::kMemory: return "memory";
  }
  return "unknown";
}

PlainText::PlainText(const char* from, size_t bytes) {
  const size_t size = bytes < sizeof(text) - 1 ? bytes : sizeof(text) - 1;
  for (size_t i = 0; i < size; ++i) text[i] = from[i] >= ' ' && from[i] <= '~' ? from[i] : '?';
  text[size] = '\0';
}

void FaultList::Add(Fault fault, const char* format, ...) {
  if (size_ == kCapacity) return;
  Entry& entry = entries_[size_++];
  entry.fault = fault;
  va_list args;
  va_start(args, format);
  std::vsnprintf(entry.message, sizeof(entry.message), format, args);
  va_end(args);
}

}  // namespace detops
