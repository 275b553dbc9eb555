# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""What a run tells while it runs: a line on the console, metrics.jsonl, and TensorBoard."""

from __future__ import annotations

import errno
import json
import math
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from numpy.typing import NDArray

from detops.whole_file import replacing


class RunLog:
    """The log of a run. Losses are means over the steps since the line before."""

    STATE = ("step_seconds", "timed_steps", "window")
    """Names of what a checkpoint keeps of it."""

    def __init__(
        self,
        folder: Path,
        *,
        steps: int,
        batch_size: int,
        every: int,
        stream: TextIO | None = None,
        writes: bool = True,
    ) -> None:
        """
        Args:
          folder: of the run; exists.
          every: steps between lines.
          stream: where the console's lines go; None for stderr.
          writes: of several hosts the first does; the log of another is silent.
        """
        self.metrics = folder / "metrics.jsonl"
        self.step_seconds = 0.0
        """Time in steps so far, without the first of each phase, which compiles."""
        self.timed_steps = 0
        self._steps, self._batch_size, self._every = steps, batch_size, every
        self._writes = writes
        self._stream = stream or sys.stderr
        self._in_place = self._stream.isatty()
        self._line_length = 0
        self._window: list[dict[str, float]] = []
        self._window_seconds: list[float] = []
        self._board = _summary_writer(folder / "tensorboard") if writes else None

    def go_on_from(self, step: int, state: Mapping[str, Any]) -> None:
        """Takes up a log at a checkpoint: lines of later steps, done but not saved, are dropped."""
        self.step_seconds, self.timed_steps = state["step_seconds"], state["timed_steps"]
        self._window = list(state["window"])
        if not self._writes or not self.metrics.exists():
            return
        lines = [line for line in _lines(self.metrics) if _step_of(line) <= step]
        with replacing(self.metrics) as path:
            path.write_text("".join(f"{line}\n" for line in lines))

    def state(self) -> dict[str, Any]:
        """What `go_on_from` needs."""
        return {
            "step_seconds": self.step_seconds,
            "timed_steps": self.timed_steps,
            "window": self._window,
        }

    def step(
        self, step: int, terms: Mapping[str, float], rate: float, seconds: float | None
    ) -> None:
        """Notes a step; every few steps, writes a line.

        Args:
          step: steps done.
          terms: the terms of the loss.
          rate: learning rate.
          seconds: the step's time; None for one that compiled.
        """
        self._window.append(dict(terms))
        if seconds is not None:
            self.step_seconds += seconds
            self.timed_steps += 1
            self._window_seconds.append(seconds)
        due = step % self._every == 0 or step == self._steps
        if self._writes and (due or self._in_place):
            self._show(step, rate)
        if not due:
            return
        record: dict[str, float] = {"loss": self._mean_loss(), **self._mean_terms()}
        record["learning_rate"] = rate
        if self._window_seconds:
            record["images_per_second"] = self._images_per_second()
        self._write(step, record)
        self._window, self._window_seconds = [], []

    def evaluation(self, step: int, numbers: Mapping[str, float], seconds: float) -> None:
        """Notes the twelve numbers of a scoring."""
        known = {name: value for name, value in numbers.items() if not math.isnan(value)}
        self._write(step, known, prefix="validation/")
        self.note(
            f"step {step}: AP {numbers['ap']:.4f}, AP50 {numbers['ap50']:.4f}, "
            f"AR100 {numbers['ar100']:.4f} ({seconds:.1f} s)"
        )

    def images(self, step: int, images: NDArray[np.uint8]) -> None:
        """Shows images [b, H, W, 3] with what was found in them, in TensorBoard."""
        if self._board is not None:
            import tensorflow as tf

            with self._board.as_default(step=step):
                tf.summary.image("validation", images, max_outputs=len(images))
            self._board.flush()

    def note(self, text: str) -> None:
        """Writes a line to the console."""
        if self._writes:
            self._end_line()
            tell(text, self._stream)

    def close(self) -> None:
        self._end_line()
        if self._board is not None:
            self._board.close()

    def _show(self, step: int, rate: float) -> None:
        terms = self._mean_terms()
        speed = f"{self._images_per_second():.1f} images/s" if self._window_seconds else "compiled"
        left = ""
        if self.timed_steps:
            seconds = (self._steps - step) * self.step_seconds / self.timed_steps
            left = f", {readable_time(seconds)} left"
        losses = ", ".join(f"{name} {value:.4f}" for name, value in terms.items())
        line = (
            f"step {step}/{self._steps}: loss {self._mean_loss():.4f} ({losses}), "
            f"rate {rate:.3g}, {speed}{left}"
        )
        if not self._in_place:
            tell(line, self._stream)
            return
        tell(f"\r{line.ljust(self._line_length)}", self._stream, end="")
        self._line_length = len(line)

    def _end_line(self) -> None:
        if self._line_length:
            tell("", self._stream)
            self._line_length = 0

    def _mean_terms(self) -> dict[str, float]:
        names = self._window[-1]
        return {n: sum(t[n] for t in self._window) / len(self._window) for n in names}

    def _mean_loss(self) -> float:
        return sum(self._mean_terms().values())

    def _images_per_second(self) -> float:
        seconds = max(sum(self._window_seconds), 1e-9)
        return self._batch_size * len(self._window_seconds) / seconds

    def _write(self, step: int, record: Mapping[str, float], prefix: str = "") -> None:
        if not self._writes:
            return
        names = {f"{prefix}{name}": value for name, value in record.items()}
        with self.metrics.open("a") as file:
            print(json.dumps({"step": step, **names}), file=file)
        if self._board is not None:
            import tensorflow as tf

            with self._board.as_default(step=step):
                for name, value in names.items():
                    tf.summary.scalar(name if prefix else f"training/{name}", value)
            self._board.flush()


def tell(text: str, stream: TextIO, end: str = "\n") -> None:
    """Prints at once. A terminal that is gone takes what comes from then on, and says nothing: its
    window was closed, or the connection to it was lost."""
    try:
        print(text, end=end, file=stream, flush=True)
    except OSError as error:
        if error.errno != errno.EIO:
            raise
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def readable_time(seconds: float) -> str:
    """Like "2 h 05 min", "3 min 20 s" or "12 s"."""
    whole = round(seconds)
    hours, minutes = whole // 3600, whole // 60 % 60
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {whole % 60:02d} s" if minutes else f"{whole} s"


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The records of a metrics.jsonl; a last line that a kill cut short is left out, and whatever
    else is not ours."""
    lines = _lines(path) if path.exists() else []
    return [json.loads(line) for line in lines if _step_of(line) < math.inf]


def _lines(path: Path) -> list[str]:
    return path.read_bytes().decode(errors="replace").splitlines()


def _step_of(line: str) -> float:
    """Infinite for a line that is not one of the log: names and finite numbers."""
    try:
        record = json.loads(line)
        if all(math.isfinite(value) for value in record.values()):
            return float(record["step"])
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        pass
    return math.inf


def _summary_writer(folder: Path) -> Any:
    """TensorFlow's writer of TensorBoard's files; None where either is not installed."""
    try:
        # TensorFlow writes its summaries with TensorBoard's code, and fails only then without it.
        import tensorboard  # noqa: F401
        import tensorflow as tf
    except ImportError:
        return None
    try:
        return tf.summary.create_file_writer(str(folder))
    except tf.errors.OpError as error:
        # TensorFlow's own, and no OSError: a disk that is full or may not be written.
        raise OSError(f"{folder} cannot be written: {error.message}") from error
