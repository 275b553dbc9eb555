// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

package detops.example

import java.nio.ByteBuffer

/** The options of TFLite_Detection_PostProcess; the defaults are those of the usual SSD export. */
data class PostprocessorOptions(
    val numClasses: Int,
    val maxDetections: Int = 10,
    val maxClassesPerDetection: Int = 1,
    val detectionsPerClass: Int = 100,
    val useRegularNms: Boolean = false,
    val scoreThreshold: Float = 0f,
    val iouThreshold: Float = 0.6f,
    val yScale: Float = 10f,
    val xScale: Float = 10f,
    val hScale: Float = 5f,
    val wScale: Float = 5f,
)

/** With the numbers of TFLite. */
enum class ElementType(internal val code: Int) {
    FLOAT32(1),
    UINT8(3),
    INT8(9),
}

/** A tensor without its data. An 8-bit value q stands for (q - zeroPoint) * scale. */
class TensorSpec(
    val type: ElementType,
    val shape: List<Int>,
    val scale: Float = 0f,
    val zeroPoint: Int = 0,
)

/**
 * The whole op for one set of shapes, for networks that run elsewhere (NNAPI, a vendor's library).
 *
 * @param boxEncodings [batch, anchors, 4 or more]: y, x, h, w
 * @param scores [batch, anchors, numClasses], or one column more, the background in front
 * @param anchors [anchors, 4]: centre y, centre x, height, width
 * @throws IllegalArgumentException what does not fit, where, what was expected
 */
class Postprocessor(
    private val options: PostprocessorOptions,
    boxEncodings: TensorSpec,
    scores: TensorSpec,
    anchors: TensorSpec,
) : AutoCloseable {
    private var handle = create(options, listOf(boxEncodings, scores, anchors))
    private val batch = NativeDetops.postprocessorBatch(handle)
    private val slots = NativeDetops.postprocessorSlots(handle)
    private val boxes = FloatArray(batch * slots * 4)
    private val classes = FloatArray(batch * slots)
    private val detectionScores = FloatArray(batch * slots)
    private val counts = FloatArray(batch)

    /**
     * The detections of each image. The buffers are direct, in native byte order, and are read from
     * their beginning whatever their position.
     *
     * @throws IllegalArgumentException a buffer is not direct, or too small for its shape
     * @throws IllegalStateException after [close]
     */
    @Synchronized
    fun run(
        boxEncodings: ByteBuffer,
        scores: ByteBuffer,
        anchors: ByteBuffer,
    ): List<List<Detection>> {
        NativeDetops.postprocessorRun(
            handle, boxEncodings, scores, anchors, boxes, classes, detectionScores, counts,
        )
        return List(batch) { image -> filledSlots(image).map(::detection) }
    }

    @Synchronized
    override fun close() {
        NativeDetops.postprocessorDestroy(handle)
        handle = 0L
    }

    /** In fast mode a counted anchor has a slot for each of its classes, of which some are empty. */
    private fun filledSlots(image: Int): List<Int> {
        val stride = if (options.useRegularNms) 1 else options.maxClassesPerDetection
        val filled = minOf(stride, options.numClasses)
        return (0 until counts[image].toInt()).flatMap { counted ->
            List(filled) { image * slots + counted * stride + it }
        }
    }

    private fun detection(slot: Int): Detection {
        val at = slot * 4
        val box = Box(boxes[at], boxes[at + 1], boxes[at + 2], boxes[at + 3])
        return Detection(classes[slot].toInt(), detectionScores[slot], box)
    }

    private companion object {
        fun create(options: PostprocessorOptions, tensors: List<TensorSpec>): Long =
            NativeDetops.postprocessorCreate(
                options.numClasses,
                options.maxDetections,
                options.maxClassesPerDetection,
                options.detectionsPerClass,
                options.useRegularNms,
                options.scoreThreshold,
                options.iouThreshold,
                floatArrayOf(options.yScale, options.xScale, options.hScale, options.wScale),
                IntArray(3) { tensors[it].type.code },
                Array(3) { tensors[it].shape.toIntArray() },
                FloatArray(3) { tensors[it].scale },
                IntArray(3) { tensors[it].zeroPoint },
            )
    }
}
