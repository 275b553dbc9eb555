# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Box decoding, IoU and non-maximum suppression on NumPy arrays, with the op's arithmetic.

Boxes are ymin, xmin, ymax, xmax. The GIL is released while the library works.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from detops import _core
from detops.arrays import (
    Quantization,
    as_array,
    as_count,
    as_float32,
    as_number,
    as_quantization,
    as_tensor,
)

_MAX_BOXES = 2**31 - 1


def decode_boxes(
    box_encodings: NDArray[Any],
    anchors: NDArray[Any],
    *,
    scales: tuple[float, float, float, float] = (10.0, 10.0, 5.0, 5.0),
    box_quantization: Quantization | None = None,
    anchor_quantization: Quantization | None = None,
    clip: bool = False,
) -> NDArray[np.float32]:
    """Turns box encodings and anchors into corners, bit for bit as the op does.

    centre = e / scale * anchor size + anchor centre, half size = 0.5 * exp(e / scale) * anchor
    size, in double, narrowed to float32 before the corners are formed (the coder of Faster R-CNN,
    Ren et al. 2015).

    Args:
      box_encodings: [N, K >= 4] or [B, N, K >= 4], y, x, h, w and K - 4 columns that are skipped;
        float32, uint8 or int8.
      anchors: [N, 4], centre y, centre x, height, width; float32, uint8 or int8.
      scales: y, x, h, w scales of the encodings.
      box_quantization: (scale, zero_point), needed for 8-bit encodings.
      anchor_quantization: likewise for 8-bit anchors.
      clip: cut the corners to [0, 1]; NaN stays NaN.

    Returns:
      float32 [N, 4] or [B, N, 4]: ymin, xmin, ymax, xmax in the units of the anchors.

    Raises:
      TypeError: a dtype other than the three.
      ValueError: a shape, scale or quantization that does not fit; the message says which.
    """
    encodings = as_tensor("box_encodings", box_encodings, (2, 3))
    anchor_rows = as_tensor("anchors", anchors, (2,))
    box_q = as_quantization("box_quantization", box_quantization)
    anchor_q = as_quantization("anchor_quantization", anchor_quantization)
    batch = encodings if encodings.ndim == 3 else encodings[np.newaxis]
    boxes = _core.decode_boxes(batch, anchor_rows, _as_scales(scales), box_q, anchor_q)
    if clip:
        np.clip(boxes, 0.0, 1.0, out=boxes)
    return boxes if encodings.ndim == 3 else boxes[0]


def _as_scales(scales: Any) -> tuple[float, float, float, float]:
    try:
        values = [as_number("scales", scale) for scale in scales]
    except TypeError as error:
        raise TypeError(f"scales is {scales!r}, expected four numbers (y, x, h, w)") from error
    if len(values) != 4:
        raise ValueError(f"scales has {len(values)} entries, expected 4 (y, x, h, w)")
    return values[0], values[1], values[2], values[3]


def iou(boxes_a: ArrayLike, boxes_b: ArrayLike) -> NDArray[np.float32]:
    """Intersection over union of every box of one set with every box of another.

    The op's float32 arithmetic: a box whose area is not positive overlaps nothing (0), NaN and
    infinite corners can give NaN.

    Args:
      boxes_a: [A, 4] real numbers, converted to float32; the better-scored boxes, where it matters
        for NaN.
      boxes_b: [B, 4], likewise.

    Returns:
      float32 [A, B].

    Raises:
      TypeError: not real numbers.
      ValueError: another shape.
    """
    return _core.iou(
        as_float32("boxes_a", boxes_a, (None, 4)), as_float32("boxes_b", boxes_b, (None, 4))
    )


def nms(
    boxes: ArrayLike,
    scores: ArrayLike,
    *,
    iou_threshold: float = 0.5,
    score_threshold: float = -math.inf,
    max_detections: int | None = None,
) -> NDArray[np.int64]:
    """Greedy non-maximum suppression: which boxes to keep, best first.

    A box is kept unless its IoU with a kept one is greater than the threshold (equality survives).
    Order: score descending, index ascending. NaN scores and boxes of negative size are dropped,
    as the op drops them.

    Args:
      boxes: [N, 4] real numbers, ymin, xmin, ymax, xmax, converted to float32.
      scores: [N].
      iou_threshold: in (0, 1].
      score_threshold: keep score >= this.
      max_detections: stop after so many; None for no limit.

    Returns:
      int64 [kept] indices into `boxes`.

    Raises:
      TypeError: not real numbers.
      ValueError: a shape or threshold that does not fit.
    """
    return _suppress(boxes, scores, None, 1, iou_threshold, score_threshold, max_detections)


def batched_nms(
    boxes: ArrayLike,
    scores: ArrayLike,
    classes: ArrayLike,
    *,
    iou_threshold: float = 0.5,
    score_threshold: float = -math.inf,
    max_detections: int | None = None,
) -> NDArray[np.int64]:
    """Non-maximum suppression within each class: boxes of different classes never suppress.

    Args:
      boxes, scores, iou_threshold, score_threshold: as for `nms`.
      classes: [N] integers, any values.
      max_detections: stop after so many over all classes; None for no limit.

    Returns:
      int64 [kept] indices into `boxes`, by score descending, index ascending.

    Raises:
      TypeError: not real numbers, or classes that are not integers.
      ValueError: a shape or threshold that does not fit.
    """
    labels = as_array("classes", classes)
    if labels.size == 0:
        labels = labels.astype(np.int64)
    if labels.dtype.kind not in "iu":
        raise TypeError(f"classes has type {labels.dtype}, expected integers")
    if labels.ndim != 1:
        raise ValueError(f"classes has shape {list(labels.shape)}, expected [n]")
    distinct, dense = np.unique(labels, return_inverse=True)
    lists = np.ascontiguousarray(dense, np.int32)
    count = max(len(distinct), 1)
    return _suppress(boxes, scores, lists, count, iou_threshold, score_threshold, max_detections)


def _suppress(
    boxes: ArrayLike,
    scores: ArrayLike,
    classes: NDArray[np.int32] | None,
    num_classes: int,
    iou_threshold: float,
    score_threshold: float,
    max_detections: int | None,
) -> NDArray[np.int64]:
    """`classes` is None for one class, or holds one in [0, num_classes) for each box."""
    corners = as_float32("boxes", boxes, (None, 4))
    values = as_float32("scores", scores, (None,))
    lists = np.zeros(corners.shape[0], np.int32) if classes is None else classes
    for name, rows in (("scores", values.shape[0]), ("classes", lists.shape[0])):
        if rows != corners.shape[0]:
            raise ValueError(f"{name} has {rows} rows, boxes has {corners.shape[0]}")
    if corners.shape[0] > _MAX_BOXES:
        raise ValueError(f"boxes has {corners.shape[0]} rows, expected at most {_MAX_BOXES}")
    iou_threshold = as_number("iou_threshold", iou_threshold)
    score_threshold = as_number("score_threshold", score_threshold)
    if max_detections is not None:
        max_detections = as_count("max_detections", max_detections)
    if not 0.0 < iou_threshold <= 1.0:
        raise ValueError(f"iou_threshold is {iou_threshold}, expected more than 0, at most 1")
    if max_detections is not None and max_detections < 0:
        raise ValueError(f"max_detections is {max_detections}, expected 0 or more")
    limit = corners.shape[0] if max_detections is None else min(max_detections, corners.shape[0])
    return _core.nms(corners, values, lists, num_classes, iou_threshold, score_threshold, limit)
