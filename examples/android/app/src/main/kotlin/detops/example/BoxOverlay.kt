// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

package detops.example

import android.content.Context
import android.graphics.Canvas
import android.graphics.Color
import android.graphics.Paint
import android.view.View

/** What the overlay draws for one frame. */
class Frame(
    val width: Int,
    val height: Int,
    val detections: List<Detection>,
    val labels: List<String>,
    val milliseconds: Float,
)

/** Boxes, labels, scores and the frame time, over a preview that fits the view and is centred. */
class BoxOverlay(context: Context) : View(context) {
    private val density = resources.displayMetrics.density
    private val outline =
        Paint().apply {
            color = Color.GREEN
            style = Paint.Style.STROKE
            strokeWidth = 3 * density
        }
    private val text =
        Paint(Paint.ANTI_ALIAS_FLAG).apply {
            color = Color.GREEN
            textSize = 16 * density
            setShadowLayer(4 * density, 0f, 0f, Color.BLACK)
        }
    private var frame: Frame? = null

    /** From the main thread. */
    fun show(frame: Frame) {
        this.frame = frame
        invalidate()
    }

    override fun onDraw(canvas: Canvas) {
        super.onDraw(canvas)
        val frame = frame ?: return
        val scale = minOf(width.toFloat() / frame.width, height.toFloat() / frame.height)
        val shownWidth = frame.width * scale
        val shownHeight = frame.height * scale
        val left = (width - shownWidth) / 2
        val top = (height - shownHeight) / 2
        frame.detections.zip(frame.labels) { detection, label ->
            val box = detection.box
            val x = left + box.xmin * shownWidth
            val y = top + box.ymin * shownHeight
            canvas.drawRect(
                x, y, left + box.xmax * shownWidth, top + box.ymax * shownHeight, outline,
            )
            val score = "%.0f %%".format(detection.score * 100)
            canvas.drawText("$label $score", x, y - 6 * density, text)
        }
        val time = "%.1f ms".format(frame.milliseconds)
        canvas.drawText(time, left + 8 * density, top + shownHeight - 8 * density, text)
    }
}
