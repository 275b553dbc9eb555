# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Everything that a run needs to go on as if it had never stopped, in one file for each checkpoint.

A file is a NumPy .npz of all variables and a JSON text. It is written under another name and then
renamed, so a name that exists is a whole file; what a disk damages later, the archive's checksums
find. It holds no code and does not depend on the Keras backend.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from detops.whole_file import open_regular

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
    # The second are left by a run that was killed while it wrote.
    for old in (*_paths(folder)[:-keep], *folder.glob("step_*.tmp")):
        # What was saved counts, not what somebody put in the way: a folder, for example.
        with contextlib.suppress(OSError):
            old.unlink(missing_ok=True)
    return path


def load_newest(
    folder: Path,
    warn: Callable[[str], None],
    check: Callable[[Checkpoint], None] = lambda found: None,
) -> Checkpoint | None:
    """The newest checkpoint that can be used, or None if there is none at all.

    Those that cannot are given another name, so that they are neither in the way of new ones nor
    counted among those that are kept; nothing is deleted.

    Args:
      warn: told of each file that was passed over.
      check: refuses what was read by raising ValueError.

    Raises:
      AnotherRun: every one is refused, the newest for being another run's.
      ValueError: there are checkpoints, and not one can be used; nothing is renamed.
    """
    refused: dict[Path, Exception] = {}
    for path in reversed(_paths(folder)):
        try:
            found = _read(path)
            check(found)
        # A file can be wrong in every way there is.
        except Exception as error:
            refused[path] = error
            continue
        for other, problem in refused.items():
            aside = _put_aside(other)
            warn(f"{other} is damaged ({problem}); it is {aside} now, going back to the one before")
        return found
    if not refused:
        return None
    for problem in refused.values():
        if isinstance(problem, AnotherRun):
            raise problem
    raise ValueError(
        f"none of the {len(refused)} checkpoints in {folder} can be used, the newest one: "
        f"{next(iter(refused.values()))}; to begin anew, delete them or give another --out"
    )


def restore(checkpoint: Checkpoint, variables: Sequence[Any]) -> None:
    """Assigns the values of a checkpoint to variables in the order in which they were saved.

    Raises:
      ValueError: another number of variables, or one of another name or shape.
    """
    check_fits(checkpoint, variables)
    pairs = zip(sorted(checkpoint.arrays.items()), variables, strict=True)
    for (_, array), variable in pairs:
        variable.assign(array)


def check_fits(checkpoint: Checkpoint, variables: Sequence[Any]) -> None:
    """Refuses what `restore` would.

    Raises:
      ValueError: another number of variables, or one of another name, type or shape.
    """
    if len(checkpoint.arrays) != len(variables):
        raise ValueError(
            f"{checkpoint.path} holds {len(checkpoint.arrays)} variables, "
            f"the model and its optimizer have {len(variables)}"
        )
    for (name, array), variable in zip(sorted(checkpoint.arrays.items()), variables, strict=True):
        saved = name.rpartition("/")[2]
        if saved != _plain_name(variable) or array.shape != tuple(variable.shape):
            raise ValueError(
                f"{checkpoint.path} holds {saved} of shape {list(array.shape)} where the model has "
                f"{variable.path} of shape {list(variable.shape)}"
            )
        # Not the very type: backends count steps in 32 or 64 bits.
        if _kind(array.dtype) != _kind(np.dtype(keras.backend.standardize_dtype(variable.dtype))):
            raise ValueError(
                f"{checkpoint.path} holds {saved} as {array.dtype} where the model has "
                f"{variable.path} as {variable.dtype}"
            )


class AnotherRun(ValueError):
    """A checkpoint is whole, and of another config or other classes."""


def check_same_run(
    saved: Mapping[str, Any], config: Mapping[str, Any], folder: Path, *, has: str = "checkpoints"
) -> None:
    """Refuses to go on with another config than a run began with.

    Raises:
      AnotherRun: a key that is not in CHANGEABLE differs; each is named with both values.
    """
    differing = [
        f"{key} was {saved.get(key)!r} and is {config.get(key)!r}"
        for key in sorted({*saved, *config} - CHANGEABLE)
        if saved.get(key) != config.get(key)
    ]
    if differing:
        raise AnotherRun(
            f"{folder} has {has} of another run: {'; '.join(differing)}; "
            "give another --out, or the same values"
        )


def _key(index: int, variable: Any) -> str:
    return f"{index:05d}/{_plain_name(variable)}"


def _plain_name(variable: Any) -> str:
    # Keras numbers unnamed layers through a process, and optimizers repeat that in their names.
    return re.sub(r"_?\d+", "", variable.name)


def _kind(dtype: np.dtype[Any]) -> str:
    return "integer" if dtype.kind in "iu" else dtype.kind


def _paths(folder: Path) -> list[Path]:
    """Oldest first."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if _NAME.fullmatch(path.name))


def _read(path: Path) -> Checkpoint:
    # Opened here: NumPy leaves the file of a damaged archive open.
    with open_regular(path) as file:
        _check_archive(file, path.stat().st_size)
        with np.load(file, allow_pickle=False) as archive:
            # Each access reads the whole member and compares its checksum.
            arrays = {name: archive[name] for name in archive.files}
    if _STATE not in arrays:
        raise ValueError(f"it holds no {_STATE!r}")
    state = json.loads(arrays.pop(_STATE).tobytes().decode())
    step = int(path.stem.partition("_")[2])
    if not isinstance(state, dict) or state.get("step") != step:
        found = state.get("step") if isinstance(state, dict) else None
        raise ValueError(f"it is of step {found!r}, expected {step} as its name says")
    return Checkpoint(path, step, state, arrays)


def _check_archive(file: BinaryIO, size: int) -> None:
    """Refuses what no run has written and would take more memory than the file has bytes."""
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
    if any(member.compress_type != zipfile.ZIP_STORED for member in members):
        raise ValueError("its arrays are compressed, expected them plain")
    if sum(member.file_size for member in members) > size:
        raise ValueError("its arrays have more bytes than the file")
    if len({member.filename for member in members}) < len(members):
        raise ValueError("two of its arrays have the same name")
    file.seek(0)


def _put_aside(path: Path) -> str:
    """Gives a file, or whatever is there in its place, a name that is no checkpoint's."""
    names = (f"{path.name}.damaged{number or ''}" for number in itertools.count())
    aside = next(path.with_name(name) for name in names if not path.with_name(name).exists())
    # Of several hosts another may have been faster, and a folder may not be ours to change.
    with contextlib.suppress(OSError):
        path.rename(aside)
    return aside.name
