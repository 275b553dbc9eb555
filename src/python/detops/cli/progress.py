# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""One line on the terminal that says how far a long command is."""

from __future__ import annotations

import sys
import time
from types import TracebackType

_ERASE_LINE = "\r\x1b[K"
_INTERVAL = 0.1


class Progress:
    """Counts pictures on stderr, where that is a terminal and there are several of them."""

    def __init__(self, total: int) -> None:
        self._total, self._done = total, 0
        self._shown = total > 1 and sys.stderr.isatty()
        self._start = self._last = time.monotonic()

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.erase()

    def erase(self) -> None:
        """Clears the line; to be called before anything else is printed."""
        if self._shown:
            print(_ERASE_LINE, end="", file=sys.stderr, flush=True)
            self._last = 0.0

    def step(self) -> None:
        """One more is done."""
        self._done += 1
        now = time.monotonic()
        if not self._shown or now - self._last < _INTERVAL:
            return
        self._last = now
        text = progress_line(self._done, self._total, now - self._start)
        print(f"{_ERASE_LINE}{text}", end="", file=sys.stderr, flush=True)


def progress_line(done: int, total: int, seconds: float) -> str:
    """For example "12/198 pictures  8.3 images/s  0:22 left"."""
    rate = done / max(seconds, 1e-9)
    left = round((total - done) / rate)
    clock = f"{left // 60}:{left % 60:02}"
    if left >= 3600:
        clock = f"{left // 3600}:{left // 60 % 60:02}:{left % 60:02}"
    return f"{done}/{total} pictures  {rate:.1f} images/s  {clock} left"
