// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

// Random problems through the public interface. Their outputs have the same bits on every machine,
// recorded in random_cases.hashes by an x86-64 one, and with every instruction set.
//
// Left out is what the stock op itself rounds differently on 64-bit ARM: there the centre of a box
// and uint8 scores in blocks of eight are fused multiply-adds. Anchors whose sizes are powers of
// two, and zero points of 0 for uint8 scores, round alike with and without.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include "detops/detops.hpp"
#include "fuzz/runnable_sets.h"
#include "gtest/gtest.h"

namespace {

constexpr unsigned kCases = 240;

// Every distribution of the standard library may differ between machines, so there is none.
class Draw {
 public:
  explicit Draw(unsigned seed) : random_(seed) {}
  uint32_t Below(uint32_t limit) { return static_cast<uint32_t>(random_() % limit); }
  bool Coin() { return Below(2) == 1; }
  float Unit() { return static_cast<float>(random_() >> 8) * (1.0f / (1u << 24)); }
  template <typename T>
  T Of(std::initializer_list<T> values) {
    return values.begin()[Below(static_cast<uint32_t>(values.size()))];
  }

 private:
  std::mt19937 random_;
};

struct Case {
  detops_options options;
  detops_tensor boxes, scores, anchors;
  std::vector<char> box_values, score_values, anchor_values;
};

size_t Elements(const detops_tensor& tensor) {
  size_t count = 1;
  for (int i = 0; i < tensor.rank; ++i) count *= static_cast<size_t>(tensor.dims[i]);
  return count;
}

template <typename T>
void Append(std::vector<char>* bytes, T value) {
  const size_t at = bytes->size();
  bytes->resize(at + sizeof(value));
  std::memcpy(bytes->data() + at, &value, sizeof(value));
}

void Quantize(detops_tensor* tensor, detops_type type, float scale, int32_t zero_point) {
  tensor->type = type;
  tensor->scale = scale;
  tensor->zero_point = zero_point;
}

Case MakeCase(unsigned seed) {
  Draw draw(seed);
  const int32_t rows = draw.Of({1, 7, 31, 100, 333});
  const int32_t classes = draw.Of({1, 2, 20, 90});
  Case made;
  made.options = detops::DefaultOptions(classes);
  made.options.max_detections = draw.Of({1, 10, 100});
  made.options.max_classes_per_detection = draw.Of({1, 1, 3});
  made.options.detections_per_class = draw.Of({1, 5, 100});
  made.options.use_regular_nms = draw.Coin();
  made.options.nms_score_threshold = draw.Of({0.0f, 0.01f, 0.2f});
  made.options.nms_iou_threshold = draw.Of({0.3f, 0.6f, 1.0f});
  made.boxes = detops::FloatTensor({1, rows, 4});
  made.scores = detops::FloatTensor({1, rows, classes + static_cast<int32_t>(draw.Below(2))});
  made.anchors = detops::FloatTensor({rows, 4});
  const detops_type box_type = draw.Of({DETOPS_FLOAT32, DETOPS_UINT8, DETOPS_INT8});
  const detops_type score_type = draw.Of({DETOPS_FLOAT32, DETOPS_UINT8, DETOPS_INT8});
  if (box_type != DETOPS_FLOAT32) {
    Quantize(&made.boxes, box_type, 0.07f, box_type == DETOPS_INT8 ? 12 : 140);
  }
  if (score_type == DETOPS_INT8) Quantize(&made.scores, score_type, draw.Unit() / 100, -128);
  if (score_type == DETOPS_UINT8) Quantize(&made.scores, score_type, draw.Unit() / 100, 0);
  for (size_t i = 0; i < Elements(made.boxes); ++i) {
    if (box_type == DETOPS_FLOAT32) Append(&made.box_values, draw.Unit() * 12 - 6);
    if (box_type != DETOPS_FLOAT32) Append(&made.box_values, static_cast<char>(draw.Below(256)));
  }
  const uint32_t levels = draw.Of({4u, 256u});
  for (size_t i = 0; i < Elements(made.scores); ++i) {
    const uint32_t level = draw.Below(levels);
    if (score_type == DETOPS_FLOAT32) Append(&made.score_values, static_cast<float>(level) / 256);
    if (score_type != DETOPS_FLOAT32) Append(&made.score_values, static_cast<char>(level));
  }
  for (int32_t i = 0; i < rows; ++i) {
    Append(&made.anchor_values, draw.Unit());
    Append(&made.anchor_values, draw.Unit());
    Append(&made.anchor_values, draw.Of({0.0625f, 0.125f, 0.25f, 0.5f}));
    Append(&made.anchor_values, draw.Of({0.0625f, 0.125f, 0.25f, 0.5f}));
  }
  return made;
}

void Hash(const std::vector<float>& values, uint64_t* hash) {
  for (float value : values) {
    uint32_t bits;
    std::memcpy(&bits, &value, sizeof(bits));
    for (int i = 0; i < 4; ++i) *hash = (*hash ^ ((bits >> (8 * i)) & 0xff)) * 1099511628211u;
  }
}

// One line: the seed, how many detections, and a hash (FNV-1a) of all bits.
std::string Outcome(unsigned seed) {
  const Case made = MakeCase(seed);
  detops::Postprocessor postprocessor;
  const detops::Status status =
      postprocessor.Create(made.options, made.boxes, made.scores, made.anchors);
  if (!status.ok()) return status.message();
  detops::Detections found;
  postprocessor.Run(made.box_values.data(), made.score_values.data(), made.anchor_values.data(),
                    &found);
  uint64_t hash = 14695981039346656037u;
  for (const auto* values : {&found.boxes, &found.classes, &found.scores, &found.counts}) {
    Hash(*values, &hash);
  }
  char line[80];
  std::snprintf(line, sizeof(line), "%u %g %016llx", seed, static_cast<double>(found.counts[0]),
                static_cast<unsigned long long>(hash));
  return line;
}

std::vector<std::string> Outcomes() {
  std::vector<std::string> lines;
  for (unsigned seed = 0; seed < kCases; ++seed) lines.push_back(Outcome(seed));
  return lines;
}

// DETOPS_RECORD=1 writes the file instead.
TEST(RandomCases, SameBitsOnEveryMachine) {
  const std::vector<std::string> lines = Outcomes();
  if (std::getenv("DETOPS_RECORD") != nullptr) {
    std::ofstream file(DETOPS_RANDOM_CASES);
    for (const std::string& line : lines) file << line << "\n";
    GTEST_SKIP() << "recorded";
  }
  std::ifstream file(DETOPS_RANDOM_CASES);
  std::string recorded;
  for (const std::string& line : lines) {
    ASSERT_TRUE(std::getline(file, recorded)) << "no line for " << line;
    EXPECT_EQ(line, recorded);
  }
}

TEST(RandomCases, SameBitsWithEveryInstructionSet) {
  const std::vector<std::string> expected = Outcomes();
  for (const detops::KernelSet* set : detops::fuzz::RunnableSets()) {
    setenv("DETOPS_ISA", set->name, 1);
    EXPECT_EQ(Outcomes(), expected) << set->name;
  }
  unsetenv("DETOPS_ISA");
}

}  // namespace
