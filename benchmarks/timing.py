# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Times several functions in turn, so that a machine that drifts drifts for all of them."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Timing:
    """Seconds of one function over its runs."""

    runs: int
    min: float
    median: float
    max: float

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def time_in_turn(
    functions: Sequence[Callable[[], Any]], *, seconds: float, min_runs: int = 3
) -> list[Timing]:
    """Runs the functions A B C A B C ... for about so many seconds, after one uncounted round."""
    for function in functions:
        function()
    samples: list[list[float]] = [[] for _ in functions]
    start = time.perf_counter()
    while len(samples[0]) < min_runs or time.perf_counter() - start < seconds:
        for function, times in zip(functions, samples, strict=True):
            before = time.perf_counter()
            function()
            times.append(time.perf_counter() - before)
    return [Timing(len(s), min(s), statistics.median(s), max(s)) for s in samples]
