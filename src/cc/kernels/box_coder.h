// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

#ifndef DETOPS_KERNELS_BOX_CODER_H_
#define DETOPS_KERNELS_BOX_CODER_H_

#include <cstddef>

#include "kernels/box.h"
#include "kernels/buffer.h"
#include "kernels/dequantize.h"
#include "kernels/options.h"
#include "kernels/tensor.h"

namespace detops {

// Turns box encodings (y, x, h, w relative to an anchor, columns past 4 ignored) and anchors
// (centre y, centre x, height, width) into corners, one box at a time, so that only the boxes
// that reach non-maximum suppression are paid for.
//
// The centre and half size of each side are computed in double and narrowed once, the corners in
// float, as stock does. For 8-bit encodings the four terms that do not depend on the anchor are
// tables of 256 doubles: the same bits without an exp per box.
class BoxCoder {
 public:
  // encodings is [.., .., K], anchors [N, 4]. False when there is no memory.
  bool Prepare(const Options& options, const TensorDesc& encodings, const TensorDesc& anchors);

  // The box of row index; both pointers are the start of one image's tensor.
  Box Decode(const void* encodings, const void* anchors, size_t index) const;

 private:
  struct Terms {
    double y;       // ey / y_scale
    double x;       // ex / x_scale
    double half_h;  // 0.5 * exp(eh / h_scale)
    double half_w;  // 0.5 * exp(ew / w_scale)
  };
  Terms TermsOf(float y, float x, float h, float w) const;
  Terms ReadTerms(const void* encodings, size_t index) const;

  double y_scale_ = 0, x_scale_ = 0, h_scale_ = 0, w_scale_ = 0;
  size_t columns_ = 4;
  DType encoding_dtype_ = DType::kUnsupported;
  Buffer<Terms> terms_;  // kLevels entries for 8-bit encodings: the terms if all four held it
  TensorReader anchors_;
};

}  // namespace detops

#endif  // DETOPS_KERNELS_BOX_CODER_H_
