// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

#ifndef DETOPS_TESTS_FUZZ_FUZZ_INPUT_H_
#define DETOPS_TESTS_FUZZ_FUZZ_INPUT_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

namespace detops {
namespace fuzz {

// Turns the fuzzer's bytes into values, front to back; zeros once they are used up.
class FuzzInput {
 public:
  FuzzInput(const uint8_t* data, size_t size) : data_(data), size_(size) {}

  uint8_t Byte() { return at_ < size_ ? data_[at_++] : uint8_t{0}; }

  uint32_t Word() {
    uint32_t word = 0;
    for (unsigned i = 0; i < 4; ++i) word |= static_cast<uint32_t>(Byte()) << (8 * i);
    return word;
  }

  // Of low to high, both included and at most 255 apart.
  int Range(int low, int high) { return low + Byte() % (high - low + 1); }

  // False once the bytes are used up.
  bool OneIn(int n) { return Byte() % n == n - 1; }

  // Half of the time a usual number, else an odd one or any bits.
  float Float() {
    const uint8_t kind = Byte();
    if (kind < 128) return static_cast<float>(kind % 33 - 16) / 8.0f;
    if (kind < 192) return OddFloat(kind);
    const uint32_t bits = Word();
    float value;
    std::memcpy(&value, &bits, sizeof(value));
    return value;
  }

  static float OddFloat(unsigned choice) {
    using Limits = std::numeric_limits<float>;
    const float odd[] = {0.0f,
                         -0.0f,
                         1.0f,
                         Limits::infinity(),
                         -1.0f,
                         1e-40f,
                         -1e-40f,
                         -Limits::infinity(),
                         Limits::max(),
                         Limits::min(),
                         1.0f / 3.0f,
                         Limits::quiet_NaN(),
                         88.8f,
                         -Limits::max(),
                         0.999999940395f,
                         1e20f};
    return odd[choice % (sizeof(odd) / sizeof(odd[0]))];
  }

  std::vector<uint8_t> Bytes(size_t count) {
    std::vector<uint8_t> bytes(count);
    for (uint8_t& byte : bytes) byte = Byte();
    return bytes;
  }

  size_t left() const { return size_ - at_; }

 private:
  const uint8_t* data_;
  size_t size_;
  size_t at_ = 0;
};

// A stream of numbers from a seed: tensors are larger than what a fuzzer likes to mutate.
class NumberStream {
 public:
  explicit NumberStream(uint64_t seed) : state_(seed) {}

  uint32_t Next() {
    state_ += 0x9e3779b97f4a7c15u;
    uint64_t mixed = state_;
    mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9u;
    mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebu;
    return static_cast<uint32_t>(mixed >> 32);
  }

 private:
  uint64_t state_;
};

}  // namespace fuzz
}  // namespace detops

#endif  // DETOPS_TESTS_FUZZ_FUZZ_INPUT_H_
