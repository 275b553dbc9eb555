// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

#ifndef DETOPS_KERNELS_BUFFER_H_
#define DETOPS_KERNELS_BUFFER_H_

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <type_traits>

namespace detops {

// An array whose allocation can fail without an exception: the sizes come from files.
// The elements are not initialised.
template <typename T>
class Buffer {
  static_assert(std::is_trivially_copyable<T>::value, "Buffer holds plain data");

 public:
  Buffer() = default;
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  ~Buffer() { std::free(data_); }

  // Makes room for count elements and forgets the old ones. False when there is no memory.
  bool Allocate(size_t count) {
    std::free(data_);
    data_ = nullptr;
    size_ = 0;
    if (count > SIZE_MAX / sizeof(T)) return false;
    data_ = static_cast<T*>(std::malloc(count == 0 ? 1 : count * sizeof(T)));
    if (data_ == nullptr) return false;
    size_ = count;
    return true;
  }

  T* data() { return data_; }
  const T* data() const { return data_; }
  size_t size() const { return size_; }
  T& operator[](size_t i) { return data_[i]; }
  const T& operator[](size_t i) const { return data_[i]; }
  T* begin() { return data_; }
  T* end() { return data_ + size_; }
  const T* begin() const { return data_; }
  const T* end() const { return data_ + size_; }

 private:
  T* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace detops

#endif  // DETOPS_KERNELS_BUFFER_H_
