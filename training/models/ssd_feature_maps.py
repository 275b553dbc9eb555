# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""The coarser feature maps of SSD. Source: Liu et al. 2016, section 2.1, in MobileNet's depths."""

from __future__ import annotations

from typing import Any

import keras

from training.models.blocks import Blocks

_DEPTHS = (512, 256, 256, 128)
_SMALLEST_DEPTH = 16


class SsdFeatureMaps(keras.layers.Layer):  # type: ignore[misc]
    """Adds maps of half the size each: a 1x1 convolution and a 3x3 of stride 2.

    Args:
      blocks: makes the convolutions.
      depth_multiplier: scales every number of filters.
      separable: the 3x3 is a depthwise convolution and a 1x1 (SSDLite).
    """

    def __init__(
        self,
        blocks: Blocks,
        *,
        depth_multiplier: float = 1.0,
        separable: bool = False,
        name: str = "feature_maps",
    ) -> None:
        super().__init__(name=name)

        def depth(filters: int) -> int:
            return max(int(filters * depth_multiplier), _SMALLEST_DEPTH)

        self.steps: list[list[Any]] = []
        for number, filters in enumerate(_DEPTHS, start=2):
            step = [blocks.conv(depth(filters // 2), name=f"map_{number}_reduce")]
            if separable:
                step.append(blocks.depthwise(3, strides=2, name=f"map_{number}_dw"))
                step.append(blocks.conv(depth(filters), name=f"map_{number}"))
            else:
                step.append(blocks.conv(depth(filters), 3, strides=2, name=f"map_{number}"))
            self.steps.append(step)

    def call(self, maps: list[Any], training: bool = False) -> list[Any]:
        """Two maps [B, H, W, C] of the backbone; six maps, finest first."""
        found = list(maps)
        for step in self.steps:
            outputs = found[-1]
            for block in step:
                outputs = block(outputs, training=training)
            found.append(outputs)
        return found
