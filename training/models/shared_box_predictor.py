# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""One predictor for all feature maps.

Source: Lin et al. 2017, "Focal Loss for Dense Object Detection", section 4 (the subnets), with
batch norm as in the Object Detection API.
"""

from __future__ import annotations

from typing import Any

import keras

from training.models.blocks import Blocks
from training.models.box_predictor import BOX_SIZE, CLASS_BIAS, predict
from training.models.conv_block import ConvBlock
from training.models.initial_weights import Normal
from training.models.separable import convolution, run

_DEVIATION = 0.01


class SharedBoxPredictor(keras.layers.Layer):  # type: ignore[misc]
    """Towers of convolutions and two heads, whose weights serve every map.

    Batch norm and the ranges belong to each map alone: the statistics of the maps differ. Folded
    into the kernels, it gives each map kernels of its own in the exported file.

    No head has a range, for the reason given at `BoxPredictor`.

    Args:
      blocks: makes the convolutions.
      num_classes: without a background.
      levels: number of maps.
      anchors_per_cell: the same in each map.
      depth: channels of the towers.
      layers: convolutions of a tower.
      kernel_size: of the towers and heads.
      separable: all convolutions are depthwise and 1x1.
      one_tower: boxes and classes share theirs.
    """

    def __init__(
        self,
        blocks: Blocks,
        *,
        num_classes: int,
        levels: int,
        anchors_per_cell: int = 6,
        depth: int = 256,
        layers: int = 4,
        kernel_size: int = 3,
        separable: bool = False,
        one_tower: bool = False,
        name: str = "predictor",
    ) -> None:
        super().__init__(name=name)
        self.num_classes = num_classes
        shape: dict[str, Any] = {"kernel_size": kernel_size, "separable": separable}

        def tower(name: str) -> list[list[ConvBlock]]:
            return _tower(blocks, name, levels=levels, layers=layers, filters=depth, **shape)

        def heads(name: str, columns: int, bias: float) -> list[list[ConvBlock]]:
            filters = anchors_per_cell * columns
            return _heads(blocks, name, levels=levels, filters=filters, bias=bias, **shape)

        self.common = tower("tower") if one_tower else [[] for _ in range(levels)]
        self.box_heads = heads("boxes", BOX_SIZE, 0.0)
        self.class_heads = heads("classes", num_classes, CLASS_BIAS)
        if not one_tower:
            self.box_heads = _joined(tower("boxes_tower"), self.box_heads)
            self.class_heads = _joined(tower("classes_tower"), self.class_heads)
        self.box_range = blocks.range(name="box_range")
        self.class_range = blocks.range(name="class_range")

    def call(self, maps: list[Any], training: bool = False) -> tuple[Any, Any]:
        """Maps [B, H, W, C]; box encodings [B, N, 4] and logits [B, N, num_classes]."""
        maps = [
            run(common, outputs, training)
            for common, outputs in zip(self.common, maps, strict=True)
        ]
        boxes = predict(self.box_heads, maps, BOX_SIZE, training)
        logits = predict(self.class_heads, maps, self.num_classes, training)
        return (
            self.box_range(boxes, training=training),
            self.class_range(logits, training=training),
        )


def _tower(
    blocks: Blocks, name: str, *, levels: int, layers: int, **shape: Any
) -> list[list[ConvBlock]]:
    """For each level the blocks of all layers; the kernels are those of the first level."""
    towers: list[list[ConvBlock]] = [[] for _ in range(levels)]
    for layer in range(layers):
        first: list[ConvBlock] = []
        for level, found in enumerate(towers):
            made = convolution(
                blocks, weights_of=first, name=f"{name}_{layer}_level_{level}", **shape
            )
            first = first or made
            found += made
    return towers


def _heads(
    blocks: Blocks,
    name: str,
    *,
    levels: int,
    bias: float,
    **shape: Any,
) -> list[list[ConvBlock]]:
    """For each level the blocks of a head; the weights are those of the first level."""
    heads: list[list[ConvBlock]] = []
    for level in range(levels):
        made = convolution(
            blocks,
            weights_of=heads[0] if heads else (),
            activation=None,
            batch_norm=False,
            observed=False,
            initializer=Normal(_DEVIATION),
            bias=bias,
            name=f"{name}_level_{level}",
            **shape,
        )
        heads.append(made)
    return heads


def _joined(towers: list[list[ConvBlock]], heads: list[list[ConvBlock]]) -> list[list[ConvBlock]]:
    return [[*tower, *head] for tower, head in zip(towers, heads, strict=True)]
