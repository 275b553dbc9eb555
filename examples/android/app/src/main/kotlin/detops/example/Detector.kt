// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

package detops.example

import android.content.res.AssetManager
import android.graphics.Bitmap
import android.graphics.Canvas
import android.graphics.Paint
import android.graphics.Rect
import java.nio.ByteBuffer
import java.nio.ByteOrder
import org.tensorflow.lite.DataType
import org.tensorflow.lite.Interpreter

/**
 * From a picture to detections, with a model that has one uint8 picture as its input and ends in the
 * op. Not for use from two threads at once.
 *
 * @throws IllegalArgumentException the model is another one
 */
class Detector(assets: AssetManager, modelName: String, labelsName: String) : AutoCloseable {
    private val labels = assets.open(labelsName).bufferedReader().use { it.readLines() }
    private val delegate = DetopsDelegate()
    private val interpreter = open(readModel(assets, modelName), delegate)

    private val side: Int
    private val input: ByteBuffer
    private val boxes: Array<Array<FloatArray>>
    private val classes: Array<FloatArray>
    private val scores: Array<FloatArray>
    private val count = FloatArray(1)

    private val square: Bitmap
    private val pixels: IntArray
    private val smooth = Paint(Paint.FILTER_BITMAP_FLAG)

    init {
        val shape = interpreter.getInputTensor(0).shape()
        val type = interpreter.getInputTensor(0).dataType()
        require(
            type == DataType.UINT8 && shape.size == 4 && shape[1] == shape[2] && shape[3] == 3
        ) {
            "the input is $type ${shape.contentToString()}, expected UINT8 [1, side, side, 3]"
        }
        side = shape[1]
        input = ByteBuffer.allocateDirect(side * side * 3).order(ByteOrder.nativeOrder())
        square = Bitmap.createBitmap(side, side, Bitmap.Config.ARGB_8888)
        pixels = IntArray(side * side)

        val found = interpreter.getOutputTensor(0).shape()
        require(interpreter.outputTensorCount == 4 && found.size == 3 && found[2] == 4) {
            "output 0 is ${found.contentToString()} of ${interpreter.outputTensorCount}, " +
                "expected boxes [1, detections, 4] of 4: boxes, classes, scores, count"
        }
        boxes = Array(1) { Array(found[1]) { FloatArray(4) } }
        classes = Array(1) { FloatArray(found[1]) }
        scores = Array(1) { FloatArray(found[1]) }
    }

    /** What is in an upright picture of any size, best first. */
    fun detect(picture: Bitmap, threshold: Float = 0.5f): List<Detection> {
        fillInput(picture)
        val outputs = mapOf<Int, Any>(0 to boxes, 1 to classes, 2 to scores, 3 to count)
        interpreter.runForMultipleInputsOutputs(arrayOf<Any>(input), outputs)
        return (0 until count[0].toInt())
            .filter { scores[0][it] >= threshold }
            .map { slot ->
                val (ymin, xmin, ymax, xmax) = boxes[0][slot]
                Detection(classes[0][slot].toInt(), scores[0][slot], Box(ymin, xmin, ymax, xmax))
            }
    }

    fun label(detection: Detection): String =
        labels.getOrElse(detection.classIndex) { "class ${detection.classIndex}" }

    override fun close() {
        interpreter.close()
        delegate.close()
    }

    /** Squeezes the whole picture into the square, as in training, so fractions stay fractions. */
    private fun fillInput(picture: Bitmap) {
        Canvas(square).drawBitmap(picture, null, Rect(0, 0, side, side), smooth)
        square.getPixels(pixels, 0, side, 0, 0, side, side)
        input.rewind()
        for (pixel in pixels) {
            input.put((pixel shr 16).toByte()).put((pixel shr 8).toByte()).put(pixel.toByte())
        }
        input.rewind()
    }

    private companion object {
        fun open(model: ByteBuffer, delegate: DetopsDelegate): Interpreter =
            try {
                Interpreter(model, Interpreter.Options().setNumThreads(4).addDelegate(delegate))
            } catch (refused: RuntimeException) {
                delegate.close()
                throw refused
            }

        fun readModel(assets: AssetManager, name: String): ByteBuffer {
            val bytes = assets.open(name).use { it.readBytes() }
            val model = ByteBuffer.allocateDirect(bytes.size).order(ByteOrder.nativeOrder())
            model.put(bytes).rewind()
            return model
        }
    }
}
