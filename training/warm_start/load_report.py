# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""What a warm start took from a file, and what it did not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class LoadReport:
    """Of `training.warm_start.load`."""

    source: str
    """The file and what it was taken for."""
    loaded: tuple[Any, ...]
    """The `ConvBlock`s that have their weights from the file."""
    fresh: tuple[str, ...] = ()
    """Paths of the convolutions that keep the weights they had."""
    unused: tuple[str, ...] = ()
    """What the file holds and the model has no place for."""
    ranges: int = 0
    """Activation ranges that came with the file."""
    folded: bool = False
    """The file has batch norm folded into its kernels. Its moving statistics are made up: training
    with live batch norm has to be preceded by `calibrate_batch_norm`."""
    calibrated: bool = False
    """It was, with images given to `load`."""
    notes: tuple[str, ...] = field(default=())

    def __str__(self) -> str:
        lines = [f"{self.source}: {len(self.loaded)} convolutions and {self.ranges} ranges loaded"]
        if self.fresh:
            lines.append(f"not in the file: {_listed(self.fresh)}")
        if self.unused:
            lines.append(f"not used: {_listed(self.unused)}")
        if self.folded:
            measured = "measured" if self.calibrated else "not measured, so keep it frozen"
            lines.append(f"batch norm was folded; its statistics are {measured}")
        return "\n".join([*lines, *self.notes])


def _listed(names: Sequence[str], shown: int = 4) -> str:
    rest = len(names) - shown
    return ", ".join(names[:shown]) + (f" and {rest} more" if rest > 0 else "")
