# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Files that are not what a name promises: pipes, devices, folders, links, odd names."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import detops
from detops import convert, whole_file
from detops.cli import main
from detops.detector import load_image
from detops.evaluation import read_detections, read_ground_truth, read_voc
from detops.labels import labels_in_model, read_labels
from detops.model_file import ModelFile
from detops.whole_file import open_regular, read_regular, replacing

if sys.platform == "win32":
    pytest.skip("pipes and devices of POSIX", allow_module_level=True)

MODEL = Path(str(detops.__file__)).parent / "models" / "pet_faces.tflite"
READERS: dict[str, Callable[[Path], Any]] = {
    "model": ModelFile.read,
    "edited model": convert.tidy,
    "interpreter": detops.Interpreter,
    "packed labels": labels_in_model,
    "labels": read_labels,
    "picture": load_image,
    "annotations": read_ground_truth,
    "detections": read_detections,
    "metadata": convert.read_metadata,
}


@pytest.fixture(autouse=True)
def limit() -> Iterator[None]:
    """What waits for a pipe would wait for ever."""

    def give_up(number: int, frame: Any) -> None:
        raise TimeoutError(f"signal {number} in {frame}")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(120)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def _odd_file(kind: str, folder: Path) -> Path:
    path = folder / "file"
    if kind == "a pipe":
        os.mkfifo(path)
    elif kind == "a device":
        return Path("/dev/zero")
    elif kind == "a link to a device":
        path.symlink_to("/dev/urandom")
    elif kind == "a folder":
        path.mkdir()
    elif kind == "a link that leads nowhere":
        path.symlink_to("nowhere")
    elif kind == "a link in a circle":
        path.symlink_to("file")
    else:
        path.touch()
    return path


ODD = {
    "a pipe": "is a pipe, expected a regular file",
    "a device": "is a device, expected a regular file",
    "a link to a device": "is a device, expected a regular file",
    "a folder": "Is a directory",
    "a link that leads nowhere": "No such file",
    "a link in a circle": "Too many levels of symbolic links",
    "an empty file": "",
}


@pytest.mark.fault
@pytest.mark.parametrize("kind", ODD)
@pytest.mark.parametrize("reader", READERS)
def test_a_file_that_is_none_is_named(reader: str, kind: str, tmp_path: Path) -> None:
    if reader == "picture":
        pytest.importorskip("PIL")
    if reader in ("interpreter", "edited model"):
        pytest.importorskip("ai_edge_litert")
    path = _odd_file(kind, tmp_path)
    if kind == "an empty file" and reader == "packed labels":
        assert labels_in_model(path) is None
        return
    with pytest.raises((ValueError, OSError)) as error:
        READERS[reader](path)
    assert ODD[kind] in str(error.value)
    assert not ODD[kind] or path.name in str(error.value)


def test_anchors_of_a_pipe(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "anchors.npy"
    os.mkfifo(path)
    out = ["--num-classes", "3", "--out", str(tmp_path / "new.tflite")]
    assert main(["convert", "attach", str(MODEL), "--anchors", str(path), *out]) == 1
    assert "is a pipe, expected a regular file" in capsys.readouterr().err


def test_annotations_beside_a_pipe_are_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.xml")
    (tmp_path / "b.xml").write_text("<annotation><filename>b.jpg</filename></annotation>")
    (tmp_path / "b.jpg").touch()
    found = read_voc(tmp_path, tmp_path)
    assert [entry["file_name"] for entry in found.ground_truth["images"]] == ["b.jpg"]
    [skipped] = found.skipped_files
    assert "is a pipe" in skipped.detail


@pytest.mark.fault
def test_a_file_that_shrinks_while_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(MODEL.read_bytes())
    opened = open_regular

    def open_and_cut(name: Any) -> Any:
        file = opened(name)
        # After its size was asked for, as it were.
        monkeypatch.setattr(os, "fstat", lambda _: MODEL.stat())
        os.truncate(path, 1000)
        return file

    monkeypatch.setattr(whole_file, "open_regular", open_and_cut)
    with pytest.raises(ValueError, match=r"was cut to 1000 bytes while it was read, expected 9"):
        read_regular(path)


@pytest.mark.fault
def test_a_model_is_usable_after_its_file_was_cut(tmp_path: Path) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(MODEL.read_bytes())
    model = ModelFile.read(path)
    os.truncate(path, 0)
    # Had it been mapped, this would end the process.
    for tensor in model.subgraphs[0].tensors:
        value = tensor.constant()
        assert value is None or np.asarray(value).sum() is not None


# ---------------------------------------------------------------------------------------- writing


@pytest.mark.fault
def test_a_link_stays_and_its_file_is_replaced(tmp_path: Path) -> None:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    (folder / "file").write_text("old")
    link, second, dangling = tmp_path / "link", tmp_path / "second", tmp_path / "dangling"
    link.symlink_to("elsewhere/file")
    second.symlink_to("link")
    dangling.symlink_to("elsewhere/new")
    for path, file in ((link, "file"), (second, "file"), (dangling, "new")):
        with replacing(path) as temporary:
            assert temporary.parent == folder
            temporary.write_text(f"by {path.name}")
        assert path.is_symlink()
        assert (folder / file).read_text() == f"by {path.name}"
    assert sorted(path.name for path in folder.iterdir()) == ["file", "new"]


@pytest.mark.fault
@pytest.mark.parametrize("kind", ["a pipe", "a device", "a link to a device", "a folder"])
def test_nothing_but_a_file_is_replaced(kind: str, tmp_path: Path) -> None:
    path = _odd_file(kind, tmp_path)
    before = path.stat().st_mode
    wanted = f"is {kind.removeprefix('a link to ')}, expected a regular file"
    with pytest.raises(ValueError, match=wanted), replacing(path):
        raise AssertionError
    assert path.stat().st_mode == before


def test_a_link_in_a_circle_is_not_replaced(tmp_path: Path) -> None:
    path = _odd_file("a link in a circle", tmp_path)
    with pytest.raises(OSError, match="Too many levels"), replacing(path):
        raise AssertionError
    assert path.is_symlink()


@pytest.mark.fault
def test_two_writers_at_once_leave_one_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with replacing(path) as first, replacing(path) as second:
        first.write_text("first")
        second.write_text("second")
        assert first != second
    assert path.read_text() in ("first", "second")
    assert list(tmp_path.iterdir()) == [path]


def test_an_error_of_a_write_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with pytest.raises(OSError, match="No space") as error, replacing(path):
        raise OSError(28, "No space left on device")
    assert error.value.filename == str(path)
    missing = tmp_path / "no folder" / "file"
    with pytest.raises(FileNotFoundError) as error, replacing(missing) as temporary:
        temporary.write_text("a")
    assert error.value.filename == str(missing)


NAMES = [b"two\nlines", b"no \xff utf-8", "emoji \U0001f600".encode(), b"n" * 240, b"-dash", b"[*]"]


@pytest.mark.fault
@pytest.mark.parametrize("name", NAMES)
def test_any_name_can_be_read_and_written(
    name: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("ai_edge_litert")
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name + b".tflite"))
    path.write_bytes(MODEL.read_bytes())
    out = path.with_suffix(".out")
    assert main(["inspect", str(path)]) == 0
    assert main(["doctor", str(path), "--run"]) == 0
    assert main(["convert", "tidy", str(path), "--out", str(out)]) == 0, capsys.readouterr().err
    assert detops.Interpreter(str(out))
    path.write_bytes(b"")
    capsys.readouterr()
    assert main(["inspect", str(path)]) == 1
    [line] = capsys.readouterr().err.splitlines()
    assert line.endswith("is empty")
