// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

package detops.example

import java.nio.ByteBuffer

/** The functions of detops_jni.cc. Handles are 0 once closed, and never used from two threads. */
internal object NativeDetops {
    init {
        System.loadLibrary("detops_jni")
    }

    external fun delegateCreate(): Long

    external fun delegateDestroy(delegate: Long)

    /** The last four have three elements each: box encodings, scores, anchors. */
    external fun postprocessorCreate(
        numClasses: Int,
        maxDetections: Int,
        maxClassesPerDetection: Int,
        detectionsPerClass: Int,
        useRegularNms: Boolean,
        scoreThreshold: Float,
        iouThreshold: Float,
        boxScales: FloatArray,
        types: IntArray,
        shapes: Array<IntArray>,
        scales: FloatArray,
        zeroPoints: IntArray,
    ): Long

    external fun postprocessorBatch(postprocessor: Long): Int

    external fun postprocessorSlots(postprocessor: Long): Int

    external fun postprocessorRun(
        postprocessor: Long,
        boxEncodings: ByteBuffer,
        scores: ByteBuffer,
        anchors: ByteBuffer,
        boxes: FloatArray,
        classes: FloatArray,
        detectionScores: FloatArray,
        counts: FloatArray,
    )

    external fun postprocessorDestroy(postprocessor: Long)
}
