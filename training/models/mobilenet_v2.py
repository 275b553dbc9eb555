# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""MobileNet v2. Source: Sandler et al. 2018, "MobileNetV2", table 2."""

from __future__ import annotations

from typing import Any

import keras

from training.models.blocks import Blocks
from training.models.conv_block import ConvBlock

# (filters, strides) of the bottlenecks. The first convolution is layer 1, these are 2 to 18, and
# the last 1x1 convolution is 19.
_BOTTLENECKS = (
    (16, 1),
    (24, 2),
    (24, 1),
    (32, 2),
    *((32, 1),) * 2,
    (64, 2),
    *((64, 1),) * 3,
    *((96, 1),) * 3,
    (160, 2),
    *((160, 1),) * 2,
    (320, 1),
)
_FIRST_FILTERS = 32
_LAST_FILTERS = 1280
_LAST_LAYER = len(_BOTTLENECKS) + 2
_EXPANSION = 6
_DIVISOR = 8


class MobileNetV2(keras.layers.Layer):  # type: ignore[misc]
    """The convolutions of the classifier, up to the last one that a detector reads.

    Args:
      blocks: makes the convolutions.
      depth_multiplier: scales every number of filters; they stay multiples of 8.
      taps: which results are returned: the number of a layer, or "15_expand" for what the first
        convolution of bottleneck 15 makes. 7 has stride 8, 14 and "15_expand" stride 16, 19
        stride 32.
      last_filters: of layer 19, before they are scaled.
    """

    def __init__(
        self,
        blocks: Blocks,
        *,
        depth_multiplier: float = 1.0,
        taps: tuple[int | str, ...] = ("15_expand", 19),
        last_filters: int = _LAST_FILTERS,
        name: str = "mobilenet_v2",
    ) -> None:
        super().__init__(name=name)
        self.taps = taps

        def depth(filters: int) -> int:
            return _rounded(filters * depth_multiplier)

        channels = depth(_FIRST_FILTERS)
        self.first = blocks.conv(channels, 3, strides=2, name="conv_1")
        self.bottlenecks: list[_Bottleneck] = []
        for layer, (filters, strides) in enumerate(_BOTTLENECKS, start=2):
            bottleneck = _Bottleneck(
                blocks,
                expanded=None if layer == 2 else _EXPANSION * channels,
                filters=depth(filters),
                strides=strides,
                residual=strides == 1 and depth(filters) == channels,
                name=f"bottleneck_{layer}",
            )
            self.bottlenecks.append(bottleneck)
            channels = depth(filters)
        self.last = blocks.conv(depth(last_filters), name=f"conv_{_LAST_LAYER}")

    def blocks(self) -> list[ConvBlock]:
        """All convolutions, in the order of the layers of keras.applications.MobileNetV2."""
        inner = (block for bottleneck in self.bottlenecks for block in bottleneck.blocks())
        return [self.first, *inner, self.last]

    def call(self, images: Any, training: bool = False) -> list[Any]:
        """[B, H, W, 3] in -1 to 1; the tapped feature maps, finest first."""
        outputs = self.first(images, training=training)
        found = []
        for layer, bottleneck in enumerate(self.bottlenecks, start=2):
            expanded, outputs = bottleneck(outputs, training=training)
            found += [expanded] if f"{layer}_expand" in self.taps else []
            found += [outputs] if layer in self.taps else []
        if _LAST_LAYER in self.taps:
            found.append(self.last(outputs, training=training))
        return found


class _Bottleneck(keras.layers.Layer):  # type: ignore[misc]
    """Expands with 1x1, filters each channel with 3x3, projects without an activation."""

    def __init__(
        self,
        blocks: Blocks,
        *,
        expanded: int | None,
        filters: int,
        strides: int,
        residual: bool,
        name: str,
    ) -> None:
        super().__init__(name=name)
        self.expand = None if expanded is None else blocks.conv(expanded, name="expand")
        self.depthwise = blocks.depthwise(3, strides=strides, name="dw")
        self.project = blocks.conv(filters, activation=None, name="project")
        self.sum_range = blocks.range(name="sum_range") if residual else None

    def blocks(self) -> list[ConvBlock]:
        return [b for b in (self.expand, self.depthwise, self.project) if b is not None]

    def call(self, inputs: Any, training: bool = False) -> tuple[Any, Any]:
        """[B, H, W, C]; what it expands to, and its result."""
        expanded = inputs if self.expand is None else self.expand(inputs, training=training)
        outputs = self.project(self.depthwise(expanded, training=training), training=training)
        if self.sum_range is not None:
            outputs = self.sum_range(inputs + outputs, training=training)
        return expanded, outputs


def _rounded(filters: float) -> int:
    """To a multiple of 8 that is not less than 8, nor than nine tenths."""
    nearest = max(_DIVISOR, int(filters + _DIVISOR / 2) // _DIVISOR * _DIVISOR)
    return nearest if nearest >= 0.9 * filters else nearest + _DIVISOR
