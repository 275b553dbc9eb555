# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""MobileNet v1. Source: Howard et al. 2017, "MobileNets", table 1."""

from __future__ import annotations

from typing import Any

import keras

from training.models.blocks import Blocks
from training.models.conv_block import ConvBlock

# (filters, strides) of the thirteen separable convolutions behind the first one.
_LAYERS = (
    (64, 1),
    (128, 2),
    (128, 1),
    (256, 2),
    (256, 1),
    (512, 2),
    *((512, 1),) * 5,
    (1024, 2),
    (1024, 1),
)
_FIRST_FILTERS = 32
_SMALLEST_DEPTH = 8


class MobileNetV1(keras.layers.Layer):  # type: ignore[misc]
    """The convolutions of the classifier, up to the last one that a detector reads.

    Args:
      blocks: makes the convolutions.
      depth_multiplier: scales every number of filters.
      taps: which layers' results are returned: 5 has stride 8, 11 stride 16, 13 stride 32.
    """

    def __init__(
        self,
        blocks: Blocks,
        *,
        depth_multiplier: float = 1.0,
        taps: tuple[int, ...] = (11, 13),
        name: str = "mobilenet_v1",
    ) -> None:
        super().__init__(name=name)
        self.taps = taps

        def depth(filters: int) -> int:
            return max(int(filters * depth_multiplier), _SMALLEST_DEPTH)

        self.first = blocks.conv(depth(_FIRST_FILTERS), 3, strides=2, name="conv_0")
        self.depthwise: list[ConvBlock] = []
        self.pointwise: list[ConvBlock] = []
        for number, (filters, strides) in enumerate(_LAYERS[: max(taps)], start=1):
            self.depthwise.append(blocks.depthwise(3, strides=strides, name=f"conv_{number}_dw"))
            self.pointwise.append(blocks.conv(depth(filters), name=f"conv_{number}_pw"))

    def blocks(self) -> list[ConvBlock]:
        """All convolutions, in the order of the layers of keras.applications.MobileNet."""
        pairs = zip(self.depthwise, self.pointwise, strict=True)
        return [self.first, *(block for pair in pairs for block in pair)]

    def call(self, images: Any, training: bool = False) -> list[Any]:
        """[B, H, W, 3] in -1 to 1; the tapped feature maps, finest first."""
        outputs = self.first(images, training=training)
        found = []
        pairs = zip(self.depthwise, self.pointwise, strict=True)
        for number, (depthwise, pointwise) in enumerate(pairs, start=1):
            outputs = pointwise(depthwise(outputs, training=training), training=training)
            if number in self.taps:
                found.append(outputs)
        return found
