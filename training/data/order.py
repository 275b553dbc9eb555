# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""In which order the pictures are seen: a function of the seed and the position alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from training.data.share import WHOLE, Share
from training.data.source import Source

FOREVER = 2**63 - 1
_SHUFFLING = 0x5E7
"""Keeps the draws for the order apart from those for the pictures."""


def shuffled_order(count: int, *, seed: int, start: Any = 0, part: int = 0) -> Any:
    """An endless data set of (position, index), int64 scalars, from position `start` on.

    Every `count` positions in a row from a multiple of `count` on hold each index once.

    Args:
      count: of pictures.
      seed: of the order.
      start: what was seen before, in pictures; a number or an int64 tensor.
      part: another order for each.
    """
    first = start // count

    def epoch(number: Any) -> Any:
        key = tf.random.fold_in(tf.stack([tf.cast(seed, tf.int64), number]), _SHUFFLING)
        if part:
            key = tf.random.fold_in(key, part)
        indices = tf.random.experimental.stateless_shuffle(tf.range(count, dtype=tf.int64), key)
        positions = number * count + tf.range(count, dtype=tf.int64)
        return tf.data.Dataset.from_tensor_slices((positions, indices))

    epochs = tf.data.Dataset.range(first, FOREVER)
    return epochs.flat_map(epoch).skip(start - first * count)


@dataclass(frozen=True)
class BatchOrder:
    """Which pictures of a source are in which batch.

    A source that holds the whole data set gives each host its rows of the batch that one host alone
    would see. One that holds a part (its own shards) is shuffled by itself, and its pictures take
    the positions of these rows: no two hosts augment alike.

    Args:
      source: whole, or opened with the same share.
      batch_size: of all hosts together.
      seed: of the order.
      share: of the batch.
    """

    source: Source
    batch_size: int
    seed: int
    share: Share = WHOLE

    def __post_init__(self) -> None:
        self.share.rows(self.batch_size)
        if not self.source.share.is_whole and self.source.share != self.share:
            raise ValueError(
                f"the source is {self.source.share}, the batches are for {self.share}, expected "
                "the same or a whole source"
            )

    @property
    def rows(self) -> int:
        """Of this host in each batch."""
        return self.share.rows(self.batch_size)[1]

    def from_step(self, step: Any) -> Any:
        """An endless data set of (position, index), int64 scalars: `rows` of them for each step.

        Args:
          step: the first; a number or an int64 tensor.
        """
        first, rows = self.share.rows(self.batch_size)
        count, whole_size = len(self.source), self.batch_size
        if self.source.share.is_whole:
            order = shuffled_order(count, seed=self.seed, start=step * whole_size)
            if self.share.is_whole:
                return order
            batches = order.batch(whole_size, drop_remainder=True)
            return batches.map(
                lambda *columns: tuple(column[first : first + rows] for column in columns)
            ).unbatch()
        # 0 is the order of a whole source.
        order = shuffled_order(count, seed=self.seed, start=step * rows, part=self.share.index + 1)
        return order.map(
            lambda place, index: (place // rows * whole_size + first + place % rows, index)
        )
