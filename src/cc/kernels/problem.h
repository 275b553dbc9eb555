// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

#ifndef DETOPS_KERNELS_PROBLEM_H_
#define DETOPS_KERNELS_PROBLEM_H_

#include <cstddef>

#include "kernels/box.h"
#include "kernels/box_coder.h"
#include "kernels/checks.h"
#include "kernels/dequantize.h"
#include "kernels/kernel_set.h"
#include "kernels/options.h"

namespace detops {

// A checked post-processing problem with all that is known before the data.
struct Problem {
  Options options;
  ProblemShape shape;
  BoxCoder boxes;
  TensorReader scores;
  const KernelSet* kernels = nullptr;

  // Flattened index of the first foreground score of an anchor.
  size_t ForegroundBegin(size_t anchor) const {
    return anchor * shape.class_columns + shape.label_offset;
  }
};

// The tensors of one image. The anchors are the same for every image of a batch.
struct ImageInputs {
  const void* box_encodings;
  const void* scores;
  const void* anchors;
};

// Where the detections of one image go; all of it is zero before a mode runs.
struct ImageOutputs {
  float* boxes;    // [M, 4]
  float* classes;  // [M]
  float* scores;   // [M]

  void Write(size_t slot, const Box& box, int class_index, float score) const {
    float* corners = boxes + 4 * slot;
    corners[0] = box.ymin;
    corners[1] = box.xmin;
    corners[2] = box.ymax;
    corners[3] = box.xmax;
    classes[slot] = static_cast<float>(class_index);
    scores[slot] = score;
  }
};

}  // namespace detops

#endif  // DETOPS_KERNELS_PROBLEM_H_
