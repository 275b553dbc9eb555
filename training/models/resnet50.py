# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""ResNet-50. Source: He et al. 2016, "Deep Residual Learning for Image Recognition", table 1."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from training.models.blocks import Blocks
from training.models.conv_block import ConvBlock

# (units, filters, strides) of the stages conv2 to conv5. A unit ends with four times the filters.
_STAGES = ((3, 64, 1), (4, 128, 2), (6, 256, 2), (3, 512, 2))
_FIRST_FILTERS = 64
_WIDENING = 4
_SMALLEST_DEPTH = 16


class ResNet50(keras.layers.Layer):  # type: ignore[misc]
    """The convolutions of the classifier, version 1: the stride is in a unit's first 1x1.

    Args:
      blocks: makes the convolutions.
      depth_multiplier: scales every number of filters.
      taps: which stages' results are returned: 3 has stride 8, 4 stride 16, 5 stride 32.
    """

    def __init__(
        self,
        blocks: Blocks,
        *,
        depth_multiplier: float = 1.0,
        taps: tuple[int, ...] = (3, 4, 5),
        name: str = "resnet50",
    ) -> None:
        super().__init__(name=name)
        self.taps = taps

        def depth(filters: int) -> int:
            return max(int(filters * depth_multiplier), _SMALLEST_DEPTH)

        first = depth(_FIRST_FILTERS)
        self.first = blocks.conv(
            first, 7, strides=2, padding="valid", activation="relu", name="conv1"
        )
        self.stages: list[list[_Unit]] = []
        for stage, (count, filters, strides) in enumerate(_STAGES, start=2):
            units = [
                _Unit(
                    blocks,
                    filters=depth(filters),
                    strides=strides if unit == 1 else 1,
                    widened=unit == 1,
                    name=f"conv{stage}_block{unit}",
                )
                for unit in range(1, count + 1)
            ]
            self.stages.append(units)

    def blocks(self) -> list[ConvBlock]:
        """All convolutions, in the order of the names of keras.applications.ResNet50's layers."""
        units = (unit for stage in self.stages for unit in stage)
        return [self.first, *(block for unit in units for block in unit.blocks())]

    def call(self, images: Any, training: bool = False) -> list[Any]:
        """[B, H, W, 3] in -1 to 1; the tapped feature maps, finest first."""
        # Padded alike on all sides, where "same" would move the image by a pixel, twice, against
        # the published weights. Zero is the lowest number behind the ReLU.
        outputs = self.first(_padded(images, 3), training=training)
        outputs = ops.max_pool(_padded(outputs, 1), 3, strides=2, padding="valid")
        found = []
        for stage, units in enumerate(self.stages, start=2):
            for unit in units:
                outputs = unit(outputs, training=training)
            found += [outputs] if stage in self.taps else []
        return found


class _Unit(keras.layers.Layer):  # type: ignore[misc]
    """1x1, 3x3, 1x1, and the input added, through a 1x1 of its own where the size changes."""

    def __init__(
        self, blocks: Blocks, *, filters: int, strides: int, widened: bool, name: str
    ) -> None:
        super().__init__(name=name)
        wide = filters * _WIDENING
        linear: dict[str, Any] = {"activation": None}
        rectified: dict[str, Any] = {"activation": "relu"}
        self.shortcut = blocks.conv(wide, strides=strides, name="0", **linear) if widened else None
        self.reduce = blocks.conv(filters, strides=strides, name="1", **rectified)
        self.middle = blocks.conv(filters, 3, name="2", **rectified)
        self.widen = blocks.conv(wide, name="3", **linear)
        self.sum_range = blocks.range(lowest=0.0, name="sum_range")

    def blocks(self) -> list[ConvBlock]:
        found = (self.shortcut, self.reduce, self.middle, self.widen)
        return [block for block in found if block is not None]

    def call(self, inputs: Any, training: bool = False) -> Any:
        outputs = inputs
        for block in (self.reduce, self.middle, self.widen):
            outputs = block(outputs, training=training)
        if self.shortcut is not None:
            inputs = self.shortcut(inputs, training=training)
        return self.sum_range(ops.relu(inputs + outputs), training=training)


def _padded(images: Any, border: int) -> Any:
    """Zeros around [B, H, W, C]."""
    return ops.pad(images, ((0, 0), (border, border), (border, border), (0, 0)))
