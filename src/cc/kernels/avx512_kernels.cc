// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

#include <immintrin.h>

#include "kernels/kept_block_simd.h"
#include "kernels/score_scan_simd.h"

namespace detops {
namespace {

struct Floats {
  using Value = float;
  using Vector = __m512;
  static constexpr int kLanes = 16;
  static Vector Load(const void* at) { return _mm512_loadu_ps(at); }
  static Vector Splat(float value) { return _mm512_set1_ps(value); }
  static Vector Max(Vector a, Vector b) { return _mm512_max_ps(a, b); }
  static Vector Min(Vector a, Vector b) { return _mm512_min_ps(a, b); }
  static Vector Add(Vector a, Vector b) { return _mm512_add_ps(a, b); }
  static Vector Sub(Vector a, Vector b) { return _mm512_sub_ps(a, b); }
  static Vector Mul(Vector a, Vector b) { return _mm512_mul_ps(a, b); }
  static Vector Div(Vector a, Vector b) { return _mm512_div_ps(a, b); }
  static unsigned Greater(Vector a, Vector b) { return _mm512_cmp_ps_mask(a, b, _CMP_GT_OQ); }
  static unsigned Equal(Vector a, Vector b) { return _mm512_cmp_ps_mask(a, b, _CMP_EQ_OQ); }
  static uint64_t ReachedBy(Vector values, Vector threshold) {
    return _mm512_cmp_ps_mask(values, threshold, _CMP_GE_OQ);
  }
  static float MaxLane(Vector values) { return _mm512_reduce_max_ps(values); }
};

// Halves the vector until a byte is left.
template <__m256i (*Max256)(__m256i, __m256i), __m128i (*Max128)(__m128i, __m128i)>
inline int MaxByte(__m512i values) {
  const __m256i half = Max256(_mm512_castsi512_si256(values), _mm512_extracti64x4_epi64(values, 1));
  __m128i last = Max128(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1));
  last = Max128(last, _mm_srli_si128(last, 8));
  last = Max128(last, _mm_srli_si128(last, 4));
  last = Max128(last, _mm_srli_si128(last, 2));
  last = Max128(last, _mm_srli_si128(last, 1));
  return _mm_cvtsi128_si32(last);
}

struct Bytes {
  using Vector = __m512i;
  static constexpr int kLanes = 64;
  static Vector Load(const void* at) { return _mm512_loadu_si512(at); }
};

struct Unsigned : Bytes {
  using Value = uint8_t;
  static Vector Splat(uint8_t value) { return _mm512_set1_epi8(static_cast<char>(value)); }
  static Vector Max(Vector a, Vector b) { return _mm512_max_epu8(a, b); }
  static uint64_t ReachedBy(Vector values, Vector threshold) {
    return _mm512_cmpge_epu8_mask(values, threshold);
  }
  static uint8_t MaxLane(Vector values) {
    return static_cast<uint8_t>(MaxByte<Max256, Max128>(values));
  }
  static __m256i Max256(__m256i a, __m256i b) { return _mm256_max_epu8(a, b); }
  static __m128i Max128(__m128i a, __m128i b) { return _mm_max_epu8(a, b); }
};

struct Signed : Bytes {
  using Value = int8_t;
  static Vector Splat(int8_t value) { return _mm512_set1_epi8(value); }
  static Vector Max(Vector a, Vector b) { return _mm512_max_epi8(a, b); }
  static uint64_t ReachedBy(Vector values, Vector threshold) {
    return _mm512_cmpge_epi8_mask(values, threshold);
  }
  static int8_t MaxLane(Vector values) {
    return static_cast<int8_t>(MaxByte<Max256, Max128>(values));
  }
  static __m256i Max256(__m256i a, __m256i b) { return _mm256_max_epi8(a, b); }
  static __m128i Max128(__m128i a, __m128i b) { return _mm_max_epi8(a, b); }
};

}  // namespace

extern const ScoreScan<float> kScoreScanF32Avx512;
extern const ScoreScan<uint8_t> kScoreScanU8Avx512;
extern const ScoreScan<int8_t> kScoreScanI8Avx512;
const ScoreScan<float> kScoreScanF32Avx512 = SimdScan<Floats>::kTable;
const ScoreScan<uint8_t> kScoreScanU8Avx512 = SimdScan<Unsigned>::kTable;
const ScoreScan<int8_t> kScoreScanI8Avx512 = SimdScan<Signed>::kTable;

uint32_t OverlappedAvx512(const KeptBlock& block, const Box& box, float area, float threshold) {
  return OverlappedSimd<Floats>(block, box, area, threshold);
}

bool SuppressesAvx512(const KeptBlock* blocks, int32_t head, const Box& box, float area,
                      float threshold) {
  return SuppressesSimd<Floats>(blocks, head, box, area, threshold);
}

}  // namespace detops
