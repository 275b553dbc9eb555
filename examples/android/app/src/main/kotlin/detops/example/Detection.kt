// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

package detops.example

/** Corners as fractions of the picture, as the model gave them: not clipped. */
data class Box(val ymin: Float, val xmin: Float, val ymax: Float, val xmax: Float)

/** One object. Classes count from 0, without the background. */
data class Detection(val classIndex: Int, val score: Float, val box: Box)
