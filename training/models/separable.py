# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""A convolution of a feature pyramid, whole or cut into depthwise and 1x1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from training.models.blocks import Blocks
from training.models.conv_block import ConvBlock


def convolution(
    blocks: Blocks,
    filters: int,
    kernel_size: int = 3,
    *,
    separable: bool,
    strides: int = 1,
    weights_of: Sequence[ConvBlock] = (),
    name: str,
    **settings: Any,
) -> list[ConvBlock]:
    """The blocks to run one behind the other.

    A separable convolution is linear in between: batch norm and activation come behind both (in
    MobileNet and SSDLite they come behind each).

    Args:
      blocks: makes the convolutions.
      filters: output channels.
      kernel_size: side of the kernel.
      separable: in two, depthwise and 1x1.
      strides: in both directions.
      weights_of: an earlier result of this function, whose weights these use.
      name: of the last block; the depthwise one has "_dw" added.
      settings: those of `ConvBlock` for the last block.
    """
    *first, last = weights_of or (None,)
    if not separable:
        settings["strides"] = strides
        return [blocks.conv(filters, kernel_size, weights_of=last, name=name, **settings)]
    depthwise = blocks.depthwise(
        kernel_size,
        strides=strides,
        activation=None,
        batch_norm=False,
        bias=None,
        weights_of=first[0] if first else None,
        name=f"{name}_dw",
    )
    return [depthwise, blocks.conv(filters, weights_of=last, name=name, **settings)]


def run(blocks: Sequence[ConvBlock], outputs: Any, training: bool) -> Any:
    """Applies blocks one behind the other to [B, H, W, C]."""
    for block in blocks:
        outputs = block(outputs, training=training)
    return outputs
