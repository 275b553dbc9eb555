# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""The folder of a run, and what changes in it as steps are done."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from detops.whole_file import replacing
from training import checkpoint, distribution, replicas, schedule
from training.config import Config, load_config
from training.progress import RunLog
from training.report import versions
from training.run_folder import RunFolder

_STATE: dict[str, Any] = {
    "config": dict,
    "versions": dict,
    "labels": list,
    "seconds": (int, float),
    "evaluations": list,
    "last_losses": dict,
    "log": dict,
}
"""Of a checkpoint, besides the step."""
_FILES = (
    *("best.weights.h5", "best_float.weights.h5", "last.weights.h5", "config.json", "labels.txt"),
    *("metrics.jsonl", "report.json", "curves.png"),
)
_FOLDERS = ("checkpoints", "tensorboard")


class Run:
    """A run's folder and everything in it that changes as steps are done."""

    def __init__(
        self,
        kept: RunFolder,
        config: Config,
        detector: Any,
        labels: Sequence[str],
        data: str = "",
    ) -> None:
        """Begins a run or takes one up.

        Args:
          labels: the classes.
          data: what the pictures are told from others by.

        Raises:
          ValueError: the folder has checkpoints of another run, or only damaged ones, or something
            else in the place of what a run writes.
        """
        self.kept, self.config, self.detector = kept, config, detector
        folder = self.folder = kept.path
        _check_in_the_way(folder)
        self.labels = list(labels)
        self._data = data
        self.optimizer = schedule.optimizer(config)
        self.optimizer.build(detector.trainable_variables)
        self.done = 0
        """Steps done."""
        self.evaluations: list[dict[str, Any]] = []
        self.last_losses: dict[str, float] = {}
        self._seconds_before, self._began = 0.0, time.monotonic()
        saved = checkpoint.load_newest(
            folder / "checkpoints", lambda text: print(text, file=sys.stderr), self._check
        )
        _check_same_step(folder, 0 if saved is None else saved.step)
        self._writes = distribution.host() == 0
        self.log = RunLog(
            folder,
            steps=config.steps,
            batch_size=config.batch_size,
            every=config.log_every,
            writes=self._writes,
        )
        if saved is not None:
            self._take_up(saved)
        elif self._writes:
            _check_no_other_run(folder, config)
            self.log.metrics.unlink(missing_ok=True)
        if self._writes:
            _write_text(folder / "config.json", json.dumps(config.as_dict(), indent=2) + "\n")
            _write_text(folder / "labels.txt", "".join(f"{label}\n" for label in self.labels))

    @property
    def variables(self) -> list[Any]:
        """All that a step changes, in an order that a config fixes."""
        return [*self.detector.variables, *self.optimizer.variables]

    @property
    def seconds(self) -> float:
        """Wall time of the run, that before an interruption included, up to what was saved."""
        return self._seconds_before + time.monotonic() - self._began

    def save(self) -> None:
        """Writes a checkpoint of the steps done; of several hosts the first does."""
        if not self._writes:
            return
        state = {
            "config": self.config.as_dict(),
            "versions": self._versions(),
            "labels": self.labels,
            "seconds": self.seconds,
            "evaluations": self.evaluations,
            "last_losses": self.last_losses,
            "log": self.log.state(),
        }
        folder, keep = self.folder / "checkpoints", self.config.keep_checkpoints
        checkpoint.save(folder, self.done, self.variables, state, keep=keep)
        self.kept.send()

    def _check(self, saved: checkpoint.Checkpoint) -> None:
        """Refuses a checkpoint that this run cannot go on from."""
        for name, kind in _STATE.items():
            if not isinstance(saved.state.get(name), kind):
                raise ValueError(f"it has no {name!r}, or one of another kind")
        if missing := {*RunLog.STATE} - {*saved.state["log"]}:
            raise ValueError(f"its 'log' lacks {', '.join(sorted(missing))}")
        # A field that came later had its default.
        began_with = {**Config.defaults(), **saved.state["config"]}
        checkpoint.check_same_run(began_with, self.config.as_dict(), self.folder)
        if saved.state["labels"] != self.labels:
            raise checkpoint.AnotherRun(
                f"{self.folder} was trained on the classes "
                f"{', '.join(map(str, saved.state['labels']))}, "
                f"the data now holds {', '.join(self.labels)}"
            )
        if saved.step > self.config.steps:
            raise ValueError(f"it is of step {saved.step}, the run has {self.config.steps}")
        checkpoint.check_fits(saved, self.variables)

    def _take_up(self, saved: checkpoint.Checkpoint) -> None:
        checkpoint.restore(saved, self.variables)
        self.done = saved.step
        self.evaluations = saved.state["evaluations"]
        self.last_losses = saved.state["last_losses"]
        self._seconds_before = saved.state["seconds"]
        self.log.go_on_from(saved.step, saved.state["log"])
        self.log.note(
            f"going on after step {saved.step} from {self.kept.place}/checkpoints/{saved.path.name}"
        )
        changed = [
            f"{name} {old} is now {self._versions().get(name)}"
            for name, old in saved.state["versions"].items()
            if self._versions().get(name) != old
        ]
        if changed:
            self.log.note(f"not bit for bit as without a stop: {', '.join(changed)}")

    def _versions(self) -> dict[str, str]:
        # Sums over more or fewer replicas are rounded otherwise; other pictures are other steps.
        return {**versions(), "replicas": str(replicas.count()), "data": self._data}


def _check_in_the_way(folder: Path) -> None:
    """Told before the first step, not after the last one: most of it is written at the end."""
    for name in _FILES:
        path = folder / name
        # A pipe would be waited for.
        if path.exists() and not path.is_file():
            raise ValueError(f"{path} is no file, expected one or nothing in its place")
    for name in _FOLDERS:
        path = folder / name
        # A link to nothing is in the way as well.
        if (path.exists() or path.is_symlink()) and not path.is_dir():
            raise ValueError(f"{path} is no folder, expected one or nothing in its place")


def _check_no_other_run(folder: Path, config: Config) -> None:
    """Refuses to write over the weights of a finished run whose checkpoints were deleted."""
    if not any(folder.glob("*.weights.h5")) or not (folder / "config.json").is_file():
        return
    before = load_config(folder / "config.json").as_dict()
    checkpoint.check_same_run(before, config.as_dict(), folder, has="weights")


def _check_same_step(folder: Path, step: int) -> None:
    steps = distribution.from_all_hosts(step)
    if len(set(steps)) > 1:
        raise ValueError(
            f"{folder}: the hosts find checkpoints of steps {', '.join(map(str, steps))}, expected "
            "one folder that all of them see"
        )


def _write_text(path: Path, text: str) -> None:
    with replacing(path) as unfinished:
        unfinished.write_text(text, encoding="utf-8")
