# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""`detops convert`: each edit, what it prints, and what it does not overwrite."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from colour_model import ColourModel
from detops.cli import main
from detops.convert import attach_postprocess, read_metadata, rewrite_quantized, set_options, tidy
from detops.convert.associated_files import AssociatedFile
from detops.convert.model_edit import ModelEdit
from raw_models import ANCHORS, OPTIONS, RawModel, label_names

pytest.importorskip("flatbuffers")


class Folder:
    """A folder with a model in it, to run the command in."""

    def __init__(self, path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.path, self._capsys = path, capsys
        self.out = path / "new.tflite"

    def file(self, name: str, content: bytes) -> str:
        (self.path / name).write_bytes(content)
        return str(self.path / name)

    def __call__(self, *arguments: str, code: int = 0) -> tuple[str, str]:
        assert main(["convert", *arguments]) == code
        captured = self._capsys.readouterr()
        assert not list(self.path.glob(".*"))
        return captured.out, captured.err


@pytest.fixture
def convert(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Folder:
    return Folder(tmp_path, capsys)


def int8_model() -> bytes:
    return attach_postprocess(RawModel(dtype="int8").build(), ANCHORS, OPTIONS)


def test_attach(convert: Folder) -> None:
    model = convert.file("raw.tflite", RawModel(dtype="int8", logistic=False).build())
    np.save(convert.path / "anchors.npy", ANCHORS)
    options = ["--num-classes", "5", "--max-detections", "8", "--nms-score-threshold", "0.3"]
    options += ["--nms-iou-threshold", "0.5", "--scores-are", "logits", "--into", "native"]
    options += ["--boxes", "0", "--scores", "b", "-o", str(convert.out)]
    anchors = str(convert.path / "anchors.npy")
    text, _ = convert("attach", model, "--anchors", anchors, *options)
    expected = attach_postprocess(
        Path(model), ANCHORS, OPTIONS, sigmoid=False, into="native", boxes=0, scores="b"
    )
    assert convert.out.read_bytes() == expected
    for line in ("op box_encodings", "outputs", "detection_boxes", "bytes", "was", "is"):
        assert line in text
    # Anchors from a model that has them give the same.
    again = str(convert.path / "again.tflite")
    convert("attach", model, "--anchors", str(convert.out), *options[:-1], again)
    assert Path(again).read_bytes() == expected


def test_rewrite_set_and_tidy(convert: Folder) -> None:
    content = int8_model()
    model, out = convert.file("model.tflite", content), ["--out", str(convert.out)]
    text, _ = convert("rewrite", model, "--into", "int8", *out)
    assert convert.out.read_bytes() == rewrite_quantized(content, "int8")
    assert "op scores" in text
    convert("set", model, "--use-regular-nms", "true", "--nms-score-threshold=-inf", *out)
    assert convert.out.read_bytes() == set_options(
        content, use_regular_nms=True, nms_score_threshold=-np.inf
    )
    convert("tidy", model, *out)
    assert convert.out.read_bytes() == tidy(content)
    text, _ = convert("tidy", str(convert.out), "--out", str(convert.path / "twice.tflite"))
    assert "nothing changes" in text


def test_json(convert: Folder) -> None:
    model = convert.file("model.tflite", int8_model())
    text, _ = convert("set", model, "--max-detections", "9", "--json", "--out", str(convert.out))
    document: dict[str, Any] = json.loads(text)
    assert (document["command"], document["edit"]) == ("convert", "set")
    assert (document["model"], document["out"]) == (model, str(convert.out))
    changes = {change["what"]: change for change in document["changes"]}
    assert (changes["op max_detections"]["before"], changes["op max_detections"]["after"]) == (
        "8",
        "9",
    )
    assert "[1, 9, 4]" in changes["op output boxes"]["after"]


def test_metadata(convert: Folder) -> None:
    content = tidy(ColourModel().build())
    model = convert.file("model.tflite", content)
    labels = convert.file("labels.txt", "\n".join(label_names(content)).encode())
    arguments = ["--name", "Colours", "--description", "All of them.", "--mean", "1,2,3"]
    text, _ = convert("metadata", model, "--labels", labels, *arguments, "--out", str(convert.out))
    found = read_metadata(convert.out)
    assert found is not None
    assert (found.name, found.description, found.input_mean) == (
        "Colours",
        "All of them.",
        (1.0, 2.0, 3.0),
    )
    assert "TFLITE_METADATA" in text


def test_labels_that_cannot_be_read_are_no_obstacle(convert: Folder) -> None:
    edit = ModelEdit(int8_model())
    edit.files = [AssociatedFile.of(f"labels{n}.txt", b"a") for n in range(2)]
    model = convert.file("model.tflite", edit.save())
    text, _ = convert("set", model, "--max-detections", "9", "--out", str(convert.out))
    assert "op max_detections" in text


def test_missing_flatbuffers(convert: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    model = convert.file("model.tflite", int8_model())
    monkeypatch.setitem(sys.modules, "flatbuffers", None)
    _, error = convert("tidy", model, "--out", str(convert.out), code=1)
    assert error == 'detops: error: flatbuffers is not installed: pip install "detops[convert]"\n'
    assert not convert.out.exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["set"], "model.tflite: no option is given"),
        (["attach", "--anchors", "EMPTY", "--num-classes", "5"], "not a readable .npy file"),
        (["set"], "no option is given"),
        (["set", "--nms-iou-threshold", "7"], "nms_iou_threshold is 7"),
        (["metadata", "--labels", "missing.txt"], "expected one image [1, H, W, 3]"),
        (["attach", "--anchors", "MODEL", "--num-classes", "5"], "expected a .npy file or"),
    ],
)
def test_problems(convert: Folder, arguments: list[str], message: str) -> None:
    model = convert.file("raw.tflite", RawModel().build())
    if arguments[0] != "attach":
        model = convert.file("model.tflite", int8_model())
    files = {"MODEL": model, "EMPTY": convert.file("empty.npy", b"")}
    given = [files.get(argument, argument) for argument in arguments[1:]]
    _, error = convert(arguments[0], model, *given, "--out", str(convert.out), code=1)
    assert message in error
    assert not convert.out.exists()


NPY = "{'descr': '<f4', 'fortran_order': False, 'shape': (10, 4), }"


@pytest.mark.parametrize(
    "header",
    [
        "(" * 9000,
        "-" * 9000 + "1",
        "{'descr': '''",
        NPY.replace("10", "9" * 30),
        NPY.replace("10", "True"),
        NPY.replace("10", "-1"),
        NPY.replace("'<f4'", "'<f4' if"),
        NPY.replace("<f4", "O"),
    ],
)
def test_anchors_of_a_damaged_npy_file(convert: Folder, header: str) -> None:
    model = convert.file("raw.tflite", RawModel().build())
    text = header.encode() + b"\n"
    content = b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + bytes(160)
    anchors = convert.file("anchors.npy", content)
    arguments = ("attach", model, "--anchors", anchors, "--num-classes", "5")
    _, error = convert(*arguments, "--out", str(convert.out), code=1)
    [line] = error.splitlines()
    assert re.fullmatch(
        f"detops: error: .*--anchors is {anchors}, not a readable .npy file: .+", line
    )


def test_the_model_is_not_overwritten(convert: Folder) -> None:
    content = int8_model()
    model = convert.file("model.tflite", content)
    _, error = convert("tidy", model, "--out", model, code=1)
    assert "--out would overwrite the model" in error
    _, error = convert("tidy", model, "--out", str(convert.path), code=1)
    assert "a folder, expected a file" in error
    _, error = convert("tidy", model, "--out", str(convert.path / "no" / "x.tflite"), code=1)
    assert "No such file or directory" in error
    assert Path(model).read_bytes() == content


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["polish"],
        ["tidy", "model.tflite"],
        ["rewrite", "model.tflite", "--into", "int4", "--out", "x"],
        ["set", "model.tflite", "--max-detections", "many", "--out", "x"],
        ["set", "model.tflite", "--use-regular-nms", "perhaps", "--out", "x"],
    ],
)
def test_wrong_command_lines(convert: Folder, arguments: list[str]) -> None:
    _, error = convert(*arguments, code=2)
    assert error.startswith("detops: error: ")
