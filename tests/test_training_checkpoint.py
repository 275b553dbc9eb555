# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Checkpoints: whole or not there, the newest good one, and refusals."""

from __future__ import annotations

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


@pytest.mark.parametrize("damage", ["truncated", "emptied", "flipped"])
def test_a_damaged_one_falls_back_to_the_one_before(tmp_path: Path, damage: str) -> None:
    _saved(tmp_path, 1, 2)
    newest = tmp_path / "step_00000002.npz"
    content = bytearray(newest.read_bytes())
    if damage == "flipped":
        # In the first array, which begins with -1 or a float's bytes behind its header.
        content[content.index(np.float32(2).tobytes() * 6)] ^= 1
    newest.write_bytes({"truncated": content[:-40], "emptied": b""}.get(damage, bytes(content)))
    warnings: list[str] = []
    found = checkpoint.load_newest(tmp_path, warnings.append)
    assert found is not None
    assert found.step == 1
    assert len(warnings) == 1
    assert "step_00000002.npz is damaged" in warnings[0]


def test_only_damaged_ones_are_an_error(tmp_path: Path) -> None:
    _saved(tmp_path, 1)
    (tmp_path / "step_00000001.npz").write_bytes(b"PK")
    with pytest.raises(ValueError, match=r"none of the 1 checkpoints in .* can be read"):
        checkpoint.load_newest(tmp_path, lambda text: None)


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
