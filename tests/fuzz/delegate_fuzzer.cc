// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

// The delegate on any graph that a runtime would build: DEQUANTIZE, RESHAPE, the op and others,
// wired at random. What is claimed must not be needed by anybody else, and the kernels that come of
// it are prepared and invoked, twice, with other shapes the second time. Tensors that stay within a
// kernel point to memory that is no longer theirs.
#include <algorithm>
#include <cstring>
#include <memory>

#include "fuzz/draws.h"
#include "fuzz/expect.h"
#include "fuzz/fuzz_input.h"
#include "fuzz/option_block.h"
#include "fuzz/played_tensors.h"
#include "tflite_ops/delegate.h"
#include "tflite_ops/postprocess_op.h"

namespace detops {
namespace fuzz {
namespace {

using Ints = std::vector<int>;

// Feeds of the op come first, so that random wires meet something that fits.
constexpr int kTensors = 15;
// Boxes, scores, anchors, the shape of a RESHAPE, anything: tensor i has role i % kRoles.
constexpr int kRoles = 5;
constexpr int kShapeRole = 3;
constexpr int kAnchors = 6;
constexpr int kClasses = 3;

struct PlayedNode {
  TfLiteNode node = {};
  TfLiteRegistration registration = {};
  TfLiteDelegateParams params = {};
};

TfLiteIntArray* Keep(std::vector<TfLiteIntArray*>* arrays, const Ints& values) {
  arrays->push_back(MakeIntArray(values));
  return arrays->back();
}

class PlayedGraph {
 public:
  explicit PlayedGraph(FuzzInput* input) : input_(input), tensors_(kTensors) {
    TfLiteContext* context = tensors_.context();
    context->GetExecutionPlan = GetExecutionPlan;
    context->GetNodeAndRegistration = GetNodeAndRegistration;
    context->PreviewDelegatePartitioning = Preview;
    context->ReplaceNodeSubsetsWithDelegateKernels = Replace;
    current_ = this;
    block_ = OptionBlock(DrawOptions(input, kClasses));
    if (input->OneIn(16) && !block_.empty()) block_[input->Byte() % block_.size()] = input->Byte();
    for (int i = 0; i < kTensors; ++i) DrawTensor(i);
    const int nodes = input->Range(1, 9);
    for (int i = 0; i < nodes; ++i) AddNode();
    Ints plan;
    for (int i = 0; i < static_cast<int>(nodes_.size()); ++i) plan.push_back(i);
    plan_ = Keep(&arrays_, plan);
    for (int i = 0; i < kTensors; ++i) is_graph_output_[i] = input->OneIn(8);
  }
  ~PlayedGraph() {
    for (TfLiteIntArray* array : arrays_) std::free(array);
  }
  PlayedGraph(const PlayedGraph&) = delete;
  PlayedGraph& operator=(const PlayedGraph&) = delete;

  void Apply() {
    TfLiteDelegate* delegate = CreateDelegate();
    const TfLiteStatus status = delegate->Prepare(tensors_.context(), delegate);
    const DelegateReport report = ReportOf(delegate);
    FUZZ_EXPECT(report.postprocess_nodes >= 0 && report.dequantize_nodes >= 0, "a report");
    // Kernels must not need the delegate.
    DestroyDelegate(delegate);
    if (status == kTfLiteOk) RunKernels();
    // Other shapes, types and values for the same kernels.
    if (status == kTfLiteOk && input_->left() > 0) {
      for (int i = 0; i < kTensors; ++i) DrawTensor(i);
      RunKernels();
    }
    FreeKernels();
  }

 private:
  struct Kernel {
    TfLiteRegistration registration;
    TfLiteNode node = {};
    Ints members;
  };

  void DrawTensor(int i) {
    const int role = i % kRoles;
    const Ints shapes[] = {{1, kAnchors, 4}, {1, kAnchors, kClasses + 1}, {kAnchors, 4}, {3}, {}};
    Ints dims = shapes[role];
    const int how = input_->Range(0, 31);
    const size_t rank = how == 31 ? static_cast<size_t>(input_->Range(0, 9)) : 0;
    if (how == 31) dims.assign(rank, input_->Range(0, 3));
    if (how == 30) dims.assign(static_cast<size_t>(input_->Range(3, 8)), 1 << 30);
    if (how == 29 && dims.size() > 1) std::swap(dims[0], dims[1]);
    if (how == 28) dims = {kAnchors * 4};
    const TfLiteType types[] = {kTfLiteFloat32, kTfLiteUInt8, kTfLiteInt8, kTfLiteInt16};
    const int type = input_->Range(0, 15);
    PlayedQuantization quantization;
    quantization.kind =
        input_->OneIn(16) ? PlayedQuantization::Kind::kNone : PlayedQuantization::Kind::kAffine;
    const size_t scales = input_->OneIn(16) ? 2 : 1;
    quantization.scales.assign(scales, DrawScale(input_));
    quantization.zero_points.assign(1, input_->Range(-128, 127));
    const bool is_shape = role == kShapeRole && !input_->OneIn(16);
    tensors_.Describe(static_cast<size_t>(i),
                      is_shape ? kTfLiteInt32 : types[type == 15 ? 3 : type % 3], dims,
                      quantization);
    TfLiteTensor& tensor = tensors_[static_cast<size_t>(i)];
    tensor.allocation_type = is_shape != input_->OneIn(8) ? kTfLiteMmapRo : kTfLiteArenaRw;
    Fill(i, is_shape);
  }

  void Fill(int i, bool is_shape) {
    const size_t bytes = tensors_.Allocate(static_cast<size_t>(i), DrawPlace(input_));
    TfLiteTensor& tensor = tensors_[static_cast<size_t>(i)];
    NumberStream stream(static_cast<uint64_t>(i));
    for (size_t b = 0; b < bytes; ++b) tensor.data.uint8[b] = static_cast<uint8_t>(stream.Next());
    if (!is_shape) return;
    const int usual[][3] = {{1, kAnchors, 4}, {1, -1, kClasses + 1}, {1, -1, 4}};
    const int* shape = usual[input_->Range(0, 2)];
    for (size_t d = 0; d < std::min<size_t>(3, bytes / sizeof(int)); ++d) {
      const int dim = input_->OneIn(16) ? static_cast<int>(input_->Word()) : shape[d];
      std::memcpy(tensor.data.uint8 + d * sizeof(int), &dim, sizeof(dim));
    }
  }

  int DrawIndex() { return input_->OneIn(16) ? -1 : input_->Range(0, kTensors - 1); }

  // Mostly a tensor of the role, or what one of the last nodes wrote: graphs wired blindly hardly
  // ever hold a whole path.
  int DrawInput(int role) {
    const int how = input_->Range(0, 15);
    if (how == 15) return DrawIndex();
    if (how >= 7 && !written_.empty() && role != kShapeRole) {
      const size_t back = input_->Byte() % std::min<size_t>(4, written_.size());
      return written_[written_.size() - 1 - back];
    }
    return role + kRoles * input_->Range(0, kTensors / kRoles - 1);
  }

  Ints DrawInputs(const Ints& roles) {
    Ints indices;
    for (int role : roles) indices.push_back(DrawInput(role));
    if (input_->OneIn(32)) indices.resize(static_cast<size_t>(input_->Range(0, 6)), 0);
    return indices;
  }

  Ints DrawOutputs(int usual) {
    const int count = input_->OneIn(32) ? input_->Range(0, 6) : usual;
    Ints indices;
    for (int i = 0; i < count; ++i) indices.push_back(DrawIndex());
    written_.insert(written_.end(), indices.begin(), indices.end());
    return indices;
  }

  void AddNode() {
    TfLiteRegistration registration = {};
    Ints roles = {input_->Range(0, 2)};
    int outputs = 1;
    const int kind = input_->Byte();
    switch (kind % 8) {
      case 0:
      case 1:
      case 2: registration.builtin_code = kTfLiteBuiltinDequantize; break;
      case 3:
        registration.builtin_code = kTfLiteBuiltinReshape;
        roles.push_back(kShapeRole);
        break;
      case 4:
      case 5:
        registration = OfTheOp();
        roles = {0, 1, 2};
        outputs = 4;
        break;
      case 6:
        registration.builtin_code = kTfLiteBuiltinCustom;
        registration.custom_name = input_->OneIn(2) ? kDelegateName : nullptr;
        break;
      default: break;
    }
    const Ints inputs = DrawInputs(roles);
    PlayedNode& played = Append(registration, inputs, DrawOutputs(outputs));
    if (registration.custom_name == kDelegateName && input_->OneIn(2)) {
      played.params.nodes_to_replace = Keep(&arrays_, {DrawIndex() % 3, 0});
      played.node.builtin_data = &played.params;
    }
    if (kind % 8 == 7 && kind > 127) AppendChain();
  }

  static TfLiteRegistration OfTheOp() {
    TfLiteRegistration registration = {};
    registration.builtin_code = kTfLiteBuiltinCustom;
    registration.custom_name = kPostprocessOpName;
    return registration;
  }

  PlayedNode& Append(const TfLiteRegistration& registration, const Ints& inputs,
                     const Ints& outputs) {
    nodes_.push_back(std::unique_ptr<PlayedNode>(new PlayedNode));
    PlayedNode& played = *nodes_.back();
    played.registration = registration;
    played.node.inputs = Keep(&arrays_, inputs);
    played.node.outputs = Keep(&arrays_, outputs);
    played.node.custom_initial_data = block_.data();
    played.node.custom_initial_data_size = static_cast<int>(block_.size());
    return played;
  }

  // DEQUANTIZE, RESHAPE and the op, which wires drawn one by one hardly ever put in a row.
  void AppendChain() {
    const int role = input_->Range(0, 1), third = kRoles * input_->Range(0, 2);
    const int dequantized = kRoles - 1, reshaped = 2 * kRoles - 1;  // tensors of any shape
    TfLiteRegistration registration = {};
    registration.builtin_code = kTfLiteBuiltinDequantize;
    Append(registration, {role}, {dequantized});
    registration.builtin_code = kTfLiteBuiltinReshape;
    Append(registration, {dequantized, kShapeRole + third}, {reshaped});
    Ints inputs = {0, 1, 2};
    inputs[static_cast<size_t>(role)] = reshaped;
    Append(OfTheOp(), inputs, DrawOutputs(4));
  }

  // Partitions as a runtime makes them of a list of nodes: stretches of the plan without a gap,
  // each with the tensors that somebody outside sees.
  std::vector<TfLiteDelegateParams> Partition(const TfLiteIntArray& claimed) {
    std::vector<TfLiteDelegateParams> partitions;
    for (int first = 0; first < claimed.size;) {
      Ints members = {claimed.data[first++]};
      while (first < claimed.size && claimed.data[first] == members.back() + 1) {
        members.push_back(claimed.data[first++]);
      }
      TfLiteDelegateParams partition = {};
      partition.nodes_to_replace = Keep(&arrays_, members);
      partition.input_tensors = Keep(&arrays_, {});
      partition.output_tensors = Keep(&arrays_, Leaving(members));
      partitions.push_back(partition);
    }
    return partitions;
  }

  Ints Leaving(const Ints& members) const {
    Ints leaving;
    for (int member : members) {
      const TfLiteIntArray& outputs = *nodes_[static_cast<size_t>(member)]->node.outputs;
      for (int i = 0; i < outputs.size; ++i) {
        if (outputs.data[i] >= 0 && SeenOutside(outputs.data[i], members)) {
          leaving.push_back(outputs.data[i]);
        }
      }
    }
    return leaving;
  }

  bool SeenOutside(int tensor, const Ints& members) const {
    if (is_graph_output_[tensor]) return true;
    for (int n = 0; n < static_cast<int>(nodes_.size()); ++n) {
      if (std::find(members.begin(), members.end(), n) != members.end()) continue;
      const TfLiteIntArray& inputs = *nodes_[static_cast<size_t>(n)]->node.inputs;
      if (std::find(inputs.data, inputs.data + inputs.size, tensor) != inputs.data + inputs.size) {
        return true;
      }
    }
    return false;
  }

  void Take(const TfLiteRegistration& registration, const TfLiteIntArray& claimed) {
    partitions_ = Partition(claimed);
    for (TfLiteDelegateParams& partition : partitions_) {
      const Ints members(partition.nodes_to_replace->data,
                         partition.nodes_to_replace->data + partition.nodes_to_replace->size);
      for (int member : members) {
        const PlayedNode& played = *nodes_[static_cast<size_t>(member)];
        if (played.registration.builtin_code == kTfLiteBuiltinCustom) continue;
        const int written = played.node.outputs->data[0];
        FUZZ_EXPECT(!SeenOutside(written, members), "tensor %d of node %d is seen outside", written,
                    member);
      }
      Kernel kernel;
      kernel.registration = registration;
      kernel.members = members;
      kernel.node.inputs = partition.input_tensors;
      kernel.node.outputs = partition.output_tensors;
      kernel.node.user_data =
          registration.init(tensors_.context(), reinterpret_cast<const char*>(&partition), 0);
      kernels_.push_back(kernel);
    }
  }

  void RunKernels() {
    for (Kernel& kernel : kernels_) {
      const TfLiteStatus prepared = kernel.registration.prepare(tensors_.context(), &kernel.node);
      FUZZ_EXPECT(tensors_.TakeComplaint() == (prepared != kTfLiteOk), "status %d", prepared);
      if (prepared == kTfLiteOk) TakeInnerMemory(kernel);
      for (int frame = 0; frame < 2; ++frame) {
        const TfLiteStatus invoked = kernel.registration.invoke(tensors_.context(), &kernel.node);
        FUZZ_EXPECT(tensors_.TakeComplaint() == (invoked != kTfLiteOk), "status %d", invoked);
        FUZZ_EXPECT(prepared == kTfLiteOk || invoked != kTfLiteOk, "it ran unprepared");
      }
    }
  }

  // What no node outside sees gets no memory from a runtime, and may point to what it had before.
  void TakeInnerMemory(const Kernel& kernel) {
    const TfLiteIntArray& seen = *kernel.node.outputs;
    for (int member : kernel.members) {
      const TfLiteIntArray& outputs = *nodes_[static_cast<size_t>(member)]->node.outputs;
      for (int i = 0; i < outputs.size; ++i) {
        const int tensor = outputs.data[i];
        const int* end = seen.data + seen.size;
        if (tensor < 0 || std::find(seen.data, end, tensor) != end) continue;
        tensors_.TakeMemory(static_cast<size_t>(tensor));
      }
    }
  }

  void FreeKernels() {
    for (Kernel& kernel : kernels_) {
      kernel.registration.free(tensors_.context(), kernel.node.user_data);
    }
  }

  static TfLiteStatus GetExecutionPlan(TfLiteContext*, TfLiteIntArray** plan) {
    *plan = current_->plan_;
    return kTfLiteOk;
  }
  static TfLiteStatus GetNodeAndRegistration(TfLiteContext*, int index, TfLiteNode** node,
                                             TfLiteRegistration** registration) {
    if (index < 0 || static_cast<size_t>(index) >= current_->nodes_.size()) return kTfLiteError;
    PlayedNode& played = *current_->nodes_[static_cast<size_t>(index)];
    *node = &played.node;
    *registration = &played.registration;
    return kTfLiteOk;
  }
  static TfLiteStatus Preview(TfLiteContext*, const TfLiteIntArray* claimed,
                              TfLiteDelegateParams** partitions, int* count) {
    current_->previewed_ = current_->Partition(*claimed);
    *partitions = current_->previewed_.data();
    *count = static_cast<int>(current_->previewed_.size());
    return kTfLiteOk;
  }
  static TfLiteStatus Replace(TfLiteContext*, TfLiteRegistration registration,
                              const TfLiteIntArray* claimed, TfLiteDelegate*) {
    current_->Take(registration, *claimed);
    return kTfLiteOk;
  }

  // The context's own pointer leads to the tensors.
  static PlayedGraph* current_;

  FuzzInput* input_;
  PlayedTensors tensors_;
  std::vector<uint8_t> block_;
  Ints written_;
  std::vector<std::unique_ptr<PlayedNode>> nodes_;
  std::vector<TfLiteIntArray*> arrays_;
  TfLiteIntArray* plan_ = nullptr;
  bool is_graph_output_[kTensors] = {};
  std::vector<TfLiteDelegateParams> previewed_, partitions_;
  std::vector<Kernel> kernels_;
};

PlayedGraph* PlayedGraph::current_ = nullptr;

}  // namespace
}  // namespace fuzz
}  // namespace detops

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  detops::fuzz::FuzzInput input(data, size);
  detops::fuzz::PlayedGraph graph(&input);
  graph.Apply();
  return 0;
}
