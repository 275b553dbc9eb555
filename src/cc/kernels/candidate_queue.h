// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

#ifndef DETOPS_KERNELS_CANDIDATE_QUEUE_H_
#define DETOPS_KERNELS_CANDIDATE_QUEUE_H_

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "kernels/buffer.h"

namespace detops {

// A candidate as one integer: ascending keys are descending scores, and ascending positions among
// equal scores. Keys are unique as long as positions are. score must not be NaN; -0 equals +0.
inline uint64_t CandidateKey(float score, uint32_t position) {
  const float canonical = score == 0.0f ? 0.0f : score;
  uint32_t bits;
  std::memcpy(&bits, &canonical, sizeof(bits));
  const uint32_t descending = (bits & 0x80000000u) ? bits : ~(bits | 0x80000000u);
  return (static_cast<uint64_t>(descending) << 32) | position;
}

inline uint32_t PositionOf(uint64_t key) { return static_cast<uint32_t>(key); }

inline float ScoreOf(uint64_t key) {
  const uint32_t descending = static_cast<uint32_t>(key >> 32);
  const uint32_t bits = (descending & 0x80000000u) ? descending : ~(descending | 0x80000000u);
  float score;
  std::memcpy(&score, &bits, sizeof(score));
  return score;
}

// Gives the candidates pushed to it in key order, sorting only as far as it is asked to.
//
// With room for fewer keys than are offered it keeps the best ones and remembers that it dropped
// others: offering the same candidates again, above the last key taken, continues the order.
class CandidateQueue {
 public:
  // Room for capacity keys. False when there is no memory.
  bool Prepare(size_t capacity) { return keys_.Allocate(capacity); }

  size_t capacity() const { return keys_.size(); }

  // Empties the queue; it will hold at least the best `limit` keys (at most the capacity) that
  // are greater than floor. 0 is less than every key.
  void Start(uint64_t floor, size_t limit);

  // False for a key that Push would ignore.
  bool Wants(uint64_t key) const { return key > floor_ && key < bar_; }

  void Push(uint64_t key) {
    if (!Wants(key)) return;
    if (size_ == room_) {
      Prune();
      if (key >= bar_) return;
    }
    keys_[size_++] = key;
  }

  // No key at or above this one can enter any more. UINT64_MAX until something was dropped.
  uint64_t bar() const { return bar_; }

  // Takes the next key in order; false when none is left.
  bool Pop(uint64_t* key);

  // True when the queue was too small: candidates after the last one taken exist.
  bool dropped() const { return bar_ != UINT64_MAX; }

 private:
  void Prune();
  void SortNext();

  Buffer<uint64_t> keys_;
  uint64_t floor_ = 0;
  uint64_t bar_ = UINT64_MAX;
  size_t limit_ = 0;
  size_t room_ = 0;
  size_t size_ = 0;
  size_t taken_ = 0;
  size_t sorted_ = 0;
};

}  // namespace detops

#endif  // DETOPS_KERNELS_CANDIDATE_QUEUE_H_
