// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

#include "fuzz/draws.h"

#include <cstring>
#include <limits>

namespace detops {
namespace fuzz {
namespace {

float DrawOptionScale(FuzzInput* input) {
  const int kind = input->Range(0, 15);
  if (kind == 15) return input->Float();
  return kind < 5 ? 1.0f : kind < 10 ? 5.0f : 10.0f;
}

}  // namespace

Options DrawOptions(FuzzInput* input, int num_classes) {
  Options options;
  options.num_classes = num_classes;
  options.max_detections = input->Range(0, 255);
  if (options.max_detections > 60) options.max_detections %= 12;
  options.max_classes_per_detection = input->OneIn(4) ? input->Range(1, 12) : 1;
  options.detections_per_class = input->OneIn(2) ? input->Range(1, 20) : 100;
  options.use_regular_nms = input->OneIn(2);
  const float lowest = -std::numeric_limits<float>::infinity();
  options.nms_score_threshold = input->OneIn(2) ? input->Float() : lowest;
  const int iou = input->Range(0, 7);
  options.nms_iou_threshold = iou == 7 ? input->Float() : static_cast<float>(iou + 1) / 7.0f;
  options.y_scale = DrawOptionScale(input);
  options.x_scale = DrawOptionScale(input);
  options.h_scale = DrawOptionScale(input);
  options.w_scale = DrawOptionScale(input);
  return options;
}

GuardedMemory::Place DrawPlace(FuzzInput* input) {
  return static_cast<GuardedMemory::Place>(input->Range(0, 2));
}

float DrawScale(FuzzInput* input) {
  const int kind = input->Range(0, 15);
  if (kind == 15) return input->Float();
  if (kind == 14) return 3e36f;
  return static_cast<float>(1 + kind * 37) / 4096.0f;
}

int DrawZeroPoint(FuzzInput* input, DType dtype) {
  return input->Range(-128, 127) + (dtype == DType::kUInt8 ? 128 : 0);
}

void FillTensor(FuzzInput* input, DType dtype, float low, float high, uint8_t* data, size_t size) {
  const size_t step = dtype == DType::kFloat32 ? sizeof(float) : 1;
  const int odd_share = input->Range(0, 8);  // of 8
  float palette[8];
  uint8_t bytes[8];
  for (float& value : palette) {
    value = dtype == DType::kFloat32 && odd_share > 0 ? input->Float() : 0.0f;
  }
  for (uint8_t& byte : bytes) byte = odd_share > 0 ? input->Byte() : uint8_t{0};
  const int levels = 1 << input->Range(1, 12);
  const uint32_t seed = input->Word();
  // So many neighbours are alike: whole rows of NaN, or of one score.
  const size_t stretch = size_t{1} << (seed >> 29);
  NumberStream stream(seed);
  uint32_t kind = 0;
  for (size_t at = 0; at + step <= size; at += step) {
    if (at / step % stretch == 0) kind = stream.Next();
    const bool odd = static_cast<int>(kind % 8) < odd_share;
    const uint32_t drawn = stream.Next();
    if (step == 1) {
      data[at] = odd ? bytes[kind / 8 % 8] : static_cast<uint8_t>(drawn >> 16);
      continue;
    }
    const float part =
        static_cast<float>(drawn / 64 % static_cast<unsigned>(levels)) / static_cast<float>(levels);
    const float value = odd ? palette[kind / 8 % 8] : low + (high - low) * part;
    std::memcpy(data + at, &value, sizeof(value));
  }
}

}  // namespace fuzz
}  // namespace detops
