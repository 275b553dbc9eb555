// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

import CDetops

/// What libdetops refused, in its own words: what, where, got, expected.
public struct DetopsError: Error, CustomStringConvertible {
    public let description: String

    init(_ description: String) {
        self.description = description
    }
}

/// Calls a function that ends in `message, message_bytes` and turns its status into an error.
func withMessage(_ call: (UnsafeMutablePointer<CChar>, Int) -> detops_status) throws {
    let bytes = Int(DETOPS_MESSAGE_BYTES)
    let message = UnsafeMutablePointer<CChar>.allocate(capacity: bytes)
    message.initialize(repeating: 0, count: bytes)
    defer { message.deallocate() }
    if call(message, bytes) != DETOPS_OK {
        throw DetopsError(String(cString: message))
    }
}
