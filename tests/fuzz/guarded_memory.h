// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

#ifndef DETOPS_TESTS_FUZZ_GUARDED_MEMORY_H_
#define DETOPS_TESTS_FUZZ_GUARDED_MEMORY_H_

#include <cstddef>
#include <cstdint>

namespace detops {
namespace fuzz {

// Memory between two pages that nobody may touch. A vector load that reaches one byte past a tensor
// placed at its end is a fault of the processor, whatever the code was compiled with. Under
// AddressSanitizer all that is not the tensor is poisoned as well; under MemorySanitizer the tensor
// is unwritten.
class GuardedMemory {
 public:
  enum class Place : uint8_t {
    kEnd,    // the last byte is followed by the guard
    kStart,  // the first byte follows the guard
    kOdd,    // at an odd address, one byte from the end
  };

  // Room for blocks of up to capacity bytes.
  explicit GuardedMemory(size_t capacity);
  ~GuardedMemory();
  GuardedMemory(const GuardedMemory&) = delete;
  GuardedMemory& operator=(const GuardedMemory&) = delete;

  size_t capacity() const { return capacity_; }

  // The one block there is, instead of the last one; its bytes are unspecified.
  uint8_t* Put(size_t size, Place place);

 private:
  uint8_t* pages_;
  size_t page_;
  size_t capacity_;
  uint8_t* block_ = nullptr;
  size_t size_ = 0;
};

}  // namespace fuzz
}  // namespace detops

#endif  // DETOPS_TESTS_FUZZ_GUARDED_MEMORY_H_
