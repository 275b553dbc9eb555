// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

package detops.example

import android.Manifest
import android.os.Bundle
import android.os.SystemClock
import android.widget.FrameLayout
import android.widget.Toast
import androidx.activity.ComponentActivity
import androidx.activity.result.contract.ActivityResultContracts.RequestPermission
import androidx.camera.core.CameraSelector
import androidx.camera.core.ImageAnalysis
import androidx.camera.core.ImageProxy
import androidx.camera.core.Preview
import androidx.camera.core.resolutionselector.AspectRatioStrategy
import androidx.camera.core.resolutionselector.ResolutionSelector
import androidx.camera.lifecycle.ProcessCameraProvider
import androidx.camera.view.PreviewView
import androidx.core.content.ContextCompat
import java.util.concurrent.Executors

/** Draws boxes around the faces of cats and dogs that the camera sees. */
class MainActivity : ComponentActivity() {
    private lateinit var previewView: PreviewView
    private lateinit var overlay: BoxOverlay
    private lateinit var detector: Detector
    private val worker = Executors.newSingleThreadExecutor()

    // Both streams have the same proportions, so the fractions of one hold in the other.
    private val fourByThree =
        ResolutionSelector.Builder()
            .setAspectRatioStrategy(AspectRatioStrategy.RATIO_4_3_FALLBACK_AUTO_STRATEGY)
            .build()
    private val preview = Preview.Builder().setResolutionSelector(fourByThree).build()
    private val analysis =
        ImageAnalysis.Builder()
            .setResolutionSelector(fourByThree)
            .setOutputImageFormat(ImageAnalysis.OUTPUT_IMAGE_FORMAT_RGBA_8888)
            .setOutputImageRotationEnabled(true)
            .setBackpressureStrategy(ImageAnalysis.STRATEGY_KEEP_ONLY_LATEST)
            .build()

    private val permission =
        registerForActivityResult(RequestPermission()) { granted ->
            if (granted) {
                startCamera()
            } else {
                Toast.makeText(this, R.string.camera_needed, Toast.LENGTH_LONG).show()
                finish()
            }
        }

    override fun onCreate(savedInstanceState: Bundle?) {
        super.onCreate(savedInstanceState)
        detector = Detector(assets, "pet_faces.tflite", "labels.txt")
        previewView = PreviewView(this).apply { scaleType = PreviewView.ScaleType.FIT_CENTER }
        overlay = BoxOverlay(this)
        setContentView(
            FrameLayout(this).apply {
                addView(previewView)
                addView(overlay)
            }
        )
        // Answers at once when it was granted before.
        permission.launch(Manifest.permission.CAMERA)
    }

    override fun onDestroy() {
        analysis.clearAnalyzer()
        // Behind the frame that may be at work.
        worker.execute { detector.close() }
        worker.shutdown()
        super.onDestroy()
    }

    private fun startCamera() {
        val coming = ProcessCameraProvider.getInstance(this)
        coming.addListener({ bind(coming.get()) }, ContextCompat.getMainExecutor(this))
    }

    private fun bind(camera: ProcessCameraProvider) {
        if (isDestroyed) return
        preview.setSurfaceProvider(previewView.surfaceProvider)
        analysis.setAnalyzer(worker, ::analyze)
        camera.unbindAll()
        camera.bindToLifecycle(this, CameraSelector.DEFAULT_BACK_CAMERA, preview, analysis)
    }

    /** On the worker. The time is all of it: copy, squeeze, network and op. */
    private fun analyze(image: ImageProxy) {
        val started = SystemClock.elapsedRealtimeNanos()
        val picture = image.use { it.toBitmap() }
        val detections = detector.detect(picture)
        val milliseconds = (SystemClock.elapsedRealtimeNanos() - started) / 1e6f
        val frame =
            Frame(
                picture.width,
                picture.height,
                detections,
                detections.map(detector::label),
                milliseconds,
            )
        runOnUiThread { overlay.show(frame) }
    }
}
