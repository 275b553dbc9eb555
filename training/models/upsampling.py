# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Doubling a feature map, each cell becoming four."""

from __future__ import annotations

from typing import Any

from keras import ops


def upsample(maps: Any, height: int, width: int) -> Any:
    """[B, h, w, C] to [B, height, width, C], the nearest cell each.

    Made of concatenations and reshapes: static copies for XLA, and 8 bits in a .tflite file.

    Args:
      maps: [B, h, w, C].
      height: 2 * h, or one less where the finer map has an odd number of rows.
      width: 2 * w or one less.

    Raises:
      ValueError: any other size.
    """
    rows, columns, channels = maps.shape[1:]
    if height not in (2 * rows, 2 * rows - 1) or width not in (2 * columns, 2 * columns - 1):
        raise ValueError(
            f"a map of {rows} x {columns} cells lies above one of {height} x {width}, "
            "expected half of each side, rounded up"
        )
    pairs = ops.reshape(
        ops.concatenate([maps, maps], axis=-1), (-1, rows, 1, 2 * columns * channels)
    )
    doubled = ops.reshape(
        ops.concatenate([pairs, pairs], axis=2), (-1, 2 * rows, 2 * columns, channels)
    )
    if (height, width) == (2 * rows, 2 * columns):
        return doubled
    return doubled[:, :height, :width, :]
