# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Boxes as the network predicts them: offsets from anchors, divided by the anchors' sizes.

Source: Ren et al., "Faster R-CNN", section 3.1.2, with the scales of the Object Detection API; the
op decodes with the same ones (detops.Options).
"""

from __future__ import annotations

from typing import Any

from keras import ops

SCALES = (10.0, 10.0, 5.0, 5.0)
"""Of ty, tx, th, tw."""

# Smaller sides are taken for this: the logarithm of padding must stay finite.
_SMALLEST_SIDE = 1e-8


def encode(boxes: Any, anchors: Any) -> Any:
    """float32 [..., 4] ty, tx, th, tw of boxes at anchors.

    Args:
      boxes: [..., 4] ymin, xmin, ymax, xmax as fractions of the image.
      anchors: [..., 4] centre y, centre x, height, width; broadcast against `boxes`.
    """
    boxes = ops.cast(boxes, "float32")
    anchors = ops.cast(anchors, "float32")
    # Not written as the sum's half: min + half the side loses no bits of a small box far out.
    sides = ops.maximum(boxes[..., 2:] - boxes[..., :2], _SMALLEST_SIDE)
    centres = boxes[..., :2] + 0.5 * sides
    offsets = (centres - anchors[..., :2]) / anchors[..., 2:]
    stretches = ops.log(sides / anchors[..., 2:])
    return ops.concatenate([offsets, stretches], axis=-1) * ops.convert_to_tensor(SCALES, "float32")


def decode(encodings: Any, anchors: Any) -> Any:
    """float32 [..., 4] ymin, xmin, ymax, xmax: the inverse of `encode`."""
    scaled = ops.cast(encodings, "float32") / ops.convert_to_tensor(SCALES, "float32")
    anchors = ops.cast(anchors, "float32")
    centres = scaled[..., :2] * anchors[..., 2:] + anchors[..., :2]
    halves = 0.5 * ops.exp(scaled[..., 2:]) * anchors[..., 2:]
    return ops.concatenate([centres - halves, centres + halves], axis=-1)
