// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

#include "kernels/candidate_scan.h"

#include <limits>

namespace detops {

bool CandidateScan::Prepare(const Problem& problem) {
  return row_.Allocate(static_cast<size_t>(problem.options.num_classes));
}

void CandidateScan::Start(const Problem& problem, const void* scores) {
  problem_ = &problem;
  scores_ = scores;
  rows_ = {static_cast<size_t>(problem.shape.anchors),
           static_cast<size_t>(problem.shape.class_columns),
           static_cast<size_t>(problem.shape.label_offset),
           static_cast<size_t>(problem.options.num_classes)};
  integer_anchors_ = problem.scores.integer_order_end() / rows_.stride;
}

template <typename T>
size_t CandidateScan::FindAnchorsByInteger(float threshold, size_t begin, uint32_t* found,
                                           size_t max_found, size_t* resume) const {
  const int level = problem_->scores.LowestLevelAtLeast(threshold);
  if (level == kLevels) {
    *resume = integer_anchors_;
    return 0;
  }
  const T least = static_cast<T>(level + std::numeric_limits<T>::lowest());
  return problem_->kernels->scan(T()).find_rows(scores_, rows_, begin, integer_anchors_, least,
                                                found, max_found, resume);
}

size_t CandidateScan::FindAnchors(float threshold, size_t begin, uint32_t* found, size_t max_found,
                                  size_t* resume) {
  const DType dtype = problem_->scores.dtype();
  if (dtype == DType::kFloat32) {
    return problem_->kernels->scan(float()).find_rows(scores_, rows_, begin, rows_.rows, threshold,
                                                      found, max_found, resume);
  }
  if (begin < integer_anchors_) {
    return dtype == DType::kUInt8
               ? FindAnchorsByInteger<uint8_t>(threshold, begin, found, max_found, resume)
               : FindAnchorsByInteger<int8_t>(threshold, begin, found, max_found, resume);
  }
  size_t size = 0;
  size_t anchor = begin;
  for (; anchor < rows_.rows && size < max_found; ++anchor) {
    if (BestScore(anchor) >= threshold) found[size++] = static_cast<uint32_t>(anchor);
  }
  *resume = anchor;
  return size;
}

template <typename T>
size_t CandidateScan::FindClassesByInteger(size_t anchor, float threshold, size_t begin,
                                           uint32_t* found, size_t max_found,
                                           size_t* resume) const {
  const int level = problem_->scores.LowestLevelAtLeast(threshold);
  if (level == kLevels) {
    *resume = rows_.count;
    return 0;
  }
  const T least = static_cast<T>(level + std::numeric_limits<T>::lowest());
  const T* row = static_cast<const T*>(scores_) + problem_->ForegroundBegin(anchor);
  return problem_->kernels->scan(T()).find_values(row, begin, rows_.count, least, found, max_found,
                                                  resume);
}

size_t CandidateScan::FindClasses(size_t anchor, float threshold, size_t begin, uint32_t* found,
                                  size_t max_found, size_t* resume) {
  if (anchor < integer_anchors_) {
    return problem_->scores.dtype() == DType::kUInt8
               ? FindClassesByInteger<uint8_t>(anchor, threshold, begin, found, max_found, resume)
               : FindClassesByInteger<int8_t>(anchor, threshold, begin, found, max_found, resume);
  }
  size_t first;
  const char* row = static_cast<const char*>(FloatRow(anchor, &first));
  return problem_->kernels->scan(float()).find_values(
      row + first * sizeof(float), begin, rows_.count, threshold, found, max_found, resume);
}

// The scores of an anchor as floats: in place, or dequantised.
const void* CandidateScan::FloatRow(size_t anchor, size_t* begin) {
  *begin = problem_->ForegroundBegin(anchor);
  if (problem_->scores.dtype() == DType::kFloat32) return scores_;
  problem_->scores.Read(scores_, *begin, rows_.count, row_.data());
  *begin = 0;
  return row_.data();
}

template <typename T>
float CandidateScan::BestScoreByInteger(size_t anchor) const {
  const T best =
      problem_->kernels->scan(T()).maximum(scores_, problem_->ForegroundBegin(anchor), rows_.count);
  return problem_->scores.OfLevel(best - std::numeric_limits<T>::lowest());
}

float CandidateScan::BestScore(size_t anchor) {
  if (anchor < integer_anchors_) {
    return problem_->scores.dtype() == DType::kUInt8 ? BestScoreByInteger<uint8_t>(anchor)
                                                     : BestScoreByInteger<int8_t>(anchor);
  }
  size_t begin;
  const void* row = FloatRow(anchor, &begin);
  return problem_->kernels->scan(float()).maximum(row, begin, rows_.count);
}

}  // namespace detops
