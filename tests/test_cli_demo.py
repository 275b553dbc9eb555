# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""`detops demo`, and the detector that it shows."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path

import pytest

from detops.cli import main
from detops.convert import read_metadata
from detops.detector import load_image
from detops.model_file import ModelFile
from detops.nodes.facts import read_nodes

pytest.importorskip("PIL", reason="pictures need Pillow")
pytest.importorskip("skimage", reason="the cat comes with scikit-image")

MODEL = resources.files("detops") / "models" / "pet_faces.tflite"


def test_the_cat_is_found(tmp_path: Path, capsys: pytest.CaptureFixture[str], runtime: str) -> None:
    out = tmp_path / "cat.png"
    assert main(["demo", "--out", str(out), "--runs", "3", "--runtime", runtime, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    [cat] = document["detections"]
    assert cat["label"] == "pet face"
    assert cat["score"] > 0.5
    # Both eyes of Chelsea, in a picture of 300 x 451.
    ymin, xmin, ymax, xmax = cat["pixel_box"]
    for y, x in ((110, 172), (130, 317)):
        assert ymin < y < ymax
        assert xmin < x < xmax
    assert document["differences"] == []
    assert document["milliseconds"].keys() == {"stock", "detops"}
    assert load_image(out).size == (451, 300)


def test_the_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "cat.png"
    assert main(["demo", "-o", str(out), "--runs", "3"]) == 0
    text = capsys.readouterr().out
    assert "Chelsea" in text
    assert str(out) in text
    assert "median of stock / median of detops" in text


def test_without_arguments_and_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        assert main(["demo", "--runs", "1"]) == 0, capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["detops_demo.png"]


def test_a_picture_of_ones_own(
    data_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "found.jpg"
    photo = data_dir / "images" / "cats_and_dogs.jpg"
    assert main(["demo", str(photo), "--out", str(out), "--runs", "1"]) == 0
    assert str(photo) in capsys.readouterr().out
    assert load_image(out).size == load_image(photo).size


def test_a_picture_that_is_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no picture")
    assert main(["demo", str(broken), "--out", str(tmp_path / "out.png")]) != 0
    assert "broken.jpg" in capsys.readouterr().err


def test_the_file_that_ships() -> None:
    """Under 1 MB, quantised, described."""
    content = MODEL.read_bytes()
    assert len(content) < 1_000_000
    [node] = read_nodes(ModelFile.read(content))
    assert {op.name for op in node.graph.operators} >= {"DEQUANTIZE", "CONV_2D"}
    metadata = read_metadata(content)
    assert metadata is not None
    assert metadata.labels == ("pet face",)
