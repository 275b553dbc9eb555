// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

#include "fuzz/guarded_memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include "fuzz/expect.h"

#if defined(__has_feature)
#define DETOPS_HAS_FEATURE(name) __has_feature(name)
#else
#define DETOPS_HAS_FEATURE(name) 0
#endif

#if defined(__SANITIZE_ADDRESS__) || DETOPS_HAS_FEATURE(address_sanitizer)
#include <sanitizer/asan_interface.h>
#define DETOPS_CLOSE(at, size) __asan_poison_memory_region(at, size)
#define DETOPS_OPEN(at, size) __asan_unpoison_memory_region(at, size)
#elif DETOPS_HAS_FEATURE(memory_sanitizer)
#include <sanitizer/msan_interface.h>
// There poison means memory that nobody has written.
#define DETOPS_CLOSE(at, size) __msan_poison(at, size)
#define DETOPS_OPEN(at, size) __msan_poison(at, size)
#else
#define DETOPS_CLOSE(at, size) ((void)(at), (void)(size))
#define DETOPS_OPEN(at, size) ((void)(at), (void)(size))
#endif

namespace detops {
namespace fuzz {

GuardedMemory::GuardedMemory(size_t capacity) : page_(static_cast<size_t>(sysconf(_SC_PAGESIZE))) {
  capacity_ = (capacity + page_ - 1) / page_ * page_;
  void* mapped =
      mmap(nullptr, capacity_ + 2 * page_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  FUZZ_EXPECT(mapped != MAP_FAILED, "no memory for %zu bytes", capacity_);
  pages_ = static_cast<uint8_t*>(mapped);
  FUZZ_EXPECT(mprotect(pages_ + page_, capacity_, PROT_READ | PROT_WRITE) == 0, "mprotect");
  DETOPS_CLOSE(pages_ + page_, capacity_);
}

GuardedMemory::~GuardedMemory() {
  DETOPS_OPEN(pages_ + page_, capacity_);
  munmap(pages_, capacity_ + 2 * page_);
}

uint8_t* GuardedMemory::Put(size_t size, Place place) {
  FUZZ_EXPECT(size < capacity_, "%zu bytes do not fit", size);
  uint8_t* begin = pages_ + page_;
  uint8_t* block = begin;
  if (place == Place::kEnd) block = begin + capacity_ - size;
  if (place == Place::kOdd) block = begin + capacity_ - size - (size % 2 == 0 ? 1 : 2);
  // Closing all of it each time would take longer than most runs.
  DETOPS_CLOSE(block_, size_);
  DETOPS_OPEN(block, size);
  block_ = block;
  size_ = size;
  return block;
}

}  // namespace fuzz
}  // namespace detops
