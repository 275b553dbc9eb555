// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

#ifndef DETOPS_KERNELS_CANDIDATE_SCAN_H_
#define DETOPS_KERNELS_CANDIDATE_SCAN_H_

#include <cstddef>
#include <cstdint>

#include "kernels/buffer.h"
#include "kernels/problem.h"

namespace detops {

// Looks for candidates in the scores of one image, on integers wherever integer order is float
// order and on floats elsewhere.
class CandidateScan {
 public:
  // False when there is no memory.
  bool Prepare(const Problem& problem);

  // Takes the scores of an image; they must stay while the functions below are used.
  void Start(const Problem& problem, const void* scores);

  // Writes anchors from `begin` on that have a foreground score >= threshold to found, ascending,
  // and returns how many. Stops when max_found are written; *resume is where to go on (the number
  // of anchors when done).
  size_t FindAnchors(float threshold, size_t begin, uint32_t* found, size_t max_found,
                     size_t* resume);

  // The same for the classes of one anchor.
  size_t FindClasses(size_t anchor, float threshold, size_t begin, uint32_t* found,
                     size_t max_found, size_t* resume);

  // The best foreground score of an anchor; NaN when it has none.
  float BestScore(size_t anchor);

 private:
  template <typename T>
  size_t FindAnchorsByInteger(float threshold, size_t begin, uint32_t* found, size_t max_found,
                              size_t* resume) const;
  template <typename T>
  size_t FindClassesByInteger(size_t anchor, float threshold, size_t begin, uint32_t* found,
                              size_t max_found, size_t* resume) const;
  template <typename T>
  float BestScoreByInteger(size_t anchor) const;
  const void* FloatRow(size_t anchor, size_t* begin);

  const Problem* problem_ = nullptr;
  const void* scores_ = nullptr;
  ScoreRows rows_ = {};
  size_t integer_anchors_ = 0;  // anchors before this one are compared as integers
  Buffer<float> row_;
};

}  // namespace detops

#endif  // DETOPS_KERNELS_CANDIDATE_SCAN_H_
