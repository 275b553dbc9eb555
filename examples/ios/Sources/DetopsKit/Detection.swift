// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

/// One object. Classes count from 0, without the background; the corners are in the units of the
/// anchors, usually fractions of the picture, and not clipped.
public struct Detection: Equatable {
    public let classIndex: Int
    public let score: Float
    public let ymin, xmin, ymax, xmax: Float

    public init(
        classIndex: Int, score: Float, ymin: Float, xmin: Float, ymax: Float, xmax: Float
    ) {
        self.classIndex = classIndex
        self.score = score
        self.ymin = ymin
        self.xmin = xmin
        self.ymax = ymax
        self.xmax = xmax
    }
}
