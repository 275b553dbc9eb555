// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

// Any bytes as an option block: an answer or a fault, the same at every address, and no read
// outside the block. What our own writer wrote is read back.
#include <cstring>

#include "fuzz/draws.h"
#include "fuzz/expect.h"
#include "fuzz/fuzz_input.h"
#include "fuzz/guarded_memory.h"
#include "fuzz/option_block.h"
#include "tflite_ops/op_options.h"

namespace detops {
namespace fuzz {
namespace {

bool SameFloat(float a, float b) { return a == b || (a != a && b != b); }

bool SameOptions(const Options& a, const Options& b) {
  return a.max_detections == b.max_detections &&
         a.max_classes_per_detection == b.max_classes_per_detection &&
         a.detections_per_class == b.detections_per_class && a.num_classes == b.num_classes &&
         a.use_regular_nms == b.use_regular_nms &&
         SameFloat(a.nms_score_threshold, b.nms_score_threshold) &&
         SameFloat(a.nms_iou_threshold, b.nms_iou_threshold) && SameFloat(a.y_scale, b.y_scale) &&
         SameFloat(a.x_scale, b.x_scale) && SameFloat(a.h_scale, b.h_scale) &&
         SameFloat(a.w_scale, b.w_scale);
}

Options ReadFrom(const uint8_t* block, size_t size, GuardedMemory::Place place, FaultList* faults) {
  static GuardedMemory memory(1 << 16);
  uint8_t* copy = memory.Put(size, place);
  if (size > 0) std::memcpy(copy, block, size);
  return ReadOpOptions(copy, size, faults);
}

void AnyBytes(const uint8_t* block, size_t size) {
  if (size >= 1 << 16) return;
  FaultList faults;
  const Options options = ReadFrom(block, size, GuardedMemory::Place::kEnd, &faults);
  for (const auto place : {GuardedMemory::Place::kStart, GuardedMemory::Place::kOdd}) {
    FaultList others;
    FUZZ_EXPECT(SameOptions(ReadFrom(block, size, place, &others), options), "other options");
    FUZZ_EXPECT(others.size() == faults.size(), "%d faults, then %d", faults.size(), others.size());
    for (int i = 0; i < faults.size(); ++i) {
      FUZZ_EXPECT(faults.fault(i) == others.fault(i), "another fault");
      FUZZ_EXPECT(std::strcmp(faults.message(i), others.message(i)) == 0, "%s, then %s",
                  faults.message(i), others.message(i));
      for (const char* c = faults.message(i); *c != '\0'; ++c) {
        FUZZ_EXPECT(*c >= ' ' && *c <= '~', "a message with the byte %d", *c);
      }
    }
  }
}

void OwnBlock(FuzzInput* input) {
  const Options written = DrawOptions(input, input->Range(1, 100));
  const std::vector<uint8_t> block = OptionBlock(written);
  FaultList faults;
  const Options read = ReadFrom(block.data(), block.size(), GuardedMemory::Place::kEnd, &faults);
  FUZZ_EXPECT(faults.empty(), "%s", faults.message(0));
  FUZZ_EXPECT(SameOptions(written, read), "what was written is read otherwise");
}

}  // namespace
}  // namespace fuzz
}  // namespace detops

// The last byte of a block is its root's width, so a zero there leaves the block unreadable: that
// ending asks for a block of our own instead.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size > 1 && data[size - 1] == 0) {
    detops::fuzz::FuzzInput input(data, size);
    detops::fuzz::OwnBlock(&input);
  }
  detops::fuzz::AnyBytes(data, size);
  return 0;
}
