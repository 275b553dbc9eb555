// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

#include "fuzz/litert_check.h"

#include <algorithm>
#include <vector>

#include "detops/detops.h"
#include "detops_litert/c_abi.h"
#include "fuzz/draws.h"
#include "fuzz/expect.h"
#include "fuzz/option_block.h"

namespace detops {
namespace fuzz {
namespace {

constexpr int kInputs = 3;
constexpr int kOutputs = 4;
constexpr size_t kMaxElements = 1 << 14;

// A buffer as large as its own type says, which need not be what the kernel was prepared for.
struct PlayedBuffer {
  LiteRtRankedTensorType type = {};
  std::vector<uint8_t> bytes;
  bool refuses_type = false;
  bool refuses_lock = false;
  int locks = 0;
};

LiteRtTensorBuffer Handle(PlayedBuffer* buffer) {
  return reinterpret_cast<LiteRtTensorBuffer>(buffer);
}

int GetTensorType(void* handle, void* type) {
  const auto* buffer = static_cast<PlayedBuffer*>(handle);
  if (buffer->refuses_type) return 1;
  *static_cast<LiteRtRankedTensorType*>(type) = buffer->type;
  return 0;
}

int Lock(void* handle, void** memory, int) {
  auto* buffer = static_cast<PlayedBuffer*>(handle);
  if (buffer->refuses_lock) return 1;
  ++buffer->locks;
  *memory = buffer->bytes.data();
  return 0;
}

int Unlock(void* handle) {
  --static_cast<PlayedBuffer*>(handle)->locks;
  return 0;
}

// How many elements, cut where nobody would make a buffer.
size_t Elements(const LiteRtLayout& layout) {
  size_t elements = 1;
  for (unsigned i = 0; i < std::min<unsigned>(layout.rank, LITERT_TENSOR_MAX_RANK); ++i) {
    const size_t size = static_cast<size_t>(std::max(layout.dimensions[i], 0));
    elements = size == 0 ? 0 : std::min(elements, kMaxElements + 1) * std::min(size, kMaxElements);
  }
  return elements;
}

class PlayedLiteRt {
 public:
  explicit PlayedLiteRt(FuzzInput* input) : input_(input) {
    const detops_litert_functions functions = {GetTensorType, Lock, Unlock};
    FUZZ_EXPECT(detops_litert_kernel_create(&functions, &kernel_, nullptr, 0) == DETOPS_OK, "none");
    interface_ = static_cast<const LiteRtCustomOpKernel*>(detops_litert_kernel_interface());
    std::fill(types_, types_ + kInputs, int32_t{DETOPS_FLOAT32});
  }
  ~PlayedLiteRt() { detops_litert_kernel_destroy(kernel_); }
  PlayedLiteRt(const PlayedLiteRt&) = delete;
  PlayedLiteRt& operator=(const PlayedLiteRt&) = delete;

  void Init() {
    classes_ = input_->Range(1, 6);
    std::vector<uint8_t> block = OptionBlock(DrawOptions(input_, classes_));
    if (input_->OneIn(16)) block[input_->Byte() % block.size()] = input_->Byte();
    Told(interface_->Init(kernel_, block.data(), block.size()));
  }

  void SetInput() {
    const int i = input_->Range(-1, kInputs);
    const detops_type types[] = {DETOPS_FLOAT32, DETOPS_UINT8, DETOPS_INT8};
    const detops_type type = types[input_->Range(0, 2)];
    const float scale = DrawScale(input_);
    const int zero_point = DrawZeroPoint(input_, DType::kInt8);
    const detops_status status =
        detops_litert_kernel_set_input(kernel_, i, type, scale, zero_point, nullptr, 0);
    FUZZ_EXPECT((status == DETOPS_OK) == (i >= 0 && i < kInputs), "status %d for %d", status, i);
    if (status == DETOPS_OK) types_[i] = type;
  }

  void Prepare() {
    const int anchors = input_->Range(0, 40), batch = input_->OneIn(8) ? input_->Range(0, 3) : 1;
    const int sizes[kInputs][3] = {
        {batch, anchors, 4}, {batch, anchors, classes_ + input_->Range(0, 1)}, {anchors, 4, 0}};
    for (int i = 0; i < kInputs; ++i) {
      inputs_[i] = {};
      inputs_[i].rank = i == 2 ? 2 : 3;
      std::copy(sizes[i], sizes[i] + 3, inputs_[i].dimensions);
      Spoil(&inputs_[i]);
    }
    const size_t num_inputs = input_->OneIn(32) ? input_->Byte() % 8u : kInputs;
    const size_t num_outputs = input_->OneIn(32) ? input_->Byte() % 8u : kOutputs;
    std::vector<LiteRtLayout> inputs(inputs_, inputs_ + kInputs), outputs(num_outputs);
    inputs.resize(num_inputs);
    prepared_ = Told(interface_->GetOutputLayouts(kernel_, num_inputs, inputs.data(), num_outputs,
                                                  outputs.data()));
    for (size_t i = 0; i < num_outputs; ++i) {
      FUZZ_EXPECT(prepared_ || outputs[i].dimensions[0] == -1, "a shape that LiteRT takes");
      if (prepared_) outputs_[i] = outputs[i];
    }
  }

  void Run() {
    PlayedBuffer buffers[kInputs + kOutputs];
    for (int i = 0; i < kInputs + kOutputs; ++i) {
      PlayedBuffer& buffer = buffers[i];
      buffer.type.layout = i < kInputs ? inputs_[i] : outputs_[i - kInputs];
      buffer.type.element_type = i < kInputs ? types_[i] : int32_t{DETOPS_FLOAT32};
      if (i < kInputs) Spoil(&buffer.type.layout);
      if (i < kInputs && input_->OneIn(16)) buffer.type.element_type = input_->Range(0, 20);
      const size_t elements = Elements(buffer.type.layout);
      if (elements > kMaxElements) return;
      const bool one_byte =
          buffer.type.element_type == DETOPS_UINT8 || buffer.type.element_type == DETOPS_INT8;
      buffer.bytes.resize(elements * (one_byte ? 1 : sizeof(float)));
      if (i < kInputs)
        FillTensor(input_, one_byte ? DType::kUInt8 : DType::kFloat32, 0.0f, 1.0f,
                   buffer.bytes.data(), buffer.bytes.size());
      buffer.refuses_type = input_->OneIn(32);
      buffer.refuses_lock = input_->OneIn(64);
    }
    LiteRtTensorBuffer handles[kInputs + kOutputs];
    for (int i = 0; i < kInputs + kOutputs; ++i) handles[i] = Handle(&buffers[i]);
    const bool ran = Told(interface_->Run(kernel_, kInputs, handles, kOutputs, handles + kInputs));
    FUZZ_EXPECT(!ran || prepared_, "it ran without having been prepared");
    for (const PlayedBuffer& buffer : buffers) FUZZ_EXPECT(buffer.locks == 0, "locked for ever");
  }

 private:
  // Any error comes with words.
  bool Told(LiteRtStatus status) const {
    const bool told = detops_litert_kernel_message(kernel_)[0] != '\0';
    FUZZ_EXPECT(told == (status != kLiteRtStatusOk), "status %d, words %d", status, told);
    return status == kLiteRtStatusOk;
  }

  void Spoil(LiteRtLayout* layout) {
    const int how = input_->Range(0, 63);
    if (how == 63) layout->rank = input_->Byte() & 0x7f;
    if (how == 62) layout->dimensions[input_->Range(0, 7)] = static_cast<int32_t>(input_->Word());
    if (how == 61) layout->dimensions[input_->Range(0, 2)] += input_->Range(-3, 3);
  }

  FuzzInput* input_;
  detops_litert_kernel* kernel_ = nullptr;
  const LiteRtCustomOpKernel* interface_;
  int classes_ = 1;
  int32_t types_[kInputs];
  LiteRtLayout inputs_[kInputs] = {};
  LiteRtLayout outputs_[kOutputs] = {};
  bool prepared_ = false;
};

}  // namespace

void CheckLiteRtKernel(FuzzInput* input) {
  PlayedLiteRt played(input);
  played.Init();
  // As LiteRT does it, at first; then anything.
  for (int step = 0; step < 8 && input->left() > 0; ++step) {
    switch (input->Range(0, 7)) {
      case 0: played.Init(); break;
      case 1:
      case 2: played.SetInput(); break;
      case 3:
      case 4: played.Prepare(); break;
      default: played.Run(); break;
    }
  }
}

}  // namespace fuzz
}  // namespace detops
