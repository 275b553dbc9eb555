# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Files of weights: written whole or not at all, and told from damaged ones."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("keras")
pytest.importorskip("h5py")

import keras

from child_process import environment
from training.weights_file import is_weights_file, save_weights


def _model() -> Any:
    model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(8), keras.layers.Dense(4)])
    for number, variable in enumerate(model.variables):
        variable.assign(np.full(variable.shape, number, np.float32))
    return model


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    path = tmp_path / "a.weights.h5"
    save_weights(_model(), path)
    other = _model()
    for variable in other.variables:
        variable.assign(np.full(variable.shape, 9, np.float32))
    other.load_weights(path)
    assert [float(np.max(v)) for v in other.get_weights()] == [0, 1, 2, 3]
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


@pytest.mark.fault
@pytest.mark.skipif(sys.platform == "win32", reason="limits of POSIX")
def test_a_full_disk_is_an_error_and_the_old_weights_stay(tmp_path: Path) -> None:
    path = tmp_path / "a.weights.h5"
    save_weights(_model(), path)
    before = path.read_bytes()
    # HDF5 ended the process here. A file that may not grow is what a full disk is.
    code = (
        "import resource, sys\n"
        "from pathlib import Path\n"
        "from test_training_weights_file import _model, save_weights\n"
        "path, model = Path(sys.argv[1]), _model()\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size // 2,) * 2)\n"
        "try:\n"
        "    save_weights(model, path)\n"
        "except OSError as error:\n"
        "    assert error.filename == str(path), error\n"
        "    sys.exit(7)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 7, done.stderr
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


DAMAGES: dict[str, Callable[[Path], object]] = {
    "gone": Path.unlink,
    "empty": lambda path: path.write_bytes(b""),
    "half": lambda path: os.truncate(path, path.stat().st_size // 2),
    "noise": lambda path: path.write_bytes(bytes(range(256)) * 40),
    "a folder": lambda path: (path.unlink(), path.mkdir()),
    "a link to nothing": lambda path: (path.unlink(), path.symlink_to("nowhere")),
}
if hasattr(os, "mkfifo"):
    DAMAGES["a pipe"] = lambda path: (path.unlink(), os.mkfifo(path))


@pytest.mark.fault
@pytest.mark.parametrize("damage", list(DAMAGES))
def test_damaged_files_are_told_from_whole_ones(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "a.weights.h5"
    save_weights(_model(), path)
    assert is_weights_file(path)
    DAMAGES[damage](path)
    assert not is_weights_file(path)
