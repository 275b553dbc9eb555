// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

// The public headers, as a program that has nothing else would use them.
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <thread>
#include <vector>

#include "detops/detops.hpp"
#include "gtest/gtest.h"

extern "C" int detops_c_program(void);

namespace {

using detops::DefaultOptions;
using detops::FloatTensor;

struct Inputs {
  std::vector<float> boxes = std::vector<float>(12, 0.0f);
  std::vector<float> scores = {0, .9f, .2f, 0, .8f, .3f, 0, .05f, .7f};
  std::vector<float> anchors = {.5f, .5f, .2f, .2f, .5f, .5f, .2f, .2f, .5f, .9f, .2f, .2f};
};

detops_options UsualOptions() {
  detops_options options = DefaultOptions(2);
  options.max_detections = 3;
  options.nms_score_threshold = 0.1f;
  options.nms_iou_threshold = 0.5f;
  return options;
}

bool Contains(const char* text, const std::string& part) {
  return std::string(text).find(part) != std::string::npos;
}

TEST(CApi, WorksFromC) { EXPECT_EQ(detops_c_program(), 0); }

TEST(CApi, Version) { EXPECT_STREQ(detops_version(), DETOPS_VERSION); }

TEST(CApi, PostProcesses) {
  const Inputs in;
  detops::Postprocessor postprocessor;
  const detops::Status made = postprocessor.Create(UsualOptions(), FloatTensor({1, 3, 4}),
                                                   FloatTensor({1, 3, 3}), FloatTensor({3, 4}));
  ASSERT_TRUE(made.ok()) << made.message();
  EXPECT_STREQ(made.message(), "");
  EXPECT_EQ(postprocessor.slots(), 3);
  EXPECT_EQ(postprocessor.batch(), 1);
  detops::Detections found;
  ASSERT_TRUE(postprocessor.Run(in.boxes.data(), in.scores.data(), in.anchors.data(), &found).ok());
  EXPECT_EQ(found.counts, (std::vector<float>{2}));
  EXPECT_EQ(found.scores, (std::vector<float>{.9f, .7f, 0}));
  EXPECT_EQ(found.classes, (std::vector<float>{0, 1, 0}));
  EXPECT_EQ(found.boxes[0], .5f - .1f);
}

TEST(CApi, QuantisedAtAnyAddress) {
  // scale 1 / 16: the encodings are zero, the scores those of above, rounded.
  std::vector<int8_t> bytes = {0, 3, 3, 3, 3, -8, 7, -6, -8, 5, -4};
  const std::vector<float> anchors = {.5f, .5f, .2f, .2f, .5f, .9f, .2f, .2f};
  std::vector<char> unaligned(1 + anchors.size() * sizeof(float));
  std::memcpy(unaligned.data() + 1, anchors.data(), anchors.size() * sizeof(float));
  const std::vector<int8_t> encodings(9, 3);
  detops::Postprocessor postprocessor;
  const detops::Status made =
      postprocessor.Create(UsualOptions(), detops::Int8Tensor({1, 2, 4}, 0.0625f, 3),
                           detops::Int8Tensor({1, 2, 3}, 0.0625f, -8), FloatTensor({2, 4}));
  ASSERT_TRUE(made.ok()) << made.message();
  detops::Detections found;
  postprocessor.Run(encodings.data() + 1, bytes.data() + 5, unaligned.data() + 1, &found);
  EXPECT_EQ(found.counts[0], 2);
  EXPECT_EQ(found.scores, (std::vector<float>{.9375f, .8125f, 0}));
}

TEST(CApi, NamesEveryFault) {
  detops_options options = DefaultOptions(7);
  options.nms_iou_threshold = 0;
  detops::Postprocessor postprocessor;
  const detops::Status made = postprocessor.Create(
      options, FloatTensor({1, 3, 4}), detops::UInt8Tensor({1, 3, 3}, 0, 0), FloatTensor({2, 4}));
  EXPECT_EQ(made.code(), DETOPS_INVALID);
  for (const char* part :
       {"nms_iou_threshold is 0", "scores has quantization scale 0",
        "scores has 3 class columns, expected num_classes 7", "anchors has 2 rows"}) {
    EXPECT_TRUE(Contains(made.message(), part)) << part << " in " << made.message();
  }
}

TEST(CApi, RefusesWhatHasNoMeaning) {
  detops::Postprocessor postprocessor;
  const auto create = [&](const detops_tensor& boxes) {
    return postprocessor.Create(UsualOptions(), boxes, FloatTensor({1, 3, 3}), FloatTensor({3, 4}));
  };
  EXPECT_TRUE(
      Contains(create(FloatTensor({1, 1, 1, 3, 4, 1})).message(), "box_encodings has shape"));
  EXPECT_TRUE(Contains(create(FloatTensor({1, -3, 4})).message(), "[1, -3, 4]"));
  detops_tensor odd = FloatTensor({1, 3, 4});
  odd.type = static_cast<detops_type>(77);
  EXPECT_TRUE(Contains(create(odd).message(), "expected float32, uint8 or int8"));
  odd = FloatTensor({1, 3, 4});
  odd.rank = -1;
  EXPECT_FALSE(create(odd).ok());
}

TEST(CApi, MessagesAreCutAndTerminated) {
  char text[12];
  std::memset(text, 'x', sizeof(text));
  detops_postprocessor* made = nullptr;
  const detops_options options = DefaultOptions(0);
  const detops_tensor tensor = FloatTensor({1, 3, 4});
  EXPECT_EQ(detops_postprocessor_create(&options, &tensor, &tensor, &tensor, &made, text,
                                        sizeof(text) - 1),
            DETOPS_INVALID);
  EXPECT_EQ(made, nullptr);
  EXPECT_EQ(std::strlen(text), sizeof(text) - 2);
  EXPECT_EQ(text[sizeof(text) - 1], 'x');
  EXPECT_EQ(detops_postprocessor_create(&options, &tensor, &tensor, &tensor, &made, nullptr, 0),
            DETOPS_INVALID);
}

TEST(CApi, NullsAreNamed) {
  char text[DETOPS_MESSAGE_BYTES];
  const detops_options options = UsualOptions();
  const detops_tensor tensor = FloatTensor({1, 3, 4});
  detops_postprocessor* made = nullptr;
  EXPECT_EQ(
      detops_postprocessor_create(&options, nullptr, &tensor, &tensor, &made, text, sizeof(text)),
      DETOPS_INVALID);
  EXPECT_STREQ(text, "box_encodings is NULL");
  EXPECT_EQ(detops_postprocessor_run(nullptr, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr,
                                     nullptr, text, sizeof(text)),
            DETOPS_INVALID);
  EXPECT_STREQ(text, "postprocessor is NULL");
  EXPECT_EQ(detops_options_parse("", 0, nullptr, text, sizeof(text)), DETOPS_INVALID);
  EXPECT_EQ(detops_litert_kernel_create(nullptr, nullptr, text, sizeof(text)), DETOPS_INVALID);
  detops_postprocessor_destroy(nullptr);
  detops_delegate_destroy(nullptr);
  detops_litert_kernel_destroy(nullptr);
}

TEST(CApi, EmptyProblemsTakeNulls) {
  detops::Postprocessor postprocessor;
  ASSERT_TRUE(postprocessor
                  .Create(UsualOptions(), FloatTensor({1, 0, 4}), FloatTensor({1, 0, 3}),
                          FloatTensor({0, 4}))
                  .ok());
  detops::Detections found;
  ASSERT_TRUE(postprocessor.Run(nullptr, nullptr, nullptr, &found).ok());
  EXPECT_EQ(found.counts[0], 0);
  std::vector<int64_t> kept;
  EXPECT_TRUE(detops::Nms({}, {}, {}, 1, 0, .5f, 5, &kept).ok());
}

TEST(CApi, OptionBlocks) {
  detops_options options = UsualOptions();
  char text[DETOPS_MESSAGE_BYTES];
  EXPECT_EQ(detops_options_parse("nonsense", 8, &options, text, sizeof(text)), DETOPS_INVALID);
  EXPECT_TRUE(Contains(text, "option block")) << text;
  EXPECT_EQ(options.num_classes, 2) << "kept after a fault";
}

TEST(CApi, DecodesBoxes) {
  std::vector<float> boxes;
  const std::vector<float> encodings = {0, 0, 0, 0, 9, 1, 0, 0, 0, 9};
  const std::vector<float> anchors = {.5f, .5f, .2f, .2f, .5f, .5f, .2f, .2f};
  const float scales[4] = {10, 10, 5, 5};
  const detops::Status done =
      detops::DecodeBoxes(FloatTensor({1, 2, 5}), encodings.data(), FloatTensor({2, 4}),
                          anchors.data(), scales, &boxes);
  ASSERT_TRUE(done.ok()) << done.message();
  EXPECT_EQ(boxes[0], .5f - .1f);
  EXPECT_NEAR(boxes[4], .42f, 1e-6f);
  const float zero[4] = {10, 10, 0, 5};
  const detops::Status bad = detops::DecodeBoxes(FloatTensor({1, 2, 5}), encodings.data(),
                                                 FloatTensor({2, 4}), anchors.data(), zero, &boxes);
  EXPECT_TRUE(Contains(bad.message(), "h_scale is 0"));
}

TEST(CApi, SuppressesWithinClasses) {
  const std::vector<float> boxes = {0, 0, 1, 1, 0, 0, 1, .9f, 0, 0, 1, 1, 2, 2, 1, 3};
  const float nan = std::numeric_limits<float>::quiet_NaN();
  std::vector<int64_t> kept;
  ASSERT_TRUE(detops::Nms(boxes, {.5f, .9f, .4f, 1}, {}, 1, 0, .5f, 10, &kept).ok());
  EXPECT_EQ(kept, (std::vector<int64_t>{1}));
  ASSERT_TRUE(detops::Nms(boxes, {.5f, .9f, .4f, nan}, {0, 0, 1, 1}, 2, 0, .5f, 10, &kept).ok());
  EXPECT_EQ(kept, (std::vector<int64_t>{1, 2}));
  const detops::Status bad = detops::Nms(boxes, {1, 1, 1, 1}, {0, 2, 0, 0}, 2, 0, .5f, 10, &kept);
  EXPECT_STREQ(bad.message(), "classes[1] is 2, expected 0 to 1");
  EXPECT_TRUE(Contains(detops::Nms(boxes, {1, 1, 1, 1}, {}, 1, 0, NAN, 10, &kept).message(),
                       "iou_threshold is"));
  const std::vector<float> scores(5, 1.0f);
  EXPECT_TRUE(Contains(detops::Nms(boxes, scores, {}, 1, 0, .5f, 10, &kept).message(),
                       "5 scores with 16 coordinates and 0 classes"));
  EXPECT_FALSE(detops::Nms(boxes, {1, 1, 1, 1}, {0, 1}, 2, 0, .5f, 10, &kept).ok());
}

struct Resolver {
  void AddCustom(const char* name, const TfLiteRegistration* registration, int version) {
    added_name = name;
    added = registration;
    added_version = version;
  }
  std::string added_name;
  const TfLiteRegistration* added = nullptr;
  int added_version = 0;
};

TEST(CApi, RegistersWithAnyResolver) {
  Resolver resolver;
  DetopsRegisterOps(resolver);
  EXPECT_EQ(resolver.added_name, "TFLite_Detection_PostProcess");
  EXPECT_EQ(resolver.added, detops_registration());
  EXPECT_EQ(resolver.added_version, 1);
}

TEST(CApi, ObjectsOfDifferentThreadsShareNothing) {
  const Inputs in;
  const auto work = [&in] {
    for (int round = 0; round < 200; ++round) {
      detops::Postprocessor postprocessor;
      detops::Detections found;
      ASSERT_TRUE(postprocessor
                      .Create(UsualOptions(), FloatTensor({1, 3, 4}), FloatTensor({1, 3, 3}),
                              FloatTensor({3, 4}))
                      .ok());
      postprocessor.Run(in.boxes.data(), in.scores.data(), in.anchors.data(), &found);
      ASSERT_EQ(found.counts[0], 2);
      detops_delegate_destroy(detops_delegate_create());
    }
  };
  std::thread other(work);
  work();
  other.join();
}

}  // namespace
