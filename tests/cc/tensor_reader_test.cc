// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

#include <cmath>
#include <vector>

#include "gtest/gtest.h"
#include "kernels/dequantize.h"

namespace detops {
namespace {

TensorDesc Quantized(DType dtype, float scale, int zero_point, Dequantization how) {
  TensorDesc desc;
  desc.dtype = dtype;
  desc.num_scales = 1;
  desc.scale = scale;
  desc.zero_point = zero_point;
  desc.dequantization = how;
  return desc;
}

TEST(TensorReader, SubtractFirst) {
  TensorReader reader;
  reader.Prepare(Quantized(DType::kInt8, 0.1f, -3, Dequantization::kSubtractFirst), 256);
  std::vector<int8_t> bytes(256);
  for (int q = -128; q < 128; ++q) bytes[static_cast<size_t>(q + 128)] = static_cast<int8_t>(q);
  for (int q = -128; q < 128; ++q) {
    EXPECT_EQ(reader.At(bytes.data(), static_cast<size_t>(q + 128)),
              static_cast<float>(q + 3) * 0.1f);
    EXPECT_EQ(reader.OfLevel(q + 128), static_cast<float>(q + 3) * 0.1f);
  }
  EXPECT_EQ(reader.integer_order_end(), 256u);
  EXPECT_EQ(reader.LowestLevelAtLeast(0.0f), 125);
  EXPECT_EQ(reader.LowestLevelAtLeast(1e9f), kLevels);
  EXPECT_EQ(reader.LowestLevelAtLeast(-INFINITY), 0);
  EXPECT_EQ(reader.LowestLevelAtLeast(NAN), kLevels);
}

TEST(TensorReader, BlocksOfEightRoundTheTailDifferently) {
  TensorReader reader;
  const float scale = 0.0123f;
  reader.Prepare(Quantized(DType::kUInt8, scale, 77, Dequantization::kBlocksOfEight), 19);
  std::vector<uint8_t> bytes(24, 200);
  const float first = static_cast<float>(200 - 77) * scale;
#if defined(__aarch64__)
  const float blocks = std::fma(200.0f, scale, -77.0f * scale);
#else
  const float product = 200.0f * scale;
  const float blocks = product + -77.0f * scale;
#endif
  for (size_t i = 0; i < 16; ++i) EXPECT_EQ(reader.At(bytes.data(), i), blocks);
  for (size_t i = 16; i < 19; ++i) EXPECT_EQ(reader.At(bytes.data(), i), first);
  EXPECT_EQ(reader.integer_order_end(), 16u);
}

TEST(TensorReader, ZeroPointZeroRoundsAllAlike) {
  TensorReader reader;
  reader.Prepare(Quantized(DType::kUInt8, 0.0123f, 0, Dequantization::kBlocksOfEight), 19);
  EXPECT_EQ(reader.integer_order_end(), 19u);
}

TEST(TensorReader, ScalesThatMergeLevelsHaveNoIntegerOrder) {
  TensorReader reader;
  reader.Prepare(Quantized(DType::kInt8, 3e38f, 0, Dequantization::kSubtractFirst), 10);
  EXPECT_EQ(reader.integer_order_end(), 0u);
}

}  // namespace
}  // namespace detops
