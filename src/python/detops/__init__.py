# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""TFLite_Detection_PostProcess done right: exact, fast, native int8, for TFLite and LiteRT.

    import detops
    detops.register_ops(interpreter)   # before allocate_tensors()

Importing this package imports NumPy and nothing else.
"""

# Before what takes time to import.
from detops import quiet_interrupt  # noqa: F401  # isort: skip
from detops._core import __version__
from detops.anchors import multiscale_anchors, ssd_anchors
from detops.boxes import batched_nms, decode_boxes, iou, nms
from detops.cpu import CpuFeatures, cpu_features
from detops.interpreter import Interpreter, load_delegate
from detops.options import Options
from detops.postprocessing import Detections, postprocess
from detops.registrar import Registration, delegate_path, register_ops

__all__ = [
    "CpuFeatures",
    "Detections",
    "Interpreter",
    "Options",
    "Registration",
    "__version__",
    "batched_nms",
    "cpu_features",
    "decode_boxes",
    "delegate_path",
    "iou",
    "load_delegate",
    "multiscale_anchors",
    "nms",
    "postprocess",
    "register_ops",
    "ssd_anchors",
]
