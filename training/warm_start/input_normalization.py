# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""What a file's network expects of its pixels, against what ours gets: (pixel - 128) / 128."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.models.detector import PIXEL_MEAN, PIXEL_SCALE
from training.warm_start.block_weights import BlockWeights

_CHANNELS = 3


@dataclass(frozen=True)
class InputNormalization:
    """The network sees (pixel - mean) / std, pixels 0 to 255."""

    mean: tuple[float, ...]
    """For each channel, or one number for all."""
    std: tuple[float, ...]
    bgr: bool = False
    """Its first channel is blue; mean and std are in that order, too."""

    def folded_into(self, first: BlockWeights) -> tuple[BlockWeights, str]:
        """The first convolution for our pixels, and what was done, in words.

        Raises:
          ValueError: the convolution has other than three inputs, or a std is not positive.
        """
        if first.kernel.shape[2] != _CHANNELS:
            raise ValueError(
                f"{first.where} has {first.kernel.shape[2]} inputs, expected {_CHANNELS}"
            )
        mean, std = (
            np.broadcast_to(np.asarray(values, np.float64), (_CHANNELS,))
            for values in (self.mean, self.std)
        )
        if not (std > 0).all():
            raise ValueError(f"the input is divided by {std.tolist()}, expected positive numbers")
        scale = (PIXEL_SCALE / std).astype(np.float32)
        offset = ((PIXEL_MEAN - mean) / std).astype(np.float32)
        if not self.bgr and (scale == 1).all() and (offset == 0).all():
            return first, ""
        folded = first.with_input(scale, offset)
        if self.bgr:
            kernel = np.ascontiguousarray(folded.kernel[:, :, ::-1])
            folded = BlockWeights(**{**vars(folded), "kernel": kernel})
        what = f"(pixel - {_plain(mean)}) / {_plain(std)}" + (", blue first" if self.bgr else "")
        return folded, f"its input {what} is folded into {first.where}; the border differs a little"


def _plain(values: NDArray[np.float64]) -> str:
    different = sorted(set(values.tolist()))
    return (
        f"{different[0]:g}" if len(different) == 1 else f"({', '.join(f'{v:g}' for v in values)})"
    )
