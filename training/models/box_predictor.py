# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""The heads of SSD: for each feature map a convolution for boxes and one for classes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from training.models.blocks import Blocks
from training.models.initial_weights import Normal

BOX_SIZE = 4
# Every anchor starts as background (Lin et al. 2017, "Focal Loss", section 4.1).
_PRIOR = 0.01
CLASS_BIAS = -math.log((1 - _PRIOR) / _PRIOR)
_DEVIATION = 0.03


class BoxPredictor(keras.layers.Layer):  # type: ignore[misc]
    """Heads of their own for each map, 1x1, or depthwise 3x3 and 1x1 (SSDLite).

    No head has a range: the one behind each concatenation serves all of its inputs, so that the
    exported file has nothing to requantise.

    Args:
      blocks: makes the convolutions.
      num_classes: without a background.
      anchors_per_cell: of each map.
      separable: SSDLite's heads.
    """

    def __init__(
        self,
        blocks: Blocks,
        *,
        num_classes: int,
        anchors_per_cell: Sequence[int],
        separable: bool = False,
        name: str = "predictor",
    ) -> None:
        super().__init__(name=name)
        self.num_classes = num_classes

        def head(count: int, bias: float, name: str) -> list[Any]:
            front = [blocks.depthwise(3, name=f"{name}_dw")] if separable else []
            normal = Normal(_DEVIATION, cut=True)
            last = blocks.conv(
                count,
                activation=None,
                batch_norm=False,
                observed=False,
                initializer=normal,
                bias=bias,
                name=name,
            )
            return [*front, last]

        self.box_heads = [
            head(count * BOX_SIZE, 0.0, f"boxes_{number}")
            for number, count in enumerate(anchors_per_cell)
        ]
        self.class_heads = [
            head(count * num_classes, CLASS_BIAS, f"classes_{number}")
            for number, count in enumerate(anchors_per_cell)
        ]
        self.box_range = blocks.range(name="box_range")
        self.class_range = blocks.range(name="class_range")

    def call(self, maps: list[Any], training: bool = False) -> tuple[Any, Any]:
        """Maps [B, H, W, C]; box encodings [B, N, 4] and logits [B, N, num_classes]."""
        boxes = predict(self.box_heads, maps, BOX_SIZE, training)
        logits = predict(self.class_heads, maps, self.num_classes, training)
        return (
            self.box_range(boxes, training=training),
            self.class_range(logits, training=training),
        )


def predict(heads: list[list[Any]], maps: list[Any], columns: int, training: bool) -> Any:
    """The rows of all maps below one another, [B, N, columns]; each map has its list of blocks."""
    rows = []
    for head, outputs in zip(heads, maps, strict=True):
        for block in head:
            outputs = block(outputs, training=training)
        rows.append(as_rows(outputs, columns))
    return ops.concatenate(rows, axis=1)


def as_rows(outputs: Any, columns: int) -> Any:
    """[B, H, W, anchors * columns] as [B, H * W * anchors, columns]."""
    count = math.prod(outputs.shape[1:]) // columns
    return ops.reshape(outputs, (-1, count, columns))
