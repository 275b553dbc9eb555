// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

#ifndef DETOPS_KERNELS_CHECKS_H_
#define DETOPS_KERNELS_CHECKS_H_

#include "kernels/faults.h"
#include "kernels/options.h"
#include "kernels/tensor.h"

namespace detops {

// Inputs and outputs of the op, in order.
constexpr int kNumInputs = 3;   // box encodings, scores, anchors
constexpr int kNumOutputs = 4;  // boxes, classes, scores, count
constexpr const char* kInputNames[kNumInputs] = {"box_encodings", "scores", "anchors"};

// Adds a fault for each number that is another one.
void CheckCounts(int num_inputs, int num_outputs, FaultList* faults);

// Sizes of one checked post-processing problem.
struct ProblemShape {
  int batch = 0;
  int anchors = 0;        // N
  int box_columns = 0;    // K >= 4
  int class_columns = 0;  // Cb, background included when there is one
  int label_offset = 0;   // 1 when column 0 is the background
  int slots = 0;          // M = max_detections * max_classes_per_detection
};

// Checks options and tensors against the contract and fills shape. Every fault is added to
// faults; shape is meaningful only when none was. Reads no tensor data.
//   box_encodings [B, N, K >= 4], scores [B, N, num_classes or num_classes + 1], anchors [N, 4],
//   each float32, uint8 or int8; quantised ones with one positive finite scale.
void CheckProblem(const Options& options, const TensorDesc& box_encodings, const TensorDesc& scores,
                  const TensorDesc& anchors, ProblemShape* shape, FaultList* faults);

}  // namespace detops

#endif  // DETOPS_KERNELS_CHECKS_H_
