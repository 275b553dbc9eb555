# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Everything that a run needs to go on as if it had never stopped, in one file for each checkpoint.

A file is a NumPy .npz of all variables and a JSON text. It is written under another name and then
renamed, so a name that exists is a whole file; what a disk damages later, the archive's checksums
find. It holds no code and does not depend on the Keras backend.
"""

from __future__ import annotations

import json
import os
import re
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from keras import ops
from numpy.typing import NDArray

_NAME = re.compile(r"step_(\d{8})\.npz")
_STATE = "state"

CHANGEABLE = frozenset(
    {
        "cache_folder",
        "checkpoint_every",
        "data_service",
        "deterministic",
        "distribute",
        "evaluate_every",
        "host_timeout",
        "jit_compile",
        "keep_checkpoints",
        "log_every",
        "nms_iou_threshold",
        "validation_data",
        "validation_images",
        "validation_list",
        "warm_start",
    }
)
"""Config keys that may differ when a run goes on: they do not change what is computed."""


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint that was read in full."""

    path: Path
    step: int
    state: dict[str, Any]
    arrays: dict[str, NDArray[Any]]


def save(
    folder: Path, step: int, variables: Sequence[Any], state: Mapping[str, Any], *, keep: int
) -> Path:
    """Writes a checkpoint and deletes all but the newest `keep`.

    Args:
      folder: made if it does not exist.
      step: steps done.
      variables: Keras variables; their order counts.
      state: whatever else, as JSON can hold it.

    Raises:
      OSError: the disk is full, for example. Older checkpoints are then untouched.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"step_{step:08d}.npz"
    arrays: dict[str, Any] = {
        _key(index, variable): ops.convert_to_numpy(variable)
        for index, variable in enumerate(variables)
    }
    arrays[_STATE] = np.frombuffer(json.dumps({**state, "step": step}).encode(), np.uint8)
    unfinished = path.with_suffix(".tmp")
    try:
        with unfinished.open("wb") as file:
            np.savez(file, **arrays)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
    for old in _paths(folder)[:-keep]:
        old.unlink(missing_ok=True)
    # Left by a run that was killed while it wrote.
    for left in folder.glob("step_*.tmp"):
        left.unlink(missing_ok=True)
    return path


def load_newest(folder: Path, warn: Callable[[str], None]) -> Checkpoint | None:
    """The newest checkpoint that can be read, or None if there is none at all.

    Args:
      warn: told of each damaged file that was passed over.

    Raises:
      ValueError: there are checkpoints, and every one is damaged.
    """
    paths = _paths(folder)
    for path in reversed(paths):
        try:
            return _read(path)
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            warn(f"{path} is damaged ({error}); going back to the one before")
    if paths:
        raise ValueError(
            f"none of the {len(paths)} checkpoints in {folder} can be read; "
            "to begin anew, delete them or give another --out"
        )
    return None


def restore(checkpoint: Checkpoint, variables: Sequence[Any]) -> None:
    """Assigns the values of a checkpoint to variables in the order in which they were saved.

    Raises:
      ValueError: another number of variables, or one of another name or shape.
    """
    if len(checkpoint.arrays) != len(variables):
        raise ValueError(
            f"{checkpoint.path} holds {len(checkpoint.arrays)} variables, "
            f"the model and its optimizer have {len(variables)}"
        )
    pairs = list(zip(sorted(checkpoint.arrays.items()), variables, strict=True))
    for (name, array), variable in pairs:
        saved = name.rpartition("/")[2]
        if saved != _plain_name(variable) or array.shape != tuple(variable.shape):
            raise ValueError(
                f"{checkpoint.path} holds {saved} of shape {list(array.shape)} where the model has "
                f"{variable.path} of shape {list(variable.shape)}"
            )
    for (_, array), variable in pairs:
        variable.assign(array)


def check_same_run(saved: Mapping[str, Any], config: Mapping[str, Any], folder: Path) -> None:
    """Refuses to go on with another config than a run began with.

    Raises:
      ValueError: a key that is not in CHANGEABLE differs; each is named with both values.
    """
    differing = [
        f"{key} was {saved.get(key)!r} and is {config.get(key)!r}"
        for key in sorted({*saved, *config} - CHANGEABLE)
        if saved.get(key) != config.get(key)
    ]
    if differing:
        raise ValueError(
            f"{folder} has checkpoints of another run: {'; '.join(differing)}; "
            "give another --out, or the same values"
        )


def _key(index: int, variable: Any) -> str:
    return f"{index:05d}/{_plain_name(variable)}"


def _plain_name(variable: Any) -> str:
    # Keras numbers unnamed layers through a process, and optimizers repeat that in their names.
    return re.sub(r"_?\d+", "", variable.name)


def _paths(folder: Path) -> list[Path]:
    """Oldest first."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if _NAME.fullmatch(path.name))


def _read(path: Path) -> Checkpoint:
    # Opened here: NumPy leaves the file of a damaged archive open.
    with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
        # Each access reads the whole member and compares its checksum.
        arrays = {name: archive[name] for name in archive.files}
    state = json.loads(arrays.pop(_STATE).tobytes().decode())
    return Checkpoint(path, int(state["step"]), state, arrays)
