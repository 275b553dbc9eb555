# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""The whole op on NumPy arrays."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from detops import _core
from detops.arrays import Quantization, as_quantization, as_tensor
from detops.options import Options


class Detections(NamedTuple):
    """The four outputs of the op. M = max_detections * max_classes_per_detection; slots past the
    count are zero."""

    boxes: NDArray[np.float32]
    """[B, M, 4]: ymin, xmin, ymax, xmax."""
    classes: NDArray[np.float32]
    """[B, M]: 0-based, without the background."""
    scores: NDArray[np.float32]
    """[B, M]."""
    num_detections: NDArray[np.float32]
    """[B]: kept anchors in fast mode, detections in regular mode."""


def postprocess(
    box_encodings: NDArray[Any],
    scores: NDArray[Any],
    anchors: NDArray[Any],
    options: Options,
    *,
    box_quantization: Quantization | None = None,
    score_quantization: Quantization | None = None,
    anchor_quantization: Quantization | None = None,
    clip: bool = False,
) -> Detections:
    """Runs `TFLite_Detection_PostProcess`: the same bits as the op inside an interpreter.

    Each input may be float32, uint8 or int8, independently of the others.

    Args:
      box_encodings: [B, N, K >= 4], order y, x, h, w; columns past 4 are skipped.
      scores: [B, N, num_classes], or one more column in front for the background.
      anchors: [N, 4], centre y, centre x, height, width.
      options: the options of the op.
      box_quantization: (scale, zero_point), needed for 8-bit encodings; likewise the two below.
      clip: cut the reported corners to [0, 1] after suppression; the op itself never does.

    Returns:
      The four outputs.

    Raises:
      TypeError: a dtype other than the three, or options that are not of their types.
      ValueError: shapes, quantization or options that do not fit; the message says which.
    """
    if not isinstance(options, Options):
        raise TypeError(f"options is a {type(options).__name__}, expected detops.Options")
    detections = Detections(
        *_core.postprocess(
            as_tensor("box_encodings", box_encodings, (3,)),
            as_tensor("scores", scores, (3,)),
            as_tensor("anchors", anchors, (2,)),
            options,
            as_quantization("box_quantization", box_quantization),
            as_quantization("score_quantization", score_quantization),
            as_quantization("anchor_quantization", anchor_quantization),
        )
    )
    if clip:
        np.clip(detections.boxes, 0.0, 1.0, out=detections.boxes)
    return detections
