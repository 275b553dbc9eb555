// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

// The op through its registration, as a C++ program's resolver calls it. No wheel lets a program
// add a custom op, so the few context functions an op may use are played here; the same code runs
// inside the real runtimes in the Python tests, by way of the delegate.
#include "tflite_ops/postprocess_op.h"

#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tflite_ops/delegate.h"

namespace detops {
namespace {

TfLiteIntArray* MakeIntArray(const std::vector<int>& values) {
  auto* array = static_cast<TfLiteIntArray*>(
      std::malloc(sizeof(TfLiteIntArray) + values.size() * sizeof(int)));
  array->size = static_cast<int>(values.size());
  if (!values.empty()) std::memcpy(array->data, values.data(), values.size() * sizeof(int));
  return array;
}

class OpRun {
 public:
  OpRun() : tensors_(7) {
    context_.tensors_size = tensors_.size();
    context_.tensors = tensors_.data();
    context_.impl_ = this;
    context_.ResizeTensor = Resize;
    context_.ReportError = Report;
    node_.inputs = MakeIntArray({0, 1, 2});
    node_.outputs = MakeIntArray({3, 4, 5, 6});
    for (int i = 3; i < 7; ++i) tensors_[static_cast<size_t>(i)].dims = MakeIntArray({});
  }
  ~OpRun() {
    PostprocessOp()->free(&context_, node_.user_data);
    std::free(node_.inputs);
    std::free(node_.outputs);
    for (TfLiteTensor& tensor : tensors_) {
      std::free(tensor.dims);
      std::free(tensor.data.data);
    }
  }

  void SetInput(int i, const std::vector<int>& dims, const std::vector<float>& values) {
    TfLiteTensor& tensor = tensors_[static_cast<size_t>(i)];
    tensor.type = kTfLiteFloat32;
    std::free(tensor.dims);
    tensor.dims = MakeIntArray(dims);
    tensor.bytes = values.size() * sizeof(float);
    std::free(tensor.data.data);
    tensor.data.data = std::malloc(tensor.bytes + 1);
    if (!values.empty()) std::memcpy(tensor.data.data, values.data(), tensor.bytes);
  }

  TfLiteStatus InitAndPrepare(const std::vector<uint8_t>& options) {
    node_.user_data = PostprocessOp()->init(
        &context_, reinterpret_cast<const char*>(options.data()), options.size());
    return PostprocessOp()->prepare(&context_, &node_);
  }
  TfLiteStatus Prepare() { return PostprocessOp()->prepare(&context_, &node_); }
  TfLiteStatus Invoke() { return PostprocessOp()->invoke(&context_, &node_); }

  std::vector<float> Output(int i) const {
    const TfLiteTensor& tensor = tensors_[static_cast<size_t>(3 + i)];
    return {tensor.data.f, tensor.data.f + tensor.bytes / sizeof(float)};
  }
  TfLiteNode* node() { return &node_; }
  TfLiteTensor* tensor(size_t i) { return &tensors_[i]; }
  const std::string& errors() const { return errors_; }

  // What the runtime says when it is asked for memory.
  TfLiteStatus refuse_with = kTfLiteOk;

 private:
  static TfLiteStatus Resize(TfLiteContext* context, TfLiteTensor* tensor, TfLiteIntArray* dims) {
    std::free(tensor->dims);
    tensor->dims = dims;
    const TfLiteStatus refused = static_cast<OpRun*>(context->impl_)->refuse_with;
    if (refused != kTfLiteOk) return refused;
    tensor->bytes = sizeof(float);
    for (int i = 0; i < dims->size; ++i) tensor->bytes *= static_cast<size_t>(dims->data[i]);
    std::free(tensor->data.data);
    tensor->data.data = std::malloc(tensor->bytes + 1);
    std::memset(tensor->data.data, 0x7f, tensor->bytes);
    return kTfLiteOk;
  }
  static void Report(TfLiteContext* context, const char* format, ...) {
    char text[512];
    va_list args;
    va_start(args, format);
    std::vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    static_cast<OpRun*>(context->impl_)->errors_ += text;
  }

  std::vector<TfLiteTensor> tensors_;
  TfLiteContext context_ = {};
  TfLiteNode node_ = {};
  std::string errors_;
};

// A flexbuffer map of 4-byte numbers; keys must come sorted.
std::vector<uint8_t> Block(const std::vector<std::pair<std::string, double>>& options) {
  std::vector<uint8_t> block;
  std::vector<size_t> keys;
  for (const auto& option : options) {
    keys.push_back(block.size());
    block.insert(block.end(), option.first.begin(), option.first.end());
    block.push_back(0);
  }
  while (block.size() % 4 != 0) block.push_back(0);
  const auto word = [&block](size_t value) {
    for (unsigned i = 0; i < 4; ++i) block.push_back(static_cast<uint8_t>(value >> (8 * i)));
  };
  word(options.size());
  const size_t key_vector = block.size();
  for (size_t key : keys) word(block.size() - key);
  word(block.size() - key_vector);
  word(4);
  word(options.size());
  const size_t values = block.size();
  for (const auto& option : options) {
    const float value = static_cast<float>(option.second);
    uint32_t bits;
    std::memcpy(&bits, &value, sizeof(bits));
    word(bits);
  }
  for (size_t i = 0; i < options.size(); ++i) block.push_back(3 << 2 | 2);
  block.push_back(static_cast<uint8_t>(block.size() - values));
  block.push_back(9 << 2 | 2);
  block.push_back(1);
  return block;
}

std::vector<uint8_t> UsualBlock(double regular = 0) {
  return Block({{"h_scale", 5},
                {"max_classes_per_detection", 1},
                {"max_detections", 3},
                {"nms_iou_threshold", 0.5},
                {"nms_score_threshold", 0.1},
                {"num_classes", 2},
                {"use_regular_nms", regular},
                {"w_scale", 5},
                {"x_scale", 10},
                {"y_scale", 10}});
}

// Three anchors side by side, the second on top of the first.
void SetUsualInputs(OpRun* run) {
  run->SetInput(0, {1, 3, 4}, std::vector<float>(12, 0.0f));
  run->SetInput(1, {1, 3, 3}, {0, .9f, .2f, 0, .8f, .3f, 0, .05f, .7f});
  run->SetInput(2, {3, 4}, {.5f, .5f, .2f, .2f, .5f, .5f, .2f, .2f, .5f, .9f, .2f, .2f});
}

TEST(PostprocessOp, FastMode) {
  OpRun run;
  SetUsualInputs(&run);
  ASSERT_EQ(run.InitAndPrepare(UsualBlock()), kTfLiteOk) << run.errors();
  ASSERT_EQ(run.Invoke(), kTfLiteOk);
  EXPECT_EQ(run.Output(1), (std::vector<float>{0, 1, 0}));
  EXPECT_EQ(run.Output(2), (std::vector<float>{.9f, .7f, 0}));
  EXPECT_EQ(run.Output(3), (std::vector<float>{2}));
  EXPECT_EQ(run.Output(0)[4], .5f - .1f);
}

TEST(PostprocessOp, RegularMode) {
  OpRun run;
  SetUsualInputs(&run);
  ASSERT_EQ(run.InitAndPrepare(UsualBlock(1)), kTfLiteOk) << run.errors();
  ASSERT_EQ(run.Invoke(), kTfLiteOk);
  EXPECT_EQ(run.Output(1), (std::vector<float>{0, 1, 1}));
  EXPECT_EQ(run.Output(2), (std::vector<float>{.9f, .7f, .3f}));
}

TEST(PostprocessOp, PreparesAgainForOtherShapes) {
  OpRun run;
  SetUsualInputs(&run);
  ASSERT_EQ(run.InitAndPrepare(UsualBlock()), kTfLiteOk);
  run.SetInput(0, {2, 1, 5}, std::vector<float>(10, 0.0f));
  EXPECT_NE(run.Prepare(), kTfLiteOk);
  EXPECT_NE(run.errors().find("scores has 3 rows, box_encodings has 1"), std::string::npos);
  run.SetInput(1, {2, 1, 2}, {.4f, .5f, .6f, .05f});
  run.SetInput(2, {1, 4}, {0, 0, 1, 1});
  ASSERT_EQ(run.Prepare(), kTfLiteOk) << run.errors();
  ASSERT_EQ(run.Invoke(), kTfLiteOk);
  EXPECT_EQ(run.Output(3), (std::vector<float>{1, 1}));
  EXPECT_EQ(run.Output(2), (std::vector<float>{.5f, 0, 0, .6f, 0, 0}));
}

TEST(PostprocessOp, ReportsEveryFault) {
  OpRun run;
  SetUsualInputs(&run);
  run.SetInput(2, {2, 4}, std::vector<float>(8));
  EXPECT_EQ(run.InitAndPrepare(Block({{"num_classes", 7}})), kTfLiteError);
  for (const char* part :
       {"max_classes_per_detection is 0", "nms_iou_threshold is 0", "y_scale is 0", "w_scale is 0",
        "scores has 3 class columns, expected num_classes 7",
        "anchors has 2 rows, box_encodings has 3"}) {
    EXPECT_NE(run.errors().find(part), std::string::npos) << part << " in " << run.errors();
  }
}

// The count has 4 bytes; boxes written in its place would end far behind it.
TEST(PostprocessOp, RefusesOneTensorForTwoOutputs) {
  OpRun run;
  SetUsualInputs(&run);
  run.node()->outputs->data[0] = 6;
  EXPECT_EQ(run.InitAndPrepare(UsualBlock()), kTfLiteError);
  EXPECT_NE(run.errors().find("outputs 0 and 3 are one tensor, 6, expected two"), std::string::npos)
      << run.errors();

  OpRun input;
  SetUsualInputs(&input);
  input.node()->outputs->data[2] = 1;
  EXPECT_EQ(input.InitAndPrepare(UsualBlock()), kTfLiteError);
  EXPECT_NE(input.errors().find("output 2 is the tensor of scores, 1"), std::string::npos)
      << input.errors();
}

// Constants lie in the file, which is mapped for reading.
TEST(PostprocessOp, RefusesAConstantForAnOutput) {
  OpRun run;
  SetUsualInputs(&run);
  run.tensor(5)->allocation_type = kTfLiteMmapRo;
  EXPECT_EQ(run.InitAndPrepare(UsualBlock()), kTfLiteError);
  EXPECT_NE(run.errors().find("output 2 is tensor 5, a constant, expected another"),
            std::string::npos)
      << run.errors();
}

// Two nodes may write one tensor, and the runtime prepares both before it invokes the first.
TEST(PostprocessOp, RefusesAnOutputThatShrankSince) {
  OpRun run;
  SetUsualInputs(&run);
  ASSERT_EQ(run.InitAndPrepare(UsualBlock()), kTfLiteOk) << run.errors();
  run.tensor(3)->bytes = 4;
  EXPECT_EQ(run.Invoke(), kTfLiteError);
  EXPECT_NE(run.errors().find("output 0 holds 4 bytes, expected 48"), std::string::npos)
      << run.errors();
}

// The difference of class columns and classes would not be an int.
TEST(PostprocessOp, RefusesTheLeastNumberOfClasses) {
  OpRun run;
  SetUsualInputs(&run);
  EXPECT_EQ(run.InitAndPrepare(Block({{"num_classes", INT32_MIN}})), kTfLiteError);
  EXPECT_NE(run.errors().find("num_classes is -2147483648"), std::string::npos) << run.errors();
  EXPECT_EQ(run.errors().find("class columns"), std::string::npos) << run.errors();
}

// Shapes of no bytes at all: the counts alone would have eight gigabytes.
TEST(PostprocessOp, RefusesMoreImagesThanOutputsMayHave) {
  OpRun run;
  run.SetInput(0, {INT32_MAX, 0, 4}, {});
  run.SetInput(1, {INT32_MAX, 0, 3}, {});
  run.SetInput(2, {0, 4}, {});
  EXPECT_EQ(run.InitAndPrepare(Block({{"h_scale", 5},
                                      {"max_classes_per_detection", 1},
                                      {"max_detections", 0},
                                      {"nms_iou_threshold", 0.5},
                                      {"num_classes", 2},
                                      {"w_scale", 5},
                                      {"x_scale", 10},
                                      {"y_scale", 10}})),
            kTfLiteError);
  EXPECT_NE(run.errors().find("batch 2147483647"), std::string::npos) << run.errors();
}

TEST(PostprocessOp, NoAnchorsOfManyClasses) {
  OpRun run;
  const int classes = 1 << 30;
  run.SetInput(0, {1, 0, 4}, {});
  run.SetInput(1, {1, 0, classes}, {});
  run.SetInput(2, {0, 4}, {});
  ASSERT_EQ(run.InitAndPrepare(Block({{"h_scale", 5},
                                      {"max_classes_per_detection", 1},
                                      {"max_detections", 3},
                                      {"nms_iou_threshold", 0.5},
                                      {"num_classes", classes},
                                      {"use_regular_nms", 1},
                                      {"w_scale", 5},
                                      {"x_scale", 10},
                                      {"y_scale", 10}})),
            kTfLiteOk)
      << run.errors();
  ASSERT_EQ(run.Invoke(), kTfLiteOk);
  EXPECT_EQ(run.Output(3), (std::vector<float>{0}));
}

// No runtime does, but the shapes of what was refused are not those of what is allocated.
TEST(PostprocessOp, RefusesToRunWhatItRefusedToPrepare) {
  OpRun run;
  SetUsualInputs(&run);
  ASSERT_EQ(run.InitAndPrepare(UsualBlock()), kTfLiteOk) << run.errors();
  run.SetInput(0, {1, 3000, 4}, std::vector<float>(12000));
  run.SetInput(1, {1, 3000, 3}, std::vector<float>(9000, 0.5f));
  EXPECT_EQ(run.Prepare(), kTfLiteError);
  EXPECT_EQ(run.Invoke(), kTfLiteError);
  EXPECT_NE(run.errors().find("it is not prepared"), std::string::npos) << run.errors();
  SetUsualInputs(&run);
  ASSERT_EQ(run.Prepare(), kTfLiteOk) << run.errors();
  EXPECT_EQ(run.Invoke(), kTfLiteOk);
  EXPECT_EQ(run.Output(3), (std::vector<float>{2}));

  OpRun without_memory;
  EXPECT_EQ(without_memory.Prepare(), kTfLiteError);
  EXPECT_EQ(without_memory.Invoke(), kTfLiteError);
}

// UndefinedBehaviorSanitizer watches. The numbers are those of a runtime of 2026.
TEST(PostprocessOp, LooksAtNumbersOfALaterRuntime) {
  OpRun run;
  SetUsualInputs(&run);
  run.tensor(2)->allocation_type = static_cast<TfLiteAllocationType>(8);
  run.tensor(2)->quantization.type = static_cast<TfLiteQuantizationType>(3);
  run.tensor(3)->allocation_type = static_cast<TfLiteAllocationType>(8);
  EXPECT_EQ(run.InitAndPrepare(UsualBlock()), kTfLiteOk) << run.errors();
  EXPECT_EQ(run.Invoke(), kTfLiteOk);
  run.refuse_with = static_cast<TfLiteStatus>(8);
  EXPECT_EQ(run.Prepare(), run.refuse_with);
}

// A runtime copies, or reads, as many bytes as its own structures have. AddressSanitizer watches.
TEST(PostprocessOp, FieldsThatALaterRuntimeAppendsAreNull) {
  const std::vector<char> null(4 * sizeof(void*));
  const auto behind = [](const void* structure, size_t size) {
    return static_cast<const char*>(structure) + size;
  };
  EXPECT_EQ(
      std::memcmp(behind(PostprocessOp(), sizeof(TfLiteRegistration)), null.data(), null.size()),
      0);
  TfLiteDelegate* delegate = CreateDelegate();
  EXPECT_EQ(std::memcmp(behind(delegate, sizeof(TfLiteDelegate)), null.data(), null.size()), 0);
  DestroyDelegate(delegate);
}

TEST(PostprocessOp, NamesTypesThatItNeverReads) {
  OpRun run;
  SetUsualInputs(&run);
  run.tensor(1)->type = static_cast<TfLiteType>(14);
  EXPECT_EQ(run.InitAndPrepare(UsualBlock()), kTfLiteError);
  EXPECT_NE(run.errors().find("scores has type resource, expected float32, uint8 or int8"),
            std::string::npos)
      << run.errors();
}

TEST(PostprocessOp, RefusesTypesOfALaterRuntime) {
  OpRun run;
  SetUsualInputs(&run);
  run.tensor(1)->type = static_cast<TfLiteType>(24);
  EXPECT_EQ(run.InitAndPrepare(UsualBlock()), kTfLiteError);
  EXPECT_NE(run.errors().find("scores has type of an unknown number"), std::string::npos)
      << run.errors();
}

TEST(PostprocessOp, RefusesNoOptionsAndMissingTensors) {
  OpRun run;
  SetUsualInputs(&run);
  EXPECT_EQ(run.InitAndPrepare({}), kTfLiteError);
  EXPECT_NE(run.errors().find("option block"), std::string::npos);

  OpRun missing;
  SetUsualInputs(&missing);
  missing.node()->inputs->data[1] = -1;
  EXPECT_EQ(missing.InitAndPrepare(UsualBlock()), kTfLiteError);
  EXPECT_NE(missing.errors().find("input 1 (scores) is missing"), std::string::npos);
}

}  // namespace
}  // namespace detops
