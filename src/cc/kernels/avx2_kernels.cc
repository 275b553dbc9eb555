// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

#include <immintrin.h>

#include "kernels/kept_block_simd.h"
#include "kernels/score_scan_simd.h"

namespace detops {
namespace {

struct Floats {
  using Value = float;
  using Vector = __m256;
  static constexpr int kLanes = 8;
  static Vector Load(const void* at) { return _mm256_loadu_ps(static_cast<const float*>(at)); }
  static Vector Splat(float value) { return _mm256_set1_ps(value); }
  static Vector Max(Vector a, Vector b) { return _mm256_max_ps(a, b); }
  static Vector Min(Vector a, Vector b) { return _mm256_min_ps(a, b); }
  static Vector Add(Vector a, Vector b) { return _mm256_add_ps(a, b); }
  static Vector Sub(Vector a, Vector b) { return _mm256_sub_ps(a, b); }
  static Vector Mul(Vector a, Vector b) { return _mm256_mul_ps(a, b); }
  static Vector Div(Vector a, Vector b) { return _mm256_div_ps(a, b); }
  static unsigned Greater(Vector a, Vector b) { return Bits(_mm256_cmp_ps(a, b, _CMP_GT_OQ)); }
  static unsigned Equal(Vector a, Vector b) { return Bits(_mm256_cmp_ps(a, b, _CMP_EQ_OQ)); }
  static uint64_t ReachedBy(Vector values, Vector threshold) {
    return Bits(_mm256_cmp_ps(values, threshold, _CMP_GE_OQ));
  }
  static unsigned Bits(Vector lanes) { return static_cast<unsigned>(_mm256_movemask_ps(lanes)); }
  static float MaxLane(Vector values) {
    __m128 last = _mm_max_ps(_mm256_castps256_ps128(values), _mm256_extractf128_ps(values, 1));
    last = _mm_max_ps(last, _mm_movehl_ps(last, last));
    return _mm_cvtss_f32(_mm_max_ss(last, _mm_shuffle_ps(last, last, 1)));
  }
};

struct Bytes {
  using Vector = __m256i;
  static constexpr int kLanes = 32;
  static Vector Load(const void* at) { return _mm256_loadu_si256(static_cast<const __m256i*>(at)); }
  static uint64_t Bits(Vector lanes) { return static_cast<uint32_t>(_mm256_movemask_epi8(lanes)); }
};

struct Unsigned : Bytes {
  using Value = uint8_t;
  static Vector Splat(uint8_t value) { return _mm256_set1_epi8(static_cast<char>(value)); }
  static Vector Max(Vector a, Vector b) { return _mm256_max_epu8(a, b); }
  static uint64_t ReachedBy(Vector values, Vector threshold) {
    return Bits(_mm256_cmpeq_epi8(_mm256_max_epu8(values, threshold), values));
  }
  static uint8_t MaxLane(Vector values) {
    __m128i last =
        _mm_max_epu8(_mm256_castsi256_si128(values), _mm256_extracti128_si256(values, 1));
    last = _mm_max_epu8(last, _mm_srli_si128(last, 8));
    last = _mm_max_epu8(last, _mm_srli_si128(last, 4));
    last = _mm_max_epu8(last, _mm_srli_si128(last, 2));
    last = _mm_max_epu8(last, _mm_srli_si128(last, 1));
    return static_cast<uint8_t>(_mm_cvtsi128_si32(last));
  }
};

struct Signed : Bytes {
  using Value = int8_t;
  static Vector Splat(int8_t value) { return _mm256_set1_epi8(value); }
  static Vector Max(Vector a, Vector b) { return _mm256_max_epi8(a, b); }
  static uint64_t ReachedBy(Vector values, Vector threshold) {
    return Bits(_mm256_cmpeq_epi8(_mm256_max_epi8(values, threshold), values));
  }
  static int8_t MaxLane(Vector values) {
    const Vector flipped = _mm256_xor_si256(values, Splat(-128));
    return static_cast<int8_t>(Unsigned::MaxLane(flipped) ^ 0x80);
  }
};

}  // namespace

extern const ScoreScan<float> kScoreScanF32Avx2;
extern const ScoreScan<uint8_t> kScoreScanU8Avx2;
extern const ScoreScan<int8_t> kScoreScanI8Avx2;
const ScoreScan<float> kScoreScanF32Avx2 = SimdScan<Floats>::kTable;
const ScoreScan<uint8_t> kScoreScanU8Avx2 = SimdScan<Unsigned>::kTable;
const ScoreScan<int8_t> kScoreScanI8Avx2 = SimdScan<Signed>::kTable;

uint32_t OverlappedAvx2(const KeptBlock& block, const Box& box, float area, float threshold) {
  return OverlappedSimd<Floats>(block, box, area, threshold);
}

bool SuppressesAvx2(const KeptBlock* blocks, int32_t head, const Box& box, float area,
                    float threshold) {
  return SuppressesSimd<Floats>(blocks, head, box, area, threshold);
}

}  // namespace detops
