// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

// Post-processes the outputs of a network that ran elsewhere: on a DSP, an NPU, in another process.
//
//   python dump_buffers.py MODEL.tflite PHOTO.jpg FOLDER    writes such outputs
//   postprocess FOLDER                                      prints the detections
//   postprocess FOLDER OUT.bin                              and writes all outputs as floats
#include <cstdio>
#include <fstream>
#include <iterator>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "detops/detops.hpp"

namespace {

// What problem.txt says: one line for each option, and one for each tensor.
struct Problem {
  std::map<std::string, float> options;
  std::map<std::string, detops_tensor> tensors;
};

detops_tensor ReadTensor(std::istream& line) {
  detops_tensor tensor = {};
  std::string type;
  line >> type >> tensor.scale >> tensor.zero_point >> tensor.rank;
  tensor.type = type == "int8" ? DETOPS_INT8 : type == "uint8" ? DETOPS_UINT8 : DETOPS_FLOAT32;
  for (int i = 0; i < tensor.rank && i < DETOPS_MAX_RANK; ++i) line >> tensor.dims[i];
  return tensor;
}

Problem ReadProblem(const std::string& path) {
  Problem problem;
  std::ifstream file(path);
  for (std::string text; std::getline(file, text);) {
    std::istringstream line(text);
    std::string kind, name;
    line >> kind >> name;
    if (kind == "option") line >> problem.options[name];
    if (kind == "tensor") problem.tensors[name] = ReadTensor(line);
  }
  return problem;
}

detops_options OptionsOf(std::map<std::string, float> read) {
  detops_options options = detops::DefaultOptions(static_cast<int32_t>(read["num_classes"]));
  options.max_detections = static_cast<int32_t>(read["max_detections"]);
  options.max_classes_per_detection = static_cast<int32_t>(read["max_classes_per_detection"]);
  options.detections_per_class = static_cast<int32_t>(read["detections_per_class"]);
  options.use_regular_nms = read["use_regular_nms"] != 0;
  options.nms_score_threshold = read["nms_score_threshold"];
  options.nms_iou_threshold = read["nms_iou_threshold"];
  options.y_scale = read["y_scale"];
  options.x_scale = read["x_scale"];
  options.h_scale = read["h_scale"];
  options.w_scale = read["w_scale"];
  return options;
}

std::vector<char> ReadBytes(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

// The sizes are the caller's promise to the library, so a program that reads files checks them.
bool Fits(const std::vector<char>& bytes, const detops_tensor& tensor) {
  size_t expected = tensor.type == DETOPS_FLOAT32 ? sizeof(float) : 1;
  for (int i = 0; i < tensor.rank; ++i) expected *= static_cast<size_t>(tensor.dims[i]);
  return bytes.size() == expected;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: postprocess FOLDER [OUT.bin]\n");
    return 2;
  }
  const std::string folder = std::string(argv[1]) + "/";
  Problem problem = ReadProblem(folder + "problem.txt");
  const detops_tensor& boxes = problem.tensors["box_encodings"];
  const detops_tensor& scores = problem.tensors["scores"];
  const detops_tensor& anchors = problem.tensors["anchors"];

  detops::Postprocessor postprocessor;
  const detops::Status made =
      postprocessor.Create(OptionsOf(problem.options), boxes, scores, anchors);
  if (!made.ok()) {
    std::fprintf(stderr, "%s\n", made.message());
    return 1;
  }
  const std::vector<char> box_values = ReadBytes(folder + "box_encodings.bin");
  const std::vector<char> score_values = ReadBytes(folder + "scores.bin");
  const std::vector<char> anchor_values = ReadBytes(folder + "anchors.bin");
  if (!Fits(box_values, boxes) || !Fits(score_values, scores) || !Fits(anchor_values, anchors)) {
    std::fprintf(stderr, "the .bin files do not have the sizes that problem.txt tells\n");
    return 1;
  }
  detops::Detections found;
  postprocessor.Run(box_values.data(), score_values.data(), anchor_values.data(), &found);

  for (int i = 0; i < static_cast<int>(found.counts[0]); ++i) {
    std::printf("class %g  score %.2f  box %.3f %.3f %.3f %.3f\n", found.classes[i],
                found.scores[i], found.boxes[4 * i], found.boxes[4 * i + 1], found.boxes[4 * i + 2],
                found.boxes[4 * i + 3]);
  }
  if (argc > 2) {
    std::ofstream out(argv[2], std::ios::binary);
    for (const auto* values : {&found.boxes, &found.classes, &found.scores, &found.counts}) {
      out.write(reinterpret_cast<const char*>(values->data()),
                static_cast<std::streamsize>(values->size() * sizeof(float)));
    }
  }
  return 0;
}
