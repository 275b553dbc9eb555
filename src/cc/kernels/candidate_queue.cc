// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

#include "kernels/candidate_queue.h"

#include <algorithm>

namespace detops {
namespace {

// The first stretch to sort. Each later one is four times as long, so that the selections, each of
// which reads the rest of the queue, add up to a few reads; a walk of thousands will go on, and
// gets the rest at once.
constexpr size_t kFirstStretch = 64;
constexpr size_t kLongWalk = 4096;

}  // namespace

void CandidateQueue::Start(uint64_t floor, size_t limit) {
  floor_ = floor;
  bar_ = UINT64_MAX;
  room_ = limit > keys_.size() / 2 ? keys_.size() : 2 * limit;
  limit_ = std::min(limit, std::max<size_t>(room_ / 2, 1));
  size_ = taken_ = sorted_ = 0;
}

// Halving a full queue costs one linear selection for `room / 2` pushes: constant time for each.
void CandidateQueue::Prune() {
  uint64_t* first_dropped = keys_.data() + limit_;
  std::nth_element(keys_.data(), first_dropped, keys_.data() + size_);
  bar_ = *first_dropped;
  size_ = limit_;
}

void CandidateQueue::SortNext() {
  const size_t rest = size_ - sorted_;
  const size_t stretch =
      sorted_ >= kLongWalk ? rest : std::min(std::max(kFirstStretch, 4 * sorted_), rest);
  uint64_t* begin = keys_.data() + sorted_;
  uint64_t* end = keys_.data() + size_;
  if (begin + stretch < end) std::nth_element(begin, begin + stretch, end);
  std::sort(begin, begin + stretch);
  sorted_ += stretch;
}

bool CandidateQueue::Pop(uint64_t* key) {
  if (taken_ == size_) return false;
  if (taken_ == sorted_) SortNext();
  *key = keys_[taken_++];
  return true;
}

}  // namespace detops
