# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Files of weights, which Keras writes with HDF5: whole or not there."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from detops.whole_file import replacing

# Of HDF5's own, for each variable; about 1.6 KiB were found.
_FRAME_BYTES = 4096
_CHUNK = 1 << 20


def save_weights(model: Any, path: Path) -> None:
    """Writes the weights of a Keras model, or leaves what was there.

    HDF5 ends the process with a segmentation fault where a disk is full when it closes a file. So
    the room is taken first, by writes that are errors of Python's.

    Args:
      path: its name ends in .weights.h5.

    Raises:
      OSError: the disk is full, for example.
    """
    with replacing(path) as unfinished:
        _take_room(unfinished, sum(_bytes_of(variable) for variable in model.variables))
        model.save_weights(unfinished)


def is_weights_file(path: Path) -> bool:
    """Whether a file is there that HDF5 opens: not one that is cut off or something else."""
    import h5py

    # HDF5 would wait for the writer of a pipe.
    if not path.is_file():
        return False
    try:
        with h5py.File(path):
            return True
    # Of damage HDF5 makes an OSError, a RuntimeError or a KeyError.
    except Exception:
        return False


def _bytes_of(variable: Any) -> int:
    # None of ours is wider than float32.
    return int(np.prod(variable.shape)) * 4 + _FRAME_BYTES


def _take_room(path: Path, size: int) -> None:
    zeros = bytes(_CHUNK)
    with path.open("wb") as file:
        for begin in range(0, size, _CHUNK):
            file.write(zeros[: min(_CHUNK, size - begin)])
        file.flush()
        # Some file systems only say at the end that they are full.
        os.fsync(file.fileno())
