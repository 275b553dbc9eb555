// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

#include "kernels/box_coder.h"

#include <cmath>

namespace detops {
namespace {

// Stock's aarch64 build contracts the centre into one fused multiply-add; its x86-64 build
// cannot. This file is compiled without contraction, so each is written out.
inline float Centre(double term, double size, double centre) {
#if defined(__aarch64__) || defined(_M_ARM64)
  return static_cast<float>(std::fma(term, size, centre));
#else
  return static_cast<float>(term * size + centre);
#endif
}

}  // namespace

BoxCoder::Terms BoxCoder::TermsOf(float y, float x, float h, float w) const {
  return {static_cast<double>(y) / y_scale_, static_cast<double>(x) / x_scale_,
          0.5 * std::exp(static_cast<double>(h) / h_scale_),
          0.5 * std::exp(static_cast<double>(w) / w_scale_)};
}

bool BoxCoder::Prepare(const Options& options, const TensorDesc& encodings,
                       const TensorDesc& anchors) {
  y_scale_ = static_cast<double>(options.y_scale);
  x_scale_ = static_cast<double>(options.x_scale);
  h_scale_ = static_cast<double>(options.h_scale);
  w_scale_ = static_cast<double>(options.w_scale);
  columns_ = static_cast<size_t>(encodings.dims[2]);
  encoding_dtype_ = encodings.dtype;
  anchors_.Prepare(anchors, static_cast<size_t>(anchors.dims[0]) * 4);
  if (!IsQuantized(encoding_dtype_)) return true;
  if (!terms_.Allocate(kLevels)) return false;
  TensorReader values;
  values.Prepare(encodings, 0);
  for (int level = 0; level < kLevels; ++level) {
    const float value = values.OfLevel(level);
    terms_[level] = TermsOf(value, value, value, value);
  }
  return true;
}

BoxCoder::Terms BoxCoder::ReadTerms(const void* encodings, size_t index) const {
  const size_t row = index * columns_;
  if (encoding_dtype_ == DType::kFloat32) {
    return TermsOf(Load<float>(encodings, row), Load<float>(encodings, row + 1),
                   Load<float>(encodings, row + 2), Load<float>(encodings, row + 3));
  }
  const auto* bytes = static_cast<const uint8_t*>(encodings) + row;
  return {terms_[LevelOf(encoding_dtype_, bytes[0])].y,
          terms_[LevelOf(encoding_dtype_, bytes[1])].x,
          terms_[LevelOf(encoding_dtype_, bytes[2])].half_h,
          terms_[LevelOf(encoding_dtype_, bytes[3])].half_w};
}

Box BoxCoder::Decode(const void* encodings, const void* anchors, size_t index) const {
  const Terms terms = ReadTerms(encodings, index);
  double anchor[4];  // y, x, h, w
  for (size_t i = 0; i < 4; ++i) {
    anchor[i] = static_cast<double>(anchors_.At(anchors, index * 4 + i));
  }
  const float yc = Centre(terms.y, anchor[2], anchor[0]);
  const float xc = Centre(terms.x, anchor[3], anchor[1]);
  const float half_h = static_cast<float>(terms.half_h * anchor[2]);
  const float half_w = static_cast<float>(terms.half_w * anchor[3]);
  return {yc - half_h, xc - half_w, yc + half_h, xc + half_w};
}

}  // namespace detops
