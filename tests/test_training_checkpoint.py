# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Checkpoints: whole or not there, the newest good one, and refusals."""

from __future__ import annotations

import io
import os
import shutil
import sys
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("keras")

import keras

from training import checkpoint


def _variables(fill: float) -> list[Any]:
    return [
        keras.Variable(np.full((2, 3), fill, np.float32), name="kernel"),
        keras.Variable(np.full(3, -fill, np.float32), name="bias"),
        keras.Variable(np.int32(7), dtype="int32", name="iteration", trainable=False),
    ]


def _saved(folder: Path, *steps: int, keep: int = 10) -> None:
    for step in steps:
        checkpoint.save(folder, step, _variables(step), {"seconds": 0.1}, keep=keep)


def test_what_was_saved_comes_back(tmp_path: Path) -> None:
    _saved(tmp_path, 3)
    found = checkpoint.load_newest(tmp_path, pytest.fail)
    assert found is not None
    assert (found.step, found.state) == (3, {"seconds": 0.1, "step": 3})
    variables = _variables(0)
    checkpoint.restore(found, variables)
    assert np.asarray(variables[0]).tolist() == [[3.0] * 3] * 2
    assert np.asarray(variables[1]).tolist() == [-3.0] * 3


def test_the_last_few_stay(tmp_path: Path) -> None:
    _saved(tmp_path, 5, 10, 100, 20, keep=2)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["step_00000020.npz", "step_00000100.npz"]


def test_an_empty_folder_has_none(tmp_path: Path) -> None:
    assert checkpoint.load_newest(tmp_path / "none", pytest.fail) is None
    (tmp_path / "step_00000004.tmp").write_bytes(b"half")
    assert checkpoint.load_newest(tmp_path, pytest.fail) is None


def _archive(path: Path, compression: int = zipfile.ZIP_STORED, **members: bytes) -> None:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)


def _array(value: Any) -> bytes:
    stream = io.BytesIO()
    np.save(stream, value, allow_pickle=True)
    return stream.getvalue()


def _header(shape: tuple[int, ...]) -> bytes:
    stream = io.BytesIO()
    form = {"descr": "<f8", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(stream, form)
    return stream.getvalue()


def _text(text: str) -> bytes:
    return _array(np.frombuffer(text.encode(), np.uint8))


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    # A float's bytes behind its header.
    content[content.index(np.float32(2).tobytes() * 6)] ^= 1
    path.write_bytes(content)


def _save_others(path: Path, variables: list[Any]) -> None:
    checkpoint.save(path.parent, 2, variables, {}, keep=10)


def _instead(path: Path, make: Callable[[Path], object]) -> None:
    path.unlink()
    make(path)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "truncated": lambda path: os.truncate(path, path.stat().st_size - 40),
    "emptied": lambda path: path.write_bytes(b""),
    "flipped": _flip,
    "no archive": lambda path: path.write_bytes(b"weights" * 1000),
    "a single array": lambda path: path.write_bytes(_array(np.zeros(3))),
    "a folder": lambda path: _instead(path, Path.mkdir),
    "a link to nothing": lambda path: _instead(path, lambda p: p.symlink_to("nowhere")),
    "a link to itself": lambda path: _instead(path, lambda p: p.symlink_to(p)),
    "a pipe": lambda path: _instead(path, os.mkfifo),
    "of another step": lambda path: shutil.copy(path.with_name("step_00000001.npz"), path),
    "a pickle": lambda path: _archive(path, state=_array(np.array([{}]))),
    "a bomb": lambda path: _archive(path, zipfile.ZIP_DEFLATED, state=bytes(1 << 28)),
    "a huge shape": lambda path: _archive(path, state=_header((1 << 45,)) + bytes(99)),
    "a shape that overflows": lambda path: _archive(path, state=_header((1 << 40, 1 << 40))),
    "no state": lambda path: _archive(path, kernel=_array(np.zeros(3))),
    "a state that is no JSON": lambda path: _archive(path, state=_text("{")),
    "a nested state": lambda path: _archive(path, state=_text("[" * 100_000)),
    "a state of no step": lambda path: _archive(path, state=_text("[]")),
    "an array more": lambda path: _save_others(path, [*_variables(2), *_variables(2)[:1]]),
    "an array less": lambda path: _save_others(path, _variables(2)[:-1]),
    "another shape": lambda path: _save_others(
        path, [keras.Variable(np.zeros((4, 3)), name="kernel"), *_variables(2)[1:]]
    ),
    "another type": lambda path: _save_others(
        path, [keras.Variable(np.zeros((2, 3)), dtype="int32", name="kernel"), *_variables(2)[1:]]
    ),
}


def _fits(found: checkpoint.Checkpoint) -> None:
    checkpoint.check_fits(found, _variables(0))


@pytest.mark.fault
@pytest.mark.parametrize("damage", list(DAMAGES))
def test_a_damaged_one_falls_back_to_the_one_before(tmp_path: Path, damage: str) -> None:
    if damage == "a pipe" and sys.platform == "win32":
        pytest.skip("pipes of POSIX")
    _saved(tmp_path, 1, 2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        DAMAGES[damage](tmp_path / "step_00000002.npz")
    told: list[str] = []
    found = checkpoint.load_newest(tmp_path, told.append, _fits)
    assert found is not None
    assert found.step == 1
    assert len(told) == 1
    assert "step_00000002.npz is damaged" in told[0]
    # It is still there, and not in the way of those that come.
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "step_00000001.npz",
        "step_00000002.npz.damaged",
    ]
    _saved(tmp_path, 2, 3, keep=2)
    assert checkpoint.load_newest(tmp_path, pytest.fail, _fits) is not None
    names = [p.name for p in tmp_path.glob("*.npz")]
    assert sorted(names) == ["step_00000002.npz", "step_00000003.npz"]


@pytest.mark.fault
def test_only_damaged_ones_are_an_error(tmp_path: Path) -> None:
    _saved(tmp_path, 1, 2)
    for step in (1, 2):
        (tmp_path / f"step_0000000{step}.npz").write_bytes(b"PK")
    with pytest.raises(ValueError, match=r"none of the 2 checkpoints in .* can be used, .*delete"):
        checkpoint.load_newest(tmp_path, pytest.fail)
    assert len(list(tmp_path.glob("*.npz"))) == 2


@pytest.mark.fault
def test_those_of_another_run_are_an_error_and_stay(tmp_path: Path) -> None:
    _saved(tmp_path, 1, 2)

    def refuse(found: checkpoint.Checkpoint) -> None:
        raise checkpoint.AnotherRun(f"{found.step} is of another run")

    with pytest.raises(checkpoint.AnotherRun, match="2 is of another run"):
        checkpoint.load_newest(tmp_path, pytest.fail, refuse)
    assert len(list(tmp_path.glob("*.npz"))) == 2


@pytest.mark.fault
def test_what_is_in_the_way_of_the_last_few_stays(tmp_path: Path) -> None:
    (tmp_path / "step_00000001.npz").mkdir()
    (tmp_path / "step_00000001.tmp").mkdir()
    _saved(tmp_path, 2, 3, 4, keep=2)
    assert not (tmp_path / "step_00000002.npz").exists()
    found = checkpoint.load_newest(tmp_path, pytest.fail, _fits)
    assert found is not None
    assert found.step == 4


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    _saved(tmp_path, 1)
    with pytest.raises(TypeError):
        checkpoint.save(tmp_path, 2, _variables(2), {"bad": object()}, keep=3)
    assert [p.name for p in tmp_path.iterdir()] == ["step_00000001.npz"]


def test_another_model_is_refused(tmp_path: Path) -> None:
    _saved(tmp_path, 1)
    found = checkpoint.load_newest(tmp_path, pytest.fail)
    assert found is not None
    with pytest.raises(ValueError, match="holds 3 variables, the model and its optimizer have 2"):
        checkpoint.restore(found, _variables(0)[:2])
    others = [keras.Variable(np.zeros((4, 3)), name="kernel"), *_variables(0)[1:]]
    with pytest.raises(ValueError, match=r"holds kernel of shape \[2, 3\] where .* \[4, 3\]"):
        checkpoint.restore(found, others)


def test_another_config_is_refused_with_the_keys_named(tmp_path: Path) -> None:
    saved = {"batch_size": 8, "steps": 10, "log_every": 20}
    checkpoint.check_same_run(saved, {**saved, "log_every": 1}, tmp_path)
    with pytest.raises(ValueError, match="batch_size was 8 and is 4; steps was 10 and is 11"):
        checkpoint.check_same_run(saved, {"batch_size": 4, "steps": 11, "log_every": 1}, tmp_path)


def test_changeable_keys_are_keys() -> None:
    from training.config import Config

    assert set(Config.__dataclass_fields__) >= checkpoint.CHANGEABLE
