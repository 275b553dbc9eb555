# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Runs that are kept on a bucket, for which fsspec's memory:// stands in."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

fsspec = pytest.importorskip("fsspec", reason="fsspec is not installed")

import tiny_training  # noqa: E402
from training.run_folder import run_folder  # noqa: E402

_URL = "memory://bucket/run"


@pytest.fixture(autouse=True)
def store() -> Iterator[Any]:
    """The memory that stands in, empty before and after."""
    memory = fsspec.filesystem("memory")
    yield memory
    memory.store.clear()
    memory.pseudo_dirs[:] = [""]


def _names(store: Any) -> list[str]:
    return sorted(name.removeprefix("/bucket/run/") for name in store.find("/bucket/run"))


def _write(folder: Path, **contents: str) -> None:
    for name, content in contents.items():
        path = folder / name.replace("__", "/")
        path.parent.mkdir(exist_ok=True)
        path.write_text(content)


def test_a_path_is_a_folder_of_its_own(tmp_path: Path) -> None:
    with run_folder(tmp_path / "run") as folder:
        assert folder.path == tmp_path / "run"
        folder.send()


def test_what_was_sent_comes_back(store: Any) -> None:
    with run_folder(_URL) as folder:
        _write(folder.path, log="1", checkpoints__step_1="a", tensorboard__events_1="e")
        _write(folder.path, **{"checkpoints__step_2.tmp": "half", ".7.log": "half"})
        folder.send()
    assert _names(store) == ["checkpoints/step_1", "log", "tensorboard/events_1"]
    with run_folder(_URL) as folder:
        assert (folder.path / "log").read_text() == "1"
        assert (folder.path / "checkpoints" / "step_1").read_text() == "a"
        # Old checkpoints go, and the pictures of before stay.
        (folder.path / "checkpoints" / "step_1").unlink()
        _write(folder.path, log="12", checkpoints__step_2="b", tensorboard__events_2="f")
        folder.send()
    assert _names(store) == [
        "checkpoints/step_2",
        "log",
        "tensorboard/events_1",
        "tensorboard/events_2",
    ]
    assert store.cat_file("/bucket/run/log") == b"12"


def test_a_checkpoint_is_sent_behind_its_log(store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    put = type(store).put_file

    def note(self: Any, local: str, remote: str, **options: Any) -> None:
        order.append(remote.removeprefix("/bucket/run/"))
        put(self, local, remote, **options)

    monkeypatch.setattr(type(store), "put_file", note)
    with run_folder(_URL) as folder:
        _write(folder.path, metrics="1", checkpoints__step_1="a", best="w")
        folder.send()
        assert order == ["best", "metrics", "checkpoints/step_1"]
        folder.send()
        assert len(order) == 3


def test_a_kind_of_store_that_does_not_exist() -> None:
    with pytest.raises(ValueError, match="nowhere"), run_folder("nowhere://bucket/run"):
        pass


def test_a_preempted_run_goes_on_from_the_bucket(
    tmp_path: Path, store: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for needed in ("keras", "tensorflow", "PIL", "pycocotools", "matplotlib"):
        pytest.importorskip(needed)
    from training import train as trainer
    from training.config import Config
    from training.models.architectures import ARCHITECTURES
    from training.progress import RunLog

    monkeypatch.setitem(ARCHITECTURES, "tiny", tiny_training.tiny)
    pictures = tiny_training.write_pictures(tmp_path / "pictures")
    values = tiny_training.config(pictures, steps=4, quantize_from=-1, keep_checkpoints=1)
    trainer.train(Config(**values), tmp_path / "whole")

    log_step = RunLog.step

    def preempt(self: RunLog, step: int, *details: Any) -> None:
        log_step(self, step, *details)
        if step == 2:
            signal.raise_signal(signal.SIGTERM)

    with monkeypatch.context() as preempted:
        preempted.setattr(RunLog, "step", preempt)
        with pytest.raises(trainer.Stopped):
            trainer.train(Config(**values), _URL)
    assert "checkpoints/step_00000002.npz" in _names(store)
    trainer.train(Config(**values), _URL)
    assert [name for name in _names(store) if "checkpoints" in name] == [
        "checkpoints/step_00000004.npz"
    ]
    assert {"best.weights.h5", "config.json", "report.json"} <= set(_names(store))
    with run_folder(_URL) as folder:
        assert tiny_training.losses(folder.path) == tiny_training.losses(tmp_path / "whole")


@pytest.mark.fault
def test_two_runs_in_one_folder_are_refused(tmp_path: Path) -> None:
    pytest.importorskip("fcntl")
    out = tmp_path / "run"
    with run_folder(out):
        with pytest.raises(ValueError, match=r"run: another process trains in"), run_folder(out):
            pass
        # Of several hosts the first alone writes.
        with run_folder(out, writes=False):
            pass
    with run_folder(out):
        assert list(out.iterdir()) == []


@pytest.mark.fault
def test_a_run_folder_that_is_a_file_is_refused_before_anything_is_done(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("")
    for place in (tmp_path / "run", tmp_path / "run" / "mine"):
        with pytest.raises(OSError, match="run"), run_folder(place):
            pass
