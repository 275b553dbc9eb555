// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

#include "tflite_ops/op_options.h"

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "tflite_ops/flexbuffer.h"

namespace detops {
namespace {

// A number as wide as any of its sources: integers stay exact.
struct Number {
  bool is_integer;
  int64_t integer;
  double real;
};

bool ParseNumber(const char* text, size_t bytes, Number* number) {
  char copy[64];
  if (bytes == 0 || bytes >= sizeof(copy)) return false;
  std::memcpy(copy, text, bytes);
  copy[bytes] = '\0';
  char* end;
  number->integer = std::strtoll(copy, &end, 10);
  number->is_integer = *end == '\0';
  number->real = std::strtod(copy, &end);
  return *end == '\0' && end != copy;
}

class OptionReader {
 public:
  OptionReader(const FlexMap& map, FaultList* faults) : map_(map), faults_(faults) {}

  void Read(const char* key, int* option) {
    Number number;
    if (!Find(key, &number)) return;
    if (!number.is_integer) {
      // The comparison is false for NaN; conversion cuts towards zero, as stock's does.
      if (number.real > -2147483649.0 && number.real < 2147483648.0) {
        *option = static_cast<int>(number.real);
        return;
      }
    } else if (number.integer >= INT32_MIN && number.integer <= INT32_MAX) {
      *option = static_cast<int>(number.integer);
      return;
    }
    faults_->Add(Fault::kOptionValue, "option %s is %g, expected a 32-bit integer", key,
                 number.is_integer ? static_cast<double>(number.integer) : number.real);
  }

  void Read(const char* key, float* option) {
    Number number;
    if (!Find(key, &number)) return;
    *option =
        static_cast<float>(number.is_integer ? static_cast<double>(number.integer) : number.real);
  }

  void Read(const char* key, bool* option) {
    Number number;
    if (!Find(key, &number)) return;
    // Stock reads anything but a bool as an integer first, so 0.5 is false.
    *option = number.is_integer ? number.integer != 0 : std::trunc(number.real) != 0.0;
  }

 private:
  // False when the key is absent or null, or when a fault was added.
  bool Find(const char* key, Number* number) {
    FlexValue value;
    const char* error;
    if (!map_.Find(key, &value, &error)) {
      if (error != nullptr) faults_->Add(Fault::kOptionValue, "option %s %s", key, error);
      return false;
    }
    using Kind = FlexValue::Kind;
    switch (value.kind) {
      case Kind::kNull: return false;
      case Kind::kInt:
      case Kind::kBool: *number = {true, value.int_value, 0}; return true;
      case Kind::kUInt: *number = FromUnsigned(value.uint_value); return true;
      case Kind::kFloat: *number = {false, 0, value.float_value}; return true;
      case Kind::kString:
        if (ParseNumber(value.string, value.string_bytes, number)) return true;
        faults_->Add(Fault::kOptionValue, "option %s is the string \"%s\", expected a number", key,
                     PlainText(value.string, value.string_bytes).text);
        return false;
      case Kind::kOther: break;
    }
    faults_->Add(Fault::kOptionValue, "option %s is a list, map or blob, expected a number", key);
    return false;
  }

  static Number FromUnsigned(uint64_t value) {
    if (value > static_cast<uint64_t>(INT64_MAX)) return {false, 0, static_cast<double>(value)};
    return {true, static_cast<int64_t>(value), 0};
  }

  const FlexMap& map_;
  FaultList* faults_;
};

}  // namespace

Options ReadOpOptions(const void* data, size_t size, FaultList* faults) {
  Options options;
  FlexMap map;
  if (const char* error = map.Open(data, size)) {
    faults->Add(Fault::kOptionBlock,
                "the option block (%llu bytes) is not usable: %s, expected a flexbuffer map",
                static_cast<unsigned long long>(size), error);
    return options;
  }
  OptionReader reader(map, faults);
  reader.Read("max_detections", &options.max_detections);
  reader.Read("max_classes_per_detection", &options.max_classes_per_detection);
  reader.Read("detections_per_class", &options.detections_per_class);
  reader.Read("num_classes", &options.num_classes);
  reader.Read("use_regular_nms", &options.use_regular_nms);
  reader.Read("nms_score_threshold", &options.nms_score_threshold);
  reader.Read("nms_iou_threshold", &options.nms_iou_threshold);
  reader.Read("y_scale", &options.y_scale);
  reader.Read("x_scale", &options.x_scale);
  reader.Read("h_scale", &options.h_scale);
  reader.Read("w_scale", &options.w_scale);
  return options;
}

}  // namespace detops
