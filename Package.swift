// swift-tools-version:5.9
// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

// At the root, because a package reaches nothing above its manifest, and because Swift finds a
// package of a git address only there. See examples/ios.
import PackageDescription

let package = Package(
    name: "detops",
    platforms: [.iOS(.v12), .macOS(.v10_13)],
    products: [
        .library(name: "DetopsKit", targets: ["DetopsKit"]),
        .library(name: "CDetops", targets: ["CDetops"]),
    ],
    targets: [
        // Swift packages cannot give a single file flags: the kernels that need some stay out.
        .target(
            name: "CDetops",
            path: "src/cc",
            exclude: [
                "CMakeLists.txt",
                "kernels/avx2_kernels.cc",
                "kernels/avx512_kernels.cc",
                "kernels/kernel_sets.inc",
                "tflite_ops/plugin.cc",
            ],
            sources: [
                "c_api/boxes_api.cc",
                "c_api/conversions.cc",
                "c_api/litert_api.cc",
                "c_api/litert_kernel.cc",
                "c_api/messages.cc",
                "c_api/postprocessor_api.cc",
                "c_api/registration_api.cc",
                "kernels/box_coder.cc",
                "kernels/box_decoding.cc",
                "kernels/candidate_queue.cc",
                "kernels/candidate_scan.cc",
                "kernels/checks.cc",
                "kernels/class_ranking.cc",
                "kernels/cpu_features.cc",
                "kernels/dequantize.cc",
                "kernels/fast_mode.cc",
                "kernels/faults.cc",
                "kernels/kept_boxes.cc",
                "kernels/kernel_set.cc",
                "kernels/neon_kernels.cc",
                "kernels/nms.cc",
                "kernels/postprocessor.cc",
                "kernels/regular_mode.cc",
                "kernels/scalar_kernels.cc",
                "kernels/sse2_kernels.cc",
                "kernels/threshold_plan.cc",
                "tflite_ops/abi_offsets.cc",
                "tflite_ops/delegate.cc",
                "tflite_ops/delegate_kernel.cc",
                "tflite_ops/flexbuffer.cc",
                "tflite_ops/input_trace.cc",
                "tflite_ops/node_claim.cc",
                "tflite_ops/op_options.cc",
                "tflite_ops/postprocess_node.cc",
                "tflite_ops/postprocess_op.cc",
                "tflite_ops/stuck_node.cc",
                "tflite_ops/tensor_desc.cc",
            ],
            publicHeadersPath: "include",
            cxxSettings: [
                .headerSearchPath("."),
                .headerSearchPath("../../third_party/litert_abi"),
                .headerSearchPath("../../third_party/tflite_abi"),
                .define("DETOPS_BASELINE_KERNELS"),
                .define("DETOPS_VERSION", to: "\"0.1.0\""),
            ]
        ),
        .target(name: "DetopsKit", dependencies: ["CDetops"], path: "examples/ios/Sources/DetopsKit"),
    ],
    cxxLanguageStandard: .cxx17
)
