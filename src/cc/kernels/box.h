// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

#ifndef DETOPS_KERNELS_BOX_H_
#define DETOPS_KERNELS_BOX_H_

namespace detops {

// Corners, in the order of the op's first output.
struct Box {
  float ymin;
  float xmin;
  float ymax;
  float xmax;
};

}  // namespace detops

#endif  // DETOPS_KERNELS_BOX_H_
