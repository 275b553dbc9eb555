// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

#ifndef DETOPS_TESTS_FUZZ_PLAIN_POSTPROCESS_H_
#define DETOPS_TESTS_FUZZ_PLAIN_POSTPROCESS_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/options.h"
#include "kernels/tensor.h"

// The op as its contract words it: dequantise all, decode all, sort, suppress. Slow, obvious, and
// written without a line of the kernels, so that it can be wrong only in other places.
namespace detops {
namespace fuzz {

struct PlainBox {
  float ymin, xmin, ymax, xmax;
};

// One image's detections in the op's layout: zeros past the count.
struct PlainDetections {
  std::vector<float> boxes;    // [M, 4]
  std::vector<float> classes;  // [M]
  std::vector<float> scores;   // [M]
  int count = 0;
};

// The elements of a tensor as float32. desc states type and quantisation; its shape is not read.
std::vector<float> PlainValues(const TensorDesc& desc, const void* data, size_t count);

// Row-major box encodings [rows, columns >= 4] and anchors [rows, 4] to corners.
std::vector<PlainBox> PlainDecode(const Options& options, const std::vector<float>& encodings,
                                  size_t columns, const std::vector<float>& anchors);

// Indices of the boxes kept, best first, at most limit; boxes of negative size take no part.
std::vector<size_t> PlainNms(const std::vector<PlainBox>& boxes, const std::vector<float>& scores,
                             float iou_threshold, float score_threshold, size_t limit);

// scores is [boxes, class_columns], the foreground its last num_classes columns.
PlainDetections PlainPostprocess(const Options& options, const std::vector<PlainBox>& boxes,
                                 const std::vector<float>& scores, size_t class_columns);

}  // namespace fuzz
}  // namespace detops

#endif  // DETOPS_TESTS_FUZZ_PLAIN_POSTPROCESS_H_
