# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Weights to begin from: Keras weights, .npz archives, and published .tflite files.

report = load(detector, "mobilenet_v1_1.0_224_quant.tflite", images)
print(report)
"""

from training.warm_start.calibration import calibrate_batch_norm
from training.warm_start.load_report import LoadReport
from training.warm_start.loading import load

__all__ = ["LoadReport", "calibrate_batch_norm", "load"]
