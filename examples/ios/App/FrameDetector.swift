// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

// To be copied into an app that has DetopsKit and the pod TensorFlowLiteSwift.
import Accelerate
import CoreVideo
import DetopsKit
import Foundation
import TensorFlowLite

extension DetopsDelegate: Delegate {
    public var cDelegate: CDelegate { CDelegate(pointer) }
}

/// From a camera frame to detections, with a model that has one square uint8 picture as its input
/// and ends in the op. Not for use from two threads at once.
final class FrameDetector {
    private let interpreter: Interpreter
    private let side: Int

    init(modelPath: String) throws {
        interpreter = try Interpreter(modelPath: modelPath, delegates: [try DetopsDelegate()])
        try interpreter.allocateTensors()
        side = try interpreter.input(at: 0).shape.dimensions[1]
    }

    /// What is in an upright frame of `kCVPixelFormatType_32BGRA`, best first.
    func detect(in frame: CVPixelBuffer, threshold: Float = 0.5) throws -> [Detection] {
        try interpreter.copy(squeezed(frame), toInputAt: 0)
        try interpreter.invoke()
        let (boxes, classes) = try (floats(at: 0), floats(at: 1))
        let (scores, count) = try (floats(at: 2), floats(at: 3))
        return (0..<Int(count[0])).filter { scores[$0] >= threshold }.map { slot in
            Detection(
                classIndex: Int(classes[slot]), score: scores[slot],
                ymin: boxes[slot * 4], xmin: boxes[slot * 4 + 1],
                ymax: boxes[slot * 4 + 2], xmax: boxes[slot * 4 + 3])
        }
    }

    private func floats(at output: Int) throws -> [Float] {
        try interpreter.output(at: output).data.withUnsafeBytes {
            Array($0.bindMemory(to: Float.self))
        }
    }

    /// The whole frame in the square, as in training, so that fractions stay fractions; RGB.
    private func squeezed(_ frame: CVPixelBuffer) -> Data {
        CVPixelBufferLockBaseAddress(frame, .readOnly)
        defer { CVPixelBufferUnlockBaseAddress(frame, .readOnly) }
        var from = vImage_Buffer(
            data: CVPixelBufferGetBaseAddress(frame),
            height: vImagePixelCount(CVPixelBufferGetHeight(frame)),
            width: vImagePixelCount(CVPixelBufferGetWidth(frame)),
            rowBytes: CVPixelBufferGetBytesPerRow(frame))
        var bgra = [UInt8](repeating: 0, count: side * side * 4)
        bgra.withUnsafeMutableBytes { bytes in
            let pixels = vImagePixelCount(side)
            var to = vImage_Buffer(
                data: bytes.baseAddress, height: pixels, width: pixels, rowBytes: side * 4)
            vImageScale_ARGB8888(&from, &to, nil, vImage_Flags(kvImageNoFlags))
        }
        var rgb = [UInt8]()
        rgb.reserveCapacity(side * side * 3)
        for pixel in stride(from: 0, to: bgra.count, by: 4) {
            rgb.append(bgra[pixel + 2])
            rgb.append(bgra[pixel + 1])
            rgb.append(bgra[pixel])
        }
        return Data(rgb)
    }
}
