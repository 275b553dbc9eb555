# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Which part of the data is whose, where several hosts feed one training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

_Item = TypeVar("_Item")


@dataclass(frozen=True)
class Share:
    """One of `count` equal parts. Wrong numbers raise ValueError."""

    index: int = 0
    """Of the host, from 0."""
    count: int = 1
    """Hosts."""

    def __post_init__(self) -> None:
        if self.count < 1 or not 0 <= self.index < self.count:
            raise ValueError(
                f"share {self.index} of {self.count}, expected a number from 0 below the count"
            )

    @property
    def is_whole(self) -> bool:
        """Whether there is only one."""
        return self.count == 1

    def of(self, items: Sequence[_Item]) -> list[_Item]:
        """Every `count`-th item, from `index` on."""
        return list(items[self.index :: self.count])

    def rows(self, batch_size: int) -> tuple[int, int]:
        """First row of this share in a batch, and how many it has.

        Raises:
          ValueError: the hosts do not divide the batch.
        """
        if batch_size % self.count:
            raise ValueError(
                f"batch_size is {batch_size}, which the {self.count} hosts do not divide"
            )
        rows = batch_size // self.count
        return self.index * rows, rows


WHOLE = Share()
