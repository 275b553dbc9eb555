// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

import CDetops

/// Gives a TensorFlow Lite interpreter the op of detops.
///
/// It takes every TFLite_Detection_PostProcess of the model and the DEQUANTIZE nodes in front of it.
/// Add it before other delegates. It may serve many interpreters.
public final class DetopsDelegate {
    /// A `TfLiteDelegate*`, valid as long as this object. TensorFlowLiteSwift and TensorFlowLiteC
    /// want it as `UnsafeMutablePointer<TfLiteDelegate>(pointer)`.
    public let pointer: OpaquePointer

    /// - Throws: `DetopsError` when there is no memory.
    public init() throws {
        guard let made = detops_delegate_create() else {
            throw DetopsError("no memory for a delegate")
        }
        pointer = made
    }

    deinit {
        detops_delegate_destroy(pointer)
    }
}
