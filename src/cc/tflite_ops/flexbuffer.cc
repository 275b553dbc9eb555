// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

#include "tflite_ops/flexbuffer.h"

#include <cstring>

namespace detops {
namespace {

// The types of the format that an option can have; all others are containers, keys and blobs.
enum PackedType : uint8_t {
  kNull = 0,
  kInt = 1,
  kUInt = 2,
  kFloat = 3,
  kString = 5,
  kIndirectInt = 6,
  kIndirectUInt = 7,
  kIndirectFloat = 8,
  kMap = 9,
  kBool = 26,
};

size_t WidthOf(uint8_t packed) { return size_t{1} << (packed & 3); }
uint8_t TypeOf(uint8_t packed) { return packed >> 2; }

bool IsWidth(uint64_t bytes) { return bytes == 1 || bytes == 2 || bytes == 4 || bytes == 8; }

int64_t SignExtend(uint64_t value, size_t width) {
  const unsigned shift = static_cast<unsigned>(64 - 8 * width);
  return static_cast<int64_t>(value << shift) >> shift;
}

}  // namespace

bool FlexMap::ReadUInt(size_t at, size_t width, uint64_t* value) const {
  if (at > size_ || width > size_ - at) return false;
  *value = 0;
  for (size_t i = 0; i < width; ++i) *value |= static_cast<uint64_t>(data_[at + i]) << (8 * i);
  return true;
}

// Offsets count backwards from where they stand, so a chain of them always ends.
bool FlexMap::Follow(size_t at, size_t width, size_t* target) const {
  uint64_t offset;
  if (!ReadUInt(at, width, &offset) || offset == 0 || offset > at) return false;
  *target = at - static_cast<size_t>(offset);
  return true;
}

const char* FlexMap::Open(const void* data, size_t size) {
  data_ = static_cast<const uint8_t*>(data);
  size_ = size;
  count_ = 0;
  if (data == nullptr || size == 0) return "it is empty";
  if (size < 3) return "it is too short";
  const size_t root_width = data_[size - 1];
  const uint8_t root_type = data_[size - 2];
  if (!IsWidth(root_width) || root_width > size - 2) return "its root is out of range";
  if (TypeOf(root_type) != kMap) return "its root is not a map";
  if (!Follow(size - 2 - root_width, root_width, &values_)) return "its root is out of range";

  // Before the values of a map stand: the offset of the keys, the width of a key, the size.
  value_width_ = WidthOf(root_type);
  if (values_ < 3 * value_width_) return "its map is out of range";
  uint64_t key_width, count, key_count;
  if (!Follow(values_ - 3 * value_width_, value_width_, &keys_) ||
      !ReadUInt(values_ - 2 * value_width_, value_width_, &key_width) ||
      !ReadUInt(values_ - value_width_, value_width_, &count)) {
    return "its map is out of range";
  }
  if (!IsWidth(key_width)) return "its keys have a bad width";
  key_width_ = static_cast<size_t>(key_width);
  if (count > (size_ - values_) / (value_width_ + 1)) return "its values are out of range";
  if (keys_ < key_width_ || !ReadUInt(keys_ - key_width_, key_width_, &key_count) ||
      key_count != count || count > (size_ - keys_) / key_width_) {
    return "its keys are out of range";
  }
  for (size_t i = 0; i < count; ++i) {
    size_t key;
    if (!Follow(keys_ + i * key_width_, key_width_, &key)) return "one of its keys is out of range";
  }
  count_ = static_cast<size_t>(count);
  return nullptr;
}

// Compares at most the bytes of the wanted key, so an unterminated key costs nothing.
bool FlexMap::KeyIs(size_t index, const char* key) const {
  const size_t bytes = std::strlen(key) + 1;
  size_t at;
  return Follow(keys_ + index * key_width_, key_width_, &at) && bytes <= size_ - at &&
         std::memcmp(data_ + at, key, bytes) == 0;
}

bool FlexMap::Find(const char* key, FlexValue* value, const char** error) const {
  *error = nullptr;
  for (size_t i = 0; i < count_; ++i) {
    if (!KeyIs(i, key)) continue;
    *error = ReadValue(i, value);
    return *error == nullptr;
  }
  return false;
}

const char* FlexMap::ReadScalar(size_t at, size_t width, FlexValue::Kind kind,
                                FlexValue* value) const {
  uint64_t bits;
  if (!ReadUInt(at, width, &bits)) return "is out of range";
  value->kind = kind;
  switch (kind) {
    case FlexValue::Kind::kInt: value->int_value = SignExtend(bits, width); return nullptr;
    case FlexValue::Kind::kBool: value->int_value = bits != 0; return nullptr;
    case FlexValue::Kind::kUInt: value->uint_value = bits; return nullptr;
    case FlexValue::Kind::kFloat: break;
    default: return "is of no readable type";
  }
  if (width == 8) {
    std::memcpy(&value->float_value, &bits, sizeof(double));
  } else if (width == 4) {
    const uint32_t narrow = static_cast<uint32_t>(bits);
    float single;
    std::memcpy(&single, &narrow, sizeof(single));
    value->float_value = static_cast<double>(single);
  } else {
    return "is a float of fewer than 4 bytes";
  }
  return nullptr;
}

const char* FlexMap::ReadValue(size_t index, FlexValue* value) const {
  using Kind = FlexValue::Kind;
  const size_t at = values_ + index * value_width_;
  const uint8_t packed = data_[values_ + count_ * value_width_ + index];
  *value = FlexValue();
  size_t target;
  switch (TypeOf(packed)) {
    case kNull: return nullptr;
    case kInt: return ReadScalar(at, value_width_, Kind::kInt, value);
    case kUInt: return ReadScalar(at, value_width_, Kind::kUInt, value);
    case kFloat: return ReadScalar(at, value_width_, Kind::kFloat, value);
    case kBool: return ReadScalar(at, value_width_, Kind::kBool, value);
    case kIndirectInt:
    case kIndirectUInt:
    case kIndirectFloat: {
      if (!Follow(at, value_width_, &target)) return "is out of range";
      const Kind kind = TypeOf(packed) == kIndirectInt    ? Kind::kInt
                        : TypeOf(packed) == kIndirectUInt ? Kind::kUInt
                                                          : Kind::kFloat;
      return ReadScalar(target, WidthOf(packed), kind, value);
    }
    case kString: {
      const size_t width = WidthOf(packed);
      uint64_t bytes;
      if (!Follow(at, value_width_, &target) || target < width ||
          !ReadUInt(target - width, width, &bytes) || bytes > size_ - target) {
        return "is a string out of range";
      }
      value->kind = Kind::kString;
      value->string = reinterpret_cast<const char*>(data_ + target);
      value->string_bytes = static_cast<size_t>(bytes);
      return nullptr;
    }
    default: value->kind = Kind::kOther; return nullptr;
  }
}

}  // namespace detops
