# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""From the boxes of an annotation to those that can be trained on."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from detops.evaluation import Skipped
from training.data.annotation import AnnotatedBox, AnnotatedImage
from training.data.problems import Problems

UNNAMED = "box of a class that the labels do not name"
_ROUNDING = 1e-5
"""Of a side: what float32 fractions may exceed the picture by without a report."""
_SAME_ASPECT = 0.01
_SHOWN = 80
"""Characters of a class name in a report."""

Boxes = tuple[NDArray[np.float32], NDArray[np.int32], NDArray[np.bool_]]


def box_units(image: AnnotatedImage, height: int, width: int) -> tuple[float, float]:
    """What corners have to be divided by, (y, x), to be fractions of the picture.

    A picture that was rescaled after it was annotated keeps its boxes: they are fractions of the
    stated size.

    Raises:
      ValueError: the picture has another shape than stated: its boxes are those of another one.
    """
    if not image.in_pixels:
        return 1.0, 1.0
    stated = image.stated_size or (height, width)
    if stated == (height, width):
        return float(height), float(width)
    aspect, expected = width / height, stated[1] / stated[0]
    if abs(aspect - expected) > _SAME_ASPECT * expected:
        raise ValueError(f"{width} x {height}, expected {stated[1]:.9g} x {stated[0]:.9g}")
    return float(stated[0]), float(stated[1])


def check_boxes(
    image: AnnotatedImage,
    units: tuple[float, float],
    numbers: Mapping[str, int],
    problems: Problems,
) -> Boxes:
    """The usable boxes of a picture as fractions, clipped to it; the others are reported.

    Args:
      image: the annotation.
      units: as `box_units` returns them.
      numbers: the class number by name.
      problems: takes the reports.

    Returns:
      boxes float32 [M, 4], classes int32 [M], crowd bool [M].
    """
    kept: dict[tuple[float, ...], bool] = {}
    for index, box in enumerate(image.boxes):
        detail = (
            f"box {index}, {box.label[:_SHOWN]!r}: {[round(corner, 4) for corner in box.corners]}"
        )
        corners = np.array(box.corners) / np.array([*units, *units])
        number = numbers.get(box.label, numbers.get(box.label.lower()))
        reason = _reason_to_skip(box, corners, number)
        if reason:
            problems.skipped_boxes.append(Skipped(image.name, reason, detail))
            continue
        inside = np.clip(corners, 0, 1).astype(np.float32)
        if np.abs(inside - corners).max() > _ROUNDING:
            entry = Skipped(image.name, "box clipped to the picture", detail)
            problems.repaired.append(entry)
        row = (*inside.tolist(), float(number or 0))
        if row in kept:
            entry = Skipped(image.name, "box given twice", detail)
            problems.skipped_boxes.append(entry)
        else:
            kept[row] = box.crowd
    table = np.array(list(kept), np.float64).reshape(-1, 5)
    return (
        table[:, :4].astype(np.float32),
        table[:, 4].astype(np.int32),
        np.array(list(kept.values()), np.bool_),
    )


def _reason_to_skip(
    box: AnnotatedBox, corners: NDArray[np.float64], number: int | None
) -> str | None:
    if not box.label:
        return "box without a class"
    if number is None:
        return UNNAMED
    if not np.isfinite(corners).all():
        return "box without its four corners"
    if (corners[2:] <= corners[:2]).any():
        return "box without area"
    inside = np.clip(corners, 0, 1).astype(np.float32)
    if (inside[2:] <= inside[:2]).any():
        return "box outside the picture"
    return None
