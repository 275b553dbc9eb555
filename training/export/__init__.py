# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""From a trained detector to .tflite files that have been run, scored and compared with it.

python -m training.export RUN_DIR --out DIR
"""

from training.export.detector_file import KINDS, export_detector, export_options
from training.export.parity import Limits, Parity

__all__ = ["KINDS", "Limits", "Parity", "export_detector", "export_options"]
