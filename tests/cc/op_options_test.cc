// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

#include "tflite_ops/op_options.h"

#include <cstring>
#include <memory>
#include <random>
#include <vector>

#include "gtest/gtest.h"

namespace detops {
namespace {

// {"num_classes": 90, "nms_iou_threshold": 0.5}, as a flexbuffer writer lays it out.
std::vector<uint8_t> TwoOptions() {
  std::vector<uint8_t> block;
  const auto text = [&block](const char* key) {
    const size_t at = block.size();
    block.insert(block.end(), key, key + std::strlen(key) + 1);
    return at;
  };
  const size_t iou = text("nms_iou_threshold");
  const size_t classes = text("num_classes");
  while (block.size() % 4 != 0) block.push_back(0);
  const auto word = [&block](uint32_t value) {
    for (int i = 0; i < 4; ++i) block.push_back(static_cast<uint8_t>(value >> (8 * i)));
  };
  word(2);
  const size_t keys = block.size();
  word(static_cast<uint32_t>(block.size() - iou));
  word(static_cast<uint32_t>(block.size() - classes));
  word(static_cast<uint32_t>(block.size() - keys));
  word(4);
  word(2);
  const size_t values = block.size();
  const float half = 0.5f;
  uint32_t bits;
  std::memcpy(&bits, &half, sizeof(bits));
  word(bits);
  word(90);
  block.push_back(3 << 2 | 2);  // float, 4 bytes
  block.push_back(1 << 2 | 2);  // int, 4 bytes
  block.push_back(static_cast<uint8_t>(block.size() - values));
  block.push_back(9 << 2 | 2);  // map of 4-byte values
  block.push_back(1);
  return block;
}

// A copy that ends where its allocation ends and starts at an odd address.
Options Read(const std::vector<uint8_t>& block, FaultList* faults) {
  const std::unique_ptr<uint8_t[]> memory(new uint8_t[block.size() + 1]);
  if (!block.empty()) std::memcpy(memory.get() + 1, block.data(), block.size());
  return ReadOpOptions(memory.get() + 1, block.size(), faults);
}

TEST(OpOptions, ReadsAMapAtAnyAlignment) {
  FaultList faults;
  const Options options = Read(TwoOptions(), &faults);
  ASSERT_TRUE(faults.empty()) << faults.message(0);
  EXPECT_EQ(options.num_classes, 90);
  EXPECT_EQ(options.nms_iou_threshold, 0.5f);
  EXPECT_EQ(options.detections_per_class, 100);
  EXPECT_EQ(options.max_detections, 0);
}

TEST(OpOptions, NothingIsAFault) {
  FaultList faults;
  ReadOpOptions(nullptr, 0, &faults);
  ASSERT_EQ(faults.size(), 1);
  EXPECT_STREQ(FaultName(faults.fault(0)), "option_block");
}

TEST(OpOptions, TruncationsAndNoiseNeverReadPastTheBlock) {
  const std::vector<uint8_t> block = TwoOptions();
  for (size_t size = 0; size < block.size(); ++size) {
    FaultList faults;
    Read({block.end() - static_cast<long>(size), block.end()}, &faults);
    EXPECT_FALSE(faults.empty()) << size;
    faults.Clear();
    Read({block.begin(), block.begin() + static_cast<long>(size)}, &faults);
  }
  std::mt19937 random(5);
  for (int round = 0; round < 100000; ++round) {
    std::vector<uint8_t> noisy = block;
    const unsigned flips = 1 + random() % 4;
    for (unsigned i = 0; i < flips; ++i)
      noisy[random() % noisy.size()] = static_cast<uint8_t>(random());
    FaultList faults;
    Read(noisy, &faults);
  }
  for (int round = 0; round < 100000; ++round) {
    std::vector<uint8_t> noise(random() % 64);
    for (uint8_t& byte : noise) byte = static_cast<uint8_t>(random());
    FaultList faults;
    Read(noise, &faults);
  }
}

}  // namespace
}  // namespace detops
