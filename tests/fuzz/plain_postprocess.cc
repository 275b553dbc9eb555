// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

#include "fuzz/plain_postprocess.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

namespace detops {
namespace fuzz {
namespace {

#if defined(__aarch64__) || defined(_M_ARM64)
constexpr bool kFused = true;
#else
constexpr bool kFused = false;
#endif

// Two roundings apart, or one: what stock's vector loop does with whole blocks of eight.
float BlockValue(float q, float zero_point, float scale) {
  const float offset = -zero_point * scale;
  if (kFused) return std::fma(q, scale, offset);
  const float product = q * scale;
  return product + offset;
}

float Centre(double term, double size, double centre) {
  return static_cast<float>(kFused ? std::fma(term, size, centre) : term * size + centre);
}

bool NegativeSize(const PlainBox& box) { return box.ymin > box.ymax || box.xmin > box.xmax; }

// max(p, q) = (p < q) ? q : p and min alike, which decides about NaN and signed zero.
float Greater(float p, float q) { return p < q ? q : p; }
float Lesser(float p, float q) { return q < p ? q : p; }

// Whether the better box suppresses the other one.
bool Suppresses(const PlainBox& i, const PlainBox& j, float threshold) {
  const float area_i = (i.ymax - i.ymin) * (i.xmax - i.xmin);
  const float area_j = (j.ymax - j.ymin) * (j.xmax - j.xmin);
  if (area_i <= 0 || area_j <= 0) return false;
  const float height = Lesser(i.ymax, j.ymax) - Greater(i.ymin, j.ymin);
  const float width = Lesser(i.xmax, j.xmax) - Greater(i.xmin, j.xmin);
  const float intersection = Greater(height, 0.0f) * Greater(width, 0.0f);
  return intersection / ((area_i + area_j) - intersection) > threshold;
}

bool BetterClass(float a, float b) { return a > b || (std::isnan(b) && !std::isnan(a)); }

// The best k classes of a row. For one the first of equal ones wins; more come as partial_sort
// leaves them, as the contract says.
std::vector<size_t> TopClasses(const float* row, size_t classes, size_t k) {
  std::vector<size_t> order(classes);
  std::iota(order.begin(), order.end(), size_t{0});
  const auto better = [row](size_t i, size_t j) { return BetterClass(row[i], row[j]); };
  if (k == 1) return {*std::min_element(order.begin(), order.end(), better)};
  std::partial_sort(order.begin(), order.begin() + static_cast<long>(k), order.end(), better);
  order.resize(k);
  return order;
}

class Writer {
 public:
  Writer(PlainDetections* out, const std::vector<PlainBox>& boxes) : out_(out), boxes_(boxes) {}

  void Write(size_t slot, size_t box, size_t class_index, float score) {
    std::memcpy(&out_->boxes[4 * slot], &boxes_[box], sizeof(PlainBox));
    out_->classes[slot] = static_cast<float>(class_index);
    out_->scores[slot] = score;
  }

 private:
  PlainDetections* out_;
  const std::vector<PlainBox>& boxes_;
};

void PlainFast(const Options& options, const std::vector<PlainBox>& boxes, const float* scores,
               size_t columns, PlainDetections* out) {
  const size_t classes = static_cast<size_t>(options.num_classes);
  const auto foreground = [=](size_t box) { return scores + (box + 1) * columns - classes; };
  std::vector<float> best;
  for (size_t i = 0; i < boxes.size(); ++i) {
    const float* row = foreground(i);
    best.push_back(row[TopClasses(row, classes, 1)[0]]);
  }
  const std::vector<size_t> kept =
      PlainNms(boxes, best, options.nms_iou_threshold, options.nms_score_threshold,
               static_cast<size_t>(options.max_detections));
  const size_t per_anchor = static_cast<size_t>(options.max_classes_per_detection);
  Writer writer(out, boxes);
  for (size_t d = 0; d < kept.size(); ++d) {
    const float* row = foreground(kept[d]);
    const std::vector<size_t> top = TopClasses(row, classes, std::min(per_anchor, classes));
    for (size_t rank = 0; rank < top.size(); ++rank) {
      writer.Write(d * per_anchor + rank, kept[d], top[rank], row[top[rank]]);
    }
  }
  out->count = static_cast<int>(kept.size());
}

void PlainRegular(const Options& options, const std::vector<PlainBox>& boxes, const float* scores,
                  size_t columns, PlainDetections* out) {
  struct Entry {
    size_t box, class_index, place;
    float score;
  };
  const size_t classes = static_cast<size_t>(options.num_classes);
  const size_t limit = static_cast<size_t>(options.max_detections);
  const size_t per_class =
      std::min(limit, static_cast<size_t>(std::max(options.detections_per_class, 0)));
  std::vector<Entry> all;
  for (size_t c = 0; c < classes; ++c) {
    std::vector<float> own;
    for (size_t i = 0; i < boxes.size(); ++i)
      own.push_back(scores[i * columns + columns - classes + c]);
    for (size_t box :
         PlainNms(boxes, own, options.nms_iou_threshold, options.nms_score_threshold, per_class)) {
      all.push_back({box, c, all.size(), own[box]});
    }
  }
  std::sort(all.begin(), all.end(), [](const Entry& a, const Entry& b) {
    return a.score != b.score ? a.score > b.score : a.place < b.place;
  });
  if (all.size() > limit) all.resize(limit);
  Writer writer(out, boxes);
  for (size_t slot = 0; slot < all.size(); ++slot) {
    writer.Write(slot, all[slot].box, all[slot].class_index, all[slot].score);
  }
  out->count = static_cast<int>(all.size());
}

}  // namespace

std::vector<float> PlainValues(const TensorDesc& desc, const void* data, size_t count) {
  std::vector<float> values(count);
  if (desc.dtype == DType::kFloat32) {
    if (count > 0) std::memcpy(values.data(), data, count * sizeof(float));
    return values;
  }
  const bool blocks = desc.dequantization == Dequantization::kBlocksOfEight;
  const size_t whole = blocks ? count / 8 * 8 : 0;
  const float zero_point = static_cast<float>(desc.zero_point);
  for (size_t i = 0; i < count; ++i) {
    const float q = desc.dtype == DType::kInt8
                        ? static_cast<float>(static_cast<const int8_t*>(data)[i])
                        : static_cast<float>(static_cast<const uint8_t*>(data)[i]);
    values[i] = i < whole ? BlockValue(q, zero_point, desc.scale) : (q - zero_point) * desc.scale;
  }
  return values;
}

std::vector<PlainBox> PlainDecode(const Options& options, const std::vector<float>& encodings,
                                  size_t columns, const std::vector<float>& anchors) {
  std::vector<PlainBox> boxes;
  for (size_t i = 0; i < anchors.size() / 4; ++i) {
    const float* e = encodings.data() + i * columns;
    const double ay = anchors[4 * i], ax = anchors[4 * i + 1];
    const double ah = anchors[4 * i + 2], aw = anchors[4 * i + 3];
    const float yc = Centre(double{e[0]} / double{options.y_scale}, ah, ay);
    const float xc = Centre(double{e[1]} / double{options.x_scale}, aw, ax);
    const float hh =
        static_cast<float>(0.5 * std::exp(double{e[2]} / double{options.h_scale}) * ah);
    const float hw =
        static_cast<float>(0.5 * std::exp(double{e[3]} / double{options.w_scale}) * aw);
    boxes.push_back({yc - hh, xc - hw, yc + hh, xc + hw});
  }
  return boxes;
}

std::vector<size_t> PlainNms(const std::vector<PlainBox>& boxes, const std::vector<float>& scores,
                             float iou_threshold, float score_threshold, size_t limit) {
  std::vector<size_t> order;
  for (size_t i = 0; i < boxes.size(); ++i) {
    if (scores[i] >= score_threshold && !NegativeSize(boxes[i])) order.push_back(i);
  }
  std::sort(order.begin(), order.end(), [&scores](size_t i, size_t j) {
    return scores[i] != scores[j] ? scores[i] > scores[j] : i < j;
  });
  std::vector<bool> suppressed(order.size());
  std::vector<size_t> kept;
  for (size_t i = 0; i < order.size() && kept.size() < limit; ++i) {
    if (suppressed[i]) continue;
    kept.push_back(order[i]);
    for (size_t j = i + 1; j < order.size(); ++j) {
      if (Suppresses(boxes[order[i]], boxes[order[j]], iou_threshold)) suppressed[j] = true;
    }
  }
  return kept;
}

PlainDetections PlainPostprocess(const Options& options, const std::vector<PlainBox>& boxes,
                                 const std::vector<float>& scores, size_t class_columns) {
  const size_t slots = static_cast<size_t>(options.max_detections) *
                       static_cast<size_t>(options.max_classes_per_detection);
  PlainDetections out;
  out.boxes.resize(4 * slots);
  out.classes.resize(slots);
  out.scores.resize(slots);
  (options.use_regular_nms ? PlainRegular : PlainFast)(options, boxes, scores.data(), class_columns,
                                                       &out);
  return out;
}

}  // namespace fuzz
}  // namespace detops
