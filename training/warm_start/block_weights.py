# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""The weights of one convolution as a file has them, and how they enter a `ConvBlock`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.models.conv_block import EPSILON, ConvBlock

Array = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class BlockWeights:
    """A convolution and its batch norm, whose epsilon is that of `ConvBlock`."""

    where: str
    """In the file, for messages."""
    kernel: Array
    """[h, w, inputs, outputs], depthwise [h, w, channels, 1]."""
    gamma: Array
    beta: Array
    moving_mean: Array
    moving_variance: Array
    strides: int | None = None
    """None where the file does not say."""
    clamp: tuple[float, float] | None = None
    """Where the activation keeps the result; None where the file does not say."""
    output_range: tuple[float, float] | None = None
    """Of the 8-bit result."""

    @staticmethod
    def folded(where: str, kernel: Array, bias: Array, **known: Any) -> BlockWeights:
        """Of a convolution without batch norm: one that changes nothing takes its place."""
        ones = np.ones_like(bias)
        return BlockWeights(where, kernel, ones, bias, 0 * ones, ones * (1 - EPSILON), **known)

    def columns(self, keep: NDArray[np.bool_]) -> BlockWeights:
        """With a part of the output channels; not for a depthwise convolution."""
        names = ("gamma", "beta", "moving_mean", "moving_variance")
        parts = {name: getattr(self, name)[keep] for name in names}
        return replace(self, kernel=self.kernel[..., keep], **parts)

    def with_input(self, scale: Array, offset: Array) -> BlockWeights:
        """For inputs x where the file's network has scale * x + offset, for each channel.

        The same function, except where the kernel reaches into the padding: there the file's
        network sees 0 for what is -offset / scale here.
        """
        kernel = self.kernel * scale[:, np.newaxis]
        constant = (self.kernel * offset[:, np.newaxis]).sum((0, 1, 2))
        return replace(self, kernel=kernel, moving_mean=self.moving_mean - constant)


# An activation's clamp, and how far an 8-bit range may miss it.
_CLAMPS = {"relu6": (0.0, 6.0), "relu": (0.0, np.inf), None: (-np.inf, np.inf)}
_TOLERANCE = 0.03


def check_fits(block: Any, weights: BlockWeights) -> None:
    """Raises ValueError where a block is not the convolution that the weights are of."""
    what = f"{weights.where} does not fit {block.path}:"
    shape = tuple(block.kernel.shape)
    if weights.kernel.shape != shape or len(weights.beta) != block.filters:
        raise ValueError(f"{what} kernel is {list(weights.kernel.shape)}, expected {list(shape)}")
    if weights.strides not in (None, block.strides):
        raise ValueError(f"{what} strides are {weights.strides}, expected {block.strides}")
    if weights.clamp is not None:
        _check_activation(what, block, weights, weights.clamp)


def _check_activation(
    what: str, block: Any, weights: BlockWeights, clamp: tuple[float, float]
) -> None:
    # Where the activation was left to the 8-bit range, that does the clamping. A narrower range is
    # no contradiction: there may be nothing beyond it.
    seen = weights.output_range or (-np.inf, np.inf)
    low, high = max(clamp[0], seen[0]), min(clamp[1], seen[1])
    name = getattr(block.activation, "__name__", None)
    lowest, highest = _CLAMPS[name]
    fits = low >= lowest - _TOLERANCE and high <= highest + _TOLERANCE
    if name != "relu6":
        fits = fits and clamp[1] == highest
    if name is None:
        fits = fits and clamp[0] == lowest
    if not fits:
        raise ValueError(
            f"{what} its results lie between {low:.3g} and {high:.3g}, expected those of "
            f"{name or 'no activation'}"
        )


def assign(block: Any, weights: BlockWeights) -> None:
    """Gives a block its weights, and its range where the file has one."""
    if block.batch_norm:
        for name in ("kernel", "gamma", "beta", "moving_mean", "moving_variance"):
            getattr(block, name).assign(getattr(weights, name))
    else:
        factor = weights.gamma / np.sqrt(weights.moving_variance + np.float32(EPSILON))
        spread = factor[:, np.newaxis] if block.depthwise else factor
        block.kernel.assign(weights.kernel * spread)
        block.bias.assign(weights.beta - weights.moving_mean * factor)
    if weights.output_range is not None and block.range is not None:
        low, high = weights.output_range
        if weights.clamp is not None:
            low, high = max(low, weights.clamp[0]), min(high, weights.clamp[1])
        assign_range(block.range, (low, high))


def assign_range(observed: Any, bounds: tuple[float, float]) -> None:
    """Sets what an `ActivationRange` would have observed."""
    low = bounds[0] if observed.lowest is None else observed.lowest
    observed.minimum.assign(min(low, 0.0))
    observed.maximum.assign(max(bounds[1], 0.0))


def convolutions_of(model: Any) -> list[Any]:
    """Every `ConvBlock` of a model."""
    found = [layer for layer in model._flatten_layers() if isinstance(layer, ConvBlock)]
    # Keras lists the last made first.
    return found[::-1]


def pair_up(
    blocks: Sequence[Any], weights: Sequence[BlockWeights], source: str
) -> list[tuple[Any, BlockWeights]]:
    """The blocks of a chain with the convolutions of a file, each pair checked.

    Raises:
      ValueError: their numbers differ, or one does not fit.
    """
    if len(weights) != len(blocks):
        raise ValueError(
            f"{source} holds {len(weights)} convolutions, the model expects {len(blocks)}"
        )
    pairs = list(zip(blocks, weights, strict=True))
    for block, own in pairs:
        check_fits(block, own)
    return pairs
