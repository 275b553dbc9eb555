// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

// Empty elsewhere, for builds that list the same files for every processor.
#if defined(__aarch64__) || defined(_M_ARM64)

#include <arm_neon.h>

#include "kernels/kept_block_simd.h"
#include "kernels/score_scan_simd.h"

namespace detops {
namespace {

struct Floats {
  using Value = float;
  using Vector = float32x4_t;
  static constexpr int kLanes = 4;
  static Vector Load(const void* at) {
    return vreinterpretq_f32_u8(vld1q_u8(static_cast<const uint8_t*>(at)));
  }
  static Vector Splat(float value) { return vdupq_n_f32(value); }
  // vmaxq_f32 would let a NaN win.
  static Vector Max(Vector a, Vector b) { return vbslq_f32(vcgtq_f32(a, b), a, b); }
  static Vector Min(Vector a, Vector b) { return vbslq_f32(vcltq_f32(a, b), a, b); }
  static Vector Add(Vector a, Vector b) { return vaddq_f32(a, b); }
  static Vector Sub(Vector a, Vector b) { return vsubq_f32(a, b); }
  static Vector Mul(Vector a, Vector b) { return vmulq_f32(a, b); }
  static Vector Div(Vector a, Vector b) { return vdivq_f32(a, b); }
  static unsigned Greater(Vector a, Vector b) { return Bits(vcgtq_f32(a, b)); }
  static unsigned Equal(Vector a, Vector b) { return Bits(vceqq_f32(a, b)); }
  static uint64_t ReachedBy(Vector values, Vector threshold) {
    return Bits(vcgeq_f32(values, threshold));
  }
  static unsigned Bits(uint32x4_t lanes) {
    constexpr uint32_t kWeights[4] = {1, 2, 4, 8};
    return vaddvq_u32(vandq_u32(lanes, vld1q_u32(kWeights)));
  }
  static float MaxLane(Vector values) { return vmaxvq_f32(values); }
};

inline uint64_t ByteBits(uint8x16_t lanes) {
  constexpr uint8_t kWeights[16] = {1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
  const uint8x16_t bits = vandq_u8(lanes, vld1q_u8(kWeights));
  return vaddv_u8(vget_low_u8(bits)) | static_cast<uint64_t>(vaddv_u8(vget_high_u8(bits))) << 8;
}

struct Unsigned {
  using Value = uint8_t;
  using Vector = uint8x16_t;
  static constexpr int kLanes = 16;
  static Vector Load(const void* at) { return vld1q_u8(static_cast<const uint8_t*>(at)); }
  static Vector Splat(uint8_t value) { return vdupq_n_u8(value); }
  static Vector Max(Vector a, Vector b) { return vmaxq_u8(a, b); }
  static uint64_t ReachedBy(Vector values, Vector threshold) {
    return ByteBits(vcgeq_u8(values, threshold));
  }
  static uint8_t MaxLane(Vector values) { return vmaxvq_u8(values); }
};

struct Signed {
  using Value = int8_t;
  using Vector = int8x16_t;
  static constexpr int kLanes = 16;
  static Vector Load(const void* at) { return vld1q_s8(static_cast<const int8_t*>(at)); }
  static Vector Splat(int8_t value) { return vdupq_n_s8(value); }
  static Vector Max(Vector a, Vector b) { return vmaxq_s8(a, b); }
  static uint64_t ReachedBy(Vector values, Vector threshold) {
    return ByteBits(vcgeq_s8(values, threshold));
  }
  static int8_t MaxLane(Vector values) { return vmaxvq_s8(values); }
};

}  // namespace

extern const ScoreScan<float> kScoreScanF32Neon;
extern const ScoreScan<uint8_t> kScoreScanU8Neon;
extern const ScoreScan<int8_t> kScoreScanI8Neon;
const ScoreScan<float> kScoreScanF32Neon = SimdScan<Floats>::kTable;
const ScoreScan<uint8_t> kScoreScanU8Neon = SimdScan<Unsigned>::kTable;
const ScoreScan<int8_t> kScoreScanI8Neon = SimdScan<Signed>::kTable;

uint32_t OverlappedNeon(const KeptBlock& block, const Box& box, float area, float threshold) {
  return OverlappedSimd<Floats>(block, box, area, threshold);
}

bool SuppressesNeon(const KeptBlock* blocks, int32_t head, const Box& box, float area,
                    float threshold) {
  return SuppressesSimd<Floats>(blocks, head, box, area, threshold);
}

}  // namespace detops

#endif
