// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

import CDetops

/// A dense tensor without its data.
public struct TensorSpec {
    /// An 8-bit value q stands for (q - zeroPoint) * scale.
    public enum Element {
        case float32
        case uint8(scale: Float, zeroPoint: Int32)
        case int8(scale: Float, zeroPoint: Int32)
    }

    public var element: Element
    public var shape: [Int32]

    public init(_ element: Element, shape: [Int32]) {
        self.element = element
        self.shape = shape
    }

    var elementBytes: Int {
        if case .float32 = element { return 4 }
        return 1
    }

    var cTensor: detops_tensor {
        var tensor = detops_tensor()
        // One dimension too many stays visible in the rank, which is then refused.
        tensor.rank = Int32(shape.count)
        let dims = shape.prefix(4) + [0, 0, 0, 0]
        tensor.dims = (dims[0], dims[1], dims[2], dims[3])
        switch element {
        case .float32:
            tensor.type = DETOPS_FLOAT32
        case let .uint8(scale, zeroPoint):
            (tensor.type, tensor.scale, tensor.zero_point) = (DETOPS_UINT8, scale, zeroPoint)
        case let .int8(scale, zeroPoint):
            (tensor.type, tensor.scale, tensor.zero_point) = (DETOPS_INT8, scale, zeroPoint)
        }
        return tensor
    }
}
