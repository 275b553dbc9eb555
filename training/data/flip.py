# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Mirrors pictures."""

from __future__ import annotations

from typing import Any

import tensorflow as tf


def flip(image: Any, boxes: Any) -> tuple[Any, Any]:
    """Mirrors a picture left to right.

    Args:
      image: [H, W, 3] of any dtype.
      boxes: float32 [M, 4] ymin, xmin, ymax, xmax as fractions.
    """
    ymin, xmin, ymax, xmax = tf.unstack(boxes, axis=1)
    # A slice with a negative step takes ten times as long.
    return tf.reverse(image, [1]), tf.stack([ymin, 1 - xmax, ymax, 1 - xmin], axis=1)


def random_flip(image: Any, boxes: Any, seed: Any) -> tuple[Any, Any]:
    """Mirrors a picture with probability 1/2.

    Args:
      image: [H, W, 3].
      boxes: float32 [M, 4].
      seed: int [2], decides alone.
    """
    mirrored = tf.random.stateless_uniform([], seed) < 0.5
    return tf.cond(mirrored, lambda: flip(image, boxes), lambda: (image, boxes))  # type: ignore[no-any-return]
