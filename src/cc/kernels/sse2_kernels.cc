// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

// Empty elsewhere, for builds that list the same files for every processor.
#if defined(__x86_64__) || defined(_M_X64)

#include <emmintrin.h>

#include "kernels/kept_block_simd.h"
#include "kernels/score_scan_simd.h"

namespace detops {
namespace {

struct Floats {
  using Value = float;
  using Vector = __m128;
  static constexpr int kLanes = 4;
  static Vector Load(const void* at) { return _mm_loadu_ps(static_cast<const float*>(at)); }
  static Vector Splat(float value) { return _mm_set1_ps(value); }
  static Vector Max(Vector a, Vector b) { return _mm_max_ps(a, b); }
  static Vector Min(Vector a, Vector b) { return _mm_min_ps(a, b); }
  static Vector Add(Vector a, Vector b) { return _mm_add_ps(a, b); }
  static Vector Sub(Vector a, Vector b) { return _mm_sub_ps(a, b); }
  static Vector Mul(Vector a, Vector b) { return _mm_mul_ps(a, b); }
  static Vector Div(Vector a, Vector b) { return _mm_div_ps(a, b); }
  static unsigned Greater(Vector a, Vector b) { return Bits(_mm_cmpgt_ps(a, b)); }
  static unsigned Equal(Vector a, Vector b) { return Bits(_mm_cmpeq_ps(a, b)); }
  static uint64_t ReachedBy(Vector values, Vector threshold) {
    return Bits(_mm_cmpge_ps(values, threshold));
  }
  static unsigned Bits(Vector lanes) { return static_cast<unsigned>(_mm_movemask_ps(lanes)); }
  static float MaxLane(Vector values) {
    const Vector last = _mm_max_ps(values, _mm_movehl_ps(values, values));
    return _mm_cvtss_f32(_mm_max_ss(last, _mm_shuffle_ps(last, last, 1)));
  }
};

struct Bytes {
  using Vector = __m128i;
  static constexpr int kLanes = 16;
  static Vector Load(const void* at) { return _mm_loadu_si128(static_cast<const __m128i*>(at)); }
  static uint64_t Bits(Vector lanes) { return static_cast<unsigned>(_mm_movemask_epi8(lanes)); }
};

struct Unsigned : Bytes {
  using Value = uint8_t;
  static Vector Splat(uint8_t value) { return _mm_set1_epi8(static_cast<char>(value)); }
  static Vector Max(Vector a, Vector b) { return _mm_max_epu8(a, b); }
  static uint64_t ReachedBy(Vector values, Vector threshold) {
    return Bits(_mm_cmpeq_epi8(_mm_max_epu8(values, threshold), values));
  }
  static uint8_t MaxLane(Vector values) {
    Vector last = Max(values, _mm_srli_si128(values, 8));
    last = Max(last, _mm_srli_si128(last, 4));
    last = Max(last, _mm_srli_si128(last, 2));
    last = Max(last, _mm_srli_si128(last, 1));
    return static_cast<uint8_t>(_mm_cvtsi128_si32(last));
  }
};

// SSE2 has no signed byte maximum.
struct Signed : Bytes {
  using Value = int8_t;
  static Vector Splat(int8_t value) { return _mm_set1_epi8(value); }
  static Vector Max(Vector a, Vector b) {
    const Vector greater = _mm_cmpgt_epi8(a, b);
    return _mm_or_si128(_mm_and_si128(greater, a), _mm_andnot_si128(greater, b));
  }
  static uint64_t ReachedBy(Vector values, Vector threshold) {
    return Bits(_mm_cmpgt_epi8(threshold, values)) ^ 0xffff;
  }
  static int8_t MaxLane(Vector values) {
    return static_cast<int8_t>(Unsigned::MaxLane(_mm_xor_si128(values, Splat(-128))) ^ 0x80);
  }
};

}  // namespace

extern const ScoreScan<float> kScoreScanF32Sse2;
extern const ScoreScan<uint8_t> kScoreScanU8Sse2;
extern const ScoreScan<int8_t> kScoreScanI8Sse2;
const ScoreScan<float> kScoreScanF32Sse2 = SimdScan<Floats>::kTable;
const ScoreScan<uint8_t> kScoreScanU8Sse2 = SimdScan<Unsigned>::kTable;
const ScoreScan<int8_t> kScoreScanI8Sse2 = SimdScan<Signed>::kTable;

uint32_t OverlappedSse2(const KeptBlock& block, const Box& box, float area, float threshold) {
  return OverlappedSimd<Floats>(block, box, area, threshold);
}

bool SuppressesSse2(const KeptBlock* blocks, int32_t head, const Box& box, float area,
                    float threshold) {
  return SuppressesSimd<Floats>(blocks, head, box, area, threshold);
}

}  // namespace detops

#endif
