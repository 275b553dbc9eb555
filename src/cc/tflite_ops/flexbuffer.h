// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

#ifndef DETOPS_TFLITE_OPS_FLEXBUFFER_H_
#define DETOPS_TFLITE_OPS_FLEXBUFFER_H_

#include <cstddef>
#include <cstdint>

namespace detops {

// One scalar of a flexbuffer map.
struct FlexValue {
  enum class Kind : uint8_t { kNull, kInt, kUInt, kFloat, kBool, kString, kOther };
  Kind kind = Kind::kNull;
  int64_t int_value = 0;         // kInt, kBool
  uint64_t uint_value = 0;       // kUInt
  double float_value = 0;        // kFloat
  const char* string = nullptr;  // kString, not terminated
  size_t string_bytes = 0;
};

// Reads a flexbuffer whose root is a map, from memory that nobody has checked. Every read is
// bounds-checked and made bytewise, so any bytes at any alignment give an answer or an error,
// never a crash, in time linear in the size of the block. Nothing is copied or allocated.
// The format: https://flatbuffers.dev/flatbuffers_internals/#flexbuffers
class FlexMap {
 public:
  // Null when the block is a well-formed map of well-formed keys; otherwise what is wrong.
  const char* Open(const void* data, size_t size);

  size_t size() const { return count_; }

  // Finds key. False when the map has none, with *error null; or when its value is malformed,
  // with *error set.
  bool Find(const char* key, FlexValue* value, const char** error) const;

 private:
  bool ReadUInt(size_t at, size_t width, uint64_t* value) const;
  bool Follow(size_t at, size_t width, size_t* target) const;
  bool KeyIs(size_t index, const char* key) const;
  const char* ReadValue(size_t index, FlexValue* value) const;
  const char* ReadScalar(size_t at, size_t width, FlexValue::Kind kind, FlexValue* value) const;

  const uint8_t* data_ = nullptr;
  size_t size_ = 0;
  size_t values_ = 0;       // offset of the first value
  size_t value_width_ = 0;  // bytes of each
  size_t keys_ = 0;
  size_t key_width_ = 0;
  size_t count_ = 0;
};

}  // namespace detops

#endif  // DETOPS_TFLITE_OPS_FLEXBUFFER_H_
