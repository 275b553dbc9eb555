# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""A feature pyramid. Source: Lin et al. 2017, "Feature Pyramid Networks for Object Detection"."""

from __future__ import annotations

from typing import Any

import keras

from training.models.blocks import Blocks
from training.models.conv_block import ConvBlock
from training.models.separable import convolution, run
from training.models.upsampling import upsample


class FeaturePyramid(keras.layers.Layer):  # type: ignore[misc]
    """Levels 3 to 7, of the same depth.

    A backbone's maps (3 to 5) are projected, each is added to the coarser sum, doubled, and all but
    level 5 are smoothed. Level 6 is made of level 5 with stride 2, level 7 of level 6.

    Args:
      blocks: makes the convolutions.
      filters: channels of every level.
      separable: the 3x3 convolutions are depthwise and 1x1 (FPNLite).
    """

    def __init__(
        self,
        blocks: Blocks,
        *,
        filters: int = 256,
        separable: bool = False,
        name: str = "feature_maps",
    ) -> None:
        super().__init__(name=name)

        def three_by_three(name: str, strides: int = 1) -> list[ConvBlock]:
            return convolution(blocks, filters, separable=separable, strides=strides, name=name)

        self.projections = [
            blocks.conv(filters, activation=None, batch_norm=False, name=f"project_{level}")
            for level in (3, 4, 5)
        ]
        self.sum_ranges = [blocks.range(name=f"sum_range_{level}") for level in (3, 4)]
        self.smoothings = [three_by_three(f"smooth_{level}") for level in (3, 4)]
        self.coarser = [three_by_three(f"level_{level}", strides=2) for level in (6, 7)]

    def call(self, maps: list[Any], training: bool = False) -> list[Any]:
        """Three maps [B, H, W, C] of strides 8, 16, 32; five maps, finest first."""
        *finer, coarsest = (
            project(outputs, training=training)
            for project, outputs in zip(self.projections, maps, strict=True)
        )
        found = [coarsest]
        above = coarsest
        for own, sum_range, smoothing in zip(
            reversed(finer), reversed(self.sum_ranges), reversed(self.smoothings), strict=True
        ):
            total = own + upsample(above, *own.shape[1:3])
            above = sum_range(total, training=training)
            found.insert(0, run(smoothing, above, training))
        for blocks in self.coarser:
            found.append(run(blocks, found[-1], training))
        return found
