# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""The weights of one of our own detectors, saved by a run."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from keras import ops
from numpy.typing import NDArray

from training.warm_start.block_weights import convolutions_of
from training.warm_start.load_report import LoadReport

_NOT_LOADED = -3e38
_CLASS_HEADS = re.compile(r"/classes_")


def is_own(path: Path) -> bool:
    """Whether an .h5 file was saved by a detector of this package."""
    import h5py

    try:
        with h5py.File(path) as file:
            return "backbone" in file
    # Of damage HDF5 makes an OSError, a RuntimeError or a KeyError.
    except Exception as error:
        raise ValueError(f"{path} is not a readable .h5 file: {error}") from error


def load_own(model: Any, path: Path) -> LoadReport:
    """Loads a detector of the same kind; one of other classes without its class heads.

    Raises:
      ValueError: something else does not fit; the model is then as it was.
    """
    before = [ops.convert_to_numpy(variable) for variable in model.variables]
    # What stays so was not in the file. Not NaN: of several hosts JAX compares what they assign.
    for variable, value in zip(model.variables, before, strict=True):
        variable.assign(np.full(value.shape, _NOT_LOADED, value.dtype))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.load_weights(str(path), skip_mismatch=True)
        missing = [v.path for v in model.variables if not _is_loaded(ops.convert_to_numpy(v))]
        others = [name for name in missing if not _CLASS_HEADS.search(name)]
        if others:
            raise ValueError(
                f"{path} does not fit the model: nothing for {others[0]} and "
                f"{len(others) - 1} more, expected a detector of the same architecture and depth"
            )
    # What Keras and h5py raise on files that are damaged, or another model's.
    except Exception as error:
        for variable, value in zip(model.variables, before, strict=True):
            variable.assign(value)
        what = str(error) if str(path) in str(error) else f"{path} cannot be loaded: {error!r}"
        raise ValueError(what) from error
    for variable, value in zip(model.variables, before, strict=True):
        if variable.path in missing:
            variable.assign(value)
    return _report(model, path, set(missing))


def _is_loaded(value: NDArray[Any]) -> bool:
    return not ((value == np.float32(_NOT_LOADED)) | np.isnan(value)).any()


def _report(model: Any, path: Path, missing: set[str]) -> LoadReport:
    loaded: list[Any] = []
    fresh: list[str] = []
    for block in convolutions_of(model):
        whole = not any(variable.path in missing for variable in block.variables)
        (loaded if whole else fresh).append(block if whole else block.path)
    ranges = sum(v.path.endswith("/maximum") and v.path not in missing for v in model.variables)
    note = "the file's classes are others: its class heads were left out"
    return LoadReport(
        source=f"{path} (a detector of ours)",
        loaded=tuple(loaded),
        fresh=tuple(fresh),
        ranges=ranges,
        notes=(note,) if missing else (),
    )
