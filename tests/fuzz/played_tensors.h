// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

#ifndef DETOPS_TESTS_FUZZ_PLAYED_TENSORS_H_
#define DETOPS_TESTS_FUZZ_PLAYED_TENSORS_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "detops_tflite/c_abi.h"
#include "fuzz/guarded_memory.h"

namespace detops {
namespace fuzz {

// Quantisation as a file may state it; what is not stated stays null in the runtime's structures.
struct PlayedQuantization {
  enum class Kind : uint8_t { kNone, kParams, kAffine, kAffineWithoutScales, kAffineWithoutZeros };
  Kind kind = Kind::kNone;
  std::vector<float> scales;
  std::vector<int> zero_points;
};

// Tensors whose data lies in guarded memory, and the few functions of a runtime's context that an
// op may call. It refuses to make a tensor larger than kTensorBytes, as a runtime short of memory
// does.
class PlayedTensors {
 public:
  static constexpr size_t kTensorBytes = 1 << 20;

  explicit PlayedTensors(size_t count);
  ~PlayedTensors();
  PlayedTensors(const PlayedTensors&) = delete;
  PlayedTensors& operator=(const PlayedTensors&) = delete;

  TfLiteContext* context() { return &context_; }
  TfLiteTensor& operator[](size_t i) { return tensors_[i]; }
  size_t size() const { return tensors_.size(); }

  // Gives a tensor its type, shape and quantisation, and takes its data away.
  void Describe(size_t i, TfLiteType type, const std::vector<int>& dims,
                const PlayedQuantization& quantization);

  // Gives a tensor memory for its shape, or a few bytes where that is too large. Returns how many.
  size_t Allocate(size_t i, GuardedMemory::Place place);

  // Lets a tensor point to memory that is no longer its own.
  void TakeMemory(size_t i);

  // True when a tensor was refused or an error reported since the last call.
  bool TakeComplaint();

 private:
  static TfLiteStatus Resize(TfLiteContext* context, TfLiteTensor* tensor, TfLiteIntArray* dims);
  static void Report(TfLiteContext* context, const char* format, ...);
  void FreeQuantization(TfLiteTensor* tensor);

  std::vector<TfLiteTensor> tensors_;
  TfLiteContext context_ = {};
  bool complained_ = false;
};

TfLiteIntArray* MakeIntArray(const std::vector<int>& values);

}  // namespace fuzz
}  // namespace detops

#endif  // DETOPS_TESTS_FUZZ_PLAYED_TENSORS_H_
