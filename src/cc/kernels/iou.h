// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

#ifndef DETOPS_KERNELS_IOU_H_
#define DETOPS_KERNELS_IOU_H_

#include "kernels/box.h"

namespace detops {

// A box of negative size: the one kind that stock refuses and that detops skips. NaN is not one.
inline bool HasNegativeSize(const Box& box) { return box.ymin > box.ymax || box.xmin > box.xmax; }

inline float Area(const Box& box) { return (box.ymax - box.ymin) * (box.xmax - box.xmin); }

// Intersection over union, with the rounding, the operand order and therefore the treatment of
// NaN, infinity and signed zero of stock. Degenerate boxes overlap nothing.
// i is the box of the higher score; the areas are Area() of each.
inline float IoU(const Box& i, float area_i, const Box& j, float area_j) {
  if (area_i <= 0.0f || area_j <= 0.0f) return 0.0f;
  const float ymin = (i.ymin < j.ymin) ? j.ymin : i.ymin;
  const float xmin = (i.xmin < j.xmin) ? j.xmin : i.xmin;
  const float ymax = (j.ymax < i.ymax) ? j.ymax : i.ymax;
  const float xmax = (j.xmax < i.xmax) ? j.xmax : i.xmax;
  const float height = ymax - ymin;
  const float width = xmax - xmin;
  const float intersection = ((height < 0.0f) ? 0.0f : height) * ((width < 0.0f) ? 0.0f : width);
  return intersection / ((area_i + area_j) - intersection);
}

}  // namespace detops

#endif  // DETOPS_KERNELS_IOU_H_
