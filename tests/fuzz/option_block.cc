// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

#include "fuzz/option_block.h"

#include <cstring>
#include <iterator>

namespace detops {
namespace fuzz {
namespace {

constexpr uint8_t kInt = 1 << 2 | 2;  // of 4 bytes, and so below
constexpr uint8_t kFloat = 3 << 2 | 2;
constexpr uint8_t kMap = 9 << 2 | 2;

struct Entry {
  const char* key;
  uint8_t type;
  uint32_t bits;
};

Entry Int(const char* key, int value) { return {key, kInt, static_cast<uint32_t>(value)}; }

Entry Float(const char* key, float value) {
  Entry entry = {key, kFloat, 0};
  std::memcpy(&entry.bits, &value, sizeof(value));
  return entry;
}

}  // namespace

std::vector<uint8_t> OptionBlock(const Options& options) {
  // Sorted by key, as the format wants it.
  const Entry entries[] = {
      Int("detections_per_class", options.detections_per_class),
      Float("h_scale", options.h_scale),
      Int("max_classes_per_detection", options.max_classes_per_detection),
      Int("max_detections", options.max_detections),
      Float("nms_iou_threshold", options.nms_iou_threshold),
      Float("nms_score_threshold", options.nms_score_threshold),
      Int("num_classes", options.num_classes),
      Int("use_regular_nms", options.use_regular_nms ? 1 : 0),
      Float("w_scale", options.w_scale),
      Float("x_scale", options.x_scale),
      Float("y_scale", options.y_scale),
  };
  std::vector<uint8_t> block;
  std::vector<size_t> keys;
  for (const Entry& entry : entries) {
    keys.push_back(block.size());
    block.insert(block.end(), entry.key, entry.key + std::strlen(entry.key) + 1);
  }
  while (block.size() % 4 != 0) block.push_back(0);
  const auto word = [&block](size_t value) {
    for (unsigned i = 0; i < 4; ++i) block.push_back(static_cast<uint8_t>(value >> (8 * i)));
  };
  word(std::size(entries));
  const size_t key_vector = block.size();
  for (size_t key : keys) word(block.size() - key);
  word(block.size() - key_vector);
  word(4);
  word(std::size(entries));
  const size_t values = block.size();
  for (const Entry& entry : entries) word(entry.bits);
  for (const Entry& entry : entries) block.push_back(entry.type);
  block.push_back(static_cast<uint8_t>(block.size() - values));
  block.push_back(kMap);
  block.push_back(1);
  return block;
}

}  // namespace fuzz
}  // namespace detops
