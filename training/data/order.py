# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""In which order the pictures are seen: a function of the seed and the position alone."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

_FOREVER = 2**63 - 1
_SHUFFLING = 0x5E7
"""Keeps the draws for the order apart from those for the pictures."""


def shuffled_order(count: int, *, seed: int, start: int = 0) -> Any:
    """An endless data set of (position, index), int64 scalars, from position `start` on.

    Every `count` positions in a row from a multiple of `count` on hold each index once.

    Args:
      count: of pictures.
      seed: of the order.
      start: what was seen before, in pictures.
    """
    first = start // count

    def epoch(number: Any) -> Any:
        key = tf.random.fold_in(tf.stack([tf.cast(seed, tf.int64), number]), _SHUFFLING)
        indices = tf.random.experimental.stateless_shuffle(tf.range(count, dtype=tf.int64), key)
        positions = number * count + tf.range(count, dtype=tf.int64)
        return tf.data.Dataset.from_tensor_slices((positions, indices))

    epochs = tf.data.Dataset.range(first, _FOREVER)
    return epochs.flat_map(epoch).skip(start - first * count)
