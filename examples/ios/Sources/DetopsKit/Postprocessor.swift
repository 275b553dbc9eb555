// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

import CDetops

extension detops_options {
    /// The values of the usual SSD export, for so many classes without the background.
    public init(classes: Int32) {
        self.init()
        detops_options_init(&self)
        num_classes = classes
    }
}

/// The whole op for one set of shapes, for networks that run elsewhere (Core ML, Metal).
/// Not for use from two threads at once.
public final class Postprocessor {
    private let handle: OpaquePointer
    private let options: detops_options
    private let inputs: [(name: String, tensor: TensorSpec)]
    private let slots: Int
    private var boxes, classes, scores, counts: [Float]

    /// - Parameters:
    ///   - boxEncodings: [batch, anchors, 4 or more]: y, x, h, w
    ///   - scores: [batch, anchors, classes], or one column more, the background in front
    ///   - anchors: [anchors, 4]: centre y, centre x, height, width
    /// - Throws: `DetopsError`, which says what does not fit.
    public init(
        options: detops_options, boxEncodings: TensorSpec, scores: TensorSpec, anchors: TensorSpec
    ) throws {
        var (given, boxTensor) = (options, boxEncodings.cTensor)
        var (scoreTensor, anchorTensor) = (scores.cTensor, anchors.cTensor)
        var made: OpaquePointer?
        try withMessage { message, bytes in
            detops_postprocessor_create(
                &given, &boxTensor, &scoreTensor, &anchorTensor, &made, message, bytes)
        }
        guard let created = made else { throw DetopsError("no postprocessor was made") }
        handle = created
        self.options = options
        inputs = [("boxEncodings", boxEncodings), ("scores", scores), ("anchors", anchors)]
        slots = Int(detops_postprocessor_slots(created))
        let batch = Int(detops_postprocessor_batch(created))
        boxes = Array(repeating: 0, count: batch * slots * 4)
        classes = Array(repeating: 0, count: batch * slots)
        self.scores = Array(repeating: 0, count: batch * slots)
        counts = Array(repeating: 0, count: batch)
    }

    deinit {
        detops_postprocessor_destroy(handle)
    }

    /// The detections of each image.
    ///
    /// - Throws: `DetopsError` when a buffer is smaller than its shape.
    public func run(
        boxEncodings: UnsafeRawBufferPointer,
        scores scoreValues: UnsafeRawBufferPointer,
        anchors: UnsafeRawBufferPointer
    ) throws -> [[Detection]] {
        for (input, buffer) in zip(inputs, [boxEncodings, scoreValues, anchors]) {
            let elements = input.tensor.shape.reduce(1) { $0 * Int($1) }
            // The elements of three dimensions can be counted, their bytes perhaps not.
            guard elements <= buffer.count / input.tensor.elementBytes else {
                throw DetopsError(
                    "\(input.name) holds \(buffer.count) bytes, "
                        + "expected \(elements) elements of \(input.tensor.elementBytes) bytes")
            }
        }
        try withMessage { message, bytes in
            detops_postprocessor_run(
                handle, boxEncodings.baseAddress, scoreValues.baseAddress, anchors.baseAddress,
                &boxes, &classes, &scores, &counts, message, bytes)
        }
        return counts.indices.map { image in filledSlots(of: image).map(detection) }
    }

    /// In fast mode a counted anchor has a slot for each of its classes, of which some are empty.
    private func filledSlots(of image: Int) -> [Int] {
        let stride = options.use_regular_nms ? 1 : Int(options.max_classes_per_detection)
        let filled = min(stride, Int(options.num_classes))
        return (0..<Int(counts[image])).flatMap { counted in
            (0..<filled).map { image * slots + counted * stride + $0 }
        }
    }

    private func detection(slot: Int) -> Detection {
        Detection(
            classIndex: Int(classes[slot]), score: scores[slot],
            ymin: boxes[slot * 4], xmin: boxes[slot * 4 + 1],
            ymax: boxes[slot * 4 + 2], xmax: boxes[slot * 4 + 3])
    }
}
