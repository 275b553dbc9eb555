# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Times interpreters of one model side by side."""

from __future__ import annotations

import platform
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_WARM_UP = 3


@dataclass(frozen=True)
class Timing:
    """Milliseconds of one invoke."""

    min: float
    median: float
    max: float

    @staticmethod
    def of(seconds: Sequence[float]) -> Timing:
        milliseconds = [1e3 * value for value in seconds]
        return Timing(min(milliseconds), statistics.median(milliseconds), max(milliseconds))


def time_in_turn(interpreters: Mapping[str, Any], runs: int) -> dict[str, Timing]:
    """Invokes each in turn, so that whatever slows the machine meets them all."""
    seconds: dict[str, list[float]] = {name: [] for name in interpreters}
    for number in range(_WARM_UP + runs):
        for name, interpreter in interpreters.items():
            start = time.perf_counter()
            interpreter.invoke()
            elapsed = time.perf_counter() - start
            if number >= _WARM_UP:
                seconds[name].append(elapsed)
    return {name: Timing.of(values) for name, values in seconds.items()}


def median_ratio(timings: Mapping[str, Timing]) -> float | None:
    """Median of stock over that of detops; None where one of them was not timed."""
    if len(timings) < 2:
        return None
    return timings["stock"].median / timings["detops"].median


def cpu_name() -> str:
    """The processor's own name, or the best that the platform tells."""
    try:
        for line in Path("/proc/cpuinfo").read_text(errors="replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() in ("model name", "Model") and value.strip():
                return value.strip()
    except OSError:
        pass
    return platform.processor() or platform.machine() or "unknown"
