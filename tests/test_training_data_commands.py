# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""`python -m training.data`: convert, show, inspect."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from detops.labels import read_labels

pytest.importorskip("tensorflow")
pytest.importorskip("PIL")

from PIL import Image

from training.data import open_source
from training.data.commands import main
from training_data_files import VocFolder, coco_file, voc_folder


def test_convert(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    voc_folder(tmp_path / "voc", 6)
    out = tmp_path / "new" / "records"
    arguments = ["convert", str(tmp_path / "voc"), str(out), "--shards", "4", "--name", "val"]
    assert main(arguments) == 0
    captured = capsys.readouterr()
    assert captured.out.startswith("6 pictures (2 without boxes), 7 boxes, 0 crowds, 2 classes\n")
    assert captured.err == ""
    assert sorted(path.name for path in out.iterdir()) == [
        "label_map.pbtxt",
        *(f"val-0000{i}-of-00004.tfrecord" for i in range(4)),
    ]
    assert read_labels(out / "label_map.pbtxt") == ["cat", "dog"]
    assert len(open_source(out)) == 6


def test_convert_counts_what_it_leaves_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = VocFolder(tmp_path)
    folder.add("Bengal_1.jpg", [("cat", 1, 1, 1, 5), ("cat", 1, 1, 70, 9)])
    folder.add("Bengal_2.jpg", content=b"")
    (tmp_path / "list").write_text("Bengal_1\nBengal_2\n")
    arguments = ["convert", str(tmp_path), str(tmp_path / "out"), "--label-from", "file_name"]
    assert main([*arguments, "--only", str(tmp_path / "list")]) == 0
    text = capsys.readouterr().out
    for line in ("1 x picture not readable", "1 x box without area", "1 x box clipped to"):
        assert line in text
    assert main([*arguments, "--overwrite", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["skipped_images"] == {"picture not readable": 1}
    assert document["skipped_boxes"] == {"box without area": 1}
    assert document["repaired"] == {"box clipped to the picture": 1}
    assert document["classes"] == [{"name": "Bengal", "boxes": 1, "images": 1}]
    assert [Path(name).name for name in document["files"]] == ["train-00000-of-00001.tfrecord"]
    assert document["bytes"] > 0


def test_convert_coco_to_one_class(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = coco_file(tmp_path)
    arguments = ["convert", str(path), str(tmp_path / "out"), "--single-class", "pet", "--json"]
    assert main([*arguments, "--images", str(tmp_path / "images")]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["images"], document["boxes"], document["crowds"]) == (2, 2, 1)
    source = open_source(tmp_path / "out")
    assert source.labels == ("pet",)
    assert [e.crowd.tolist() for e in source] == [[False, True], [False]]


def test_show(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    voc_folder(tmp_path / "voc", 6)
    out = tmp_path / "sheet.png"
    arguments = ["show", str(tmp_path / "voc"), "--out", str(out), "--count", "5"]
    assert main([*arguments, "--image-size", "96"]) == 0
    assert "sheet.png: 5 samples with" in capsys.readouterr().out
    with Image.open(out) as sheet:
        assert sheet.size == (3 * (4 * 96 + 6) + 6, 2 * (4 * 96 + 6) + 6)
        first = sheet.tobytes()
        assert len(sheet.getcolors(1 << 24) or ()) > 100
    assert main([*arguments, "--image-size", "96", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["samples"] == 5
    with Image.open(out) as sheet:
        assert sheet.tobytes() == first
    assert main([*arguments, "--image-size", "96", "--seed", "1", "--zoom-out"]) == 0
    with Image.open(out) as sheet:
        assert sheet.tobytes() != first
    assert [path.name for path in tmp_path.iterdir() if "sheet" in path.name] == ["sheet.png"]


def test_inspect(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    voc_folder(tmp_path, 6)
    assert main(["inspect", str(tmp_path)]) == 0
    text = capsys.readouterr().out
    for part in ("6 pictures (2 without boxes)", "cat", "box side", "most boxes in one picture"):
        assert part in text
    assert main(["inspect", str(tmp_path), "--json", "--all"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["boxes"] == 7
    assert document["problems"] == []
    assert sum(document["box_areas"].values()) == 7


def test_inspect_a_set_without_boxes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    VocFolder(tmp_path).add("a.jpg", [])
    assert main(["inspect", str(tmp_path), "--single-class", "cat"]) == 0
    assert "1 pictures (1 without boxes), 0 boxes" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "the following arguments are required: COMMAND"),
        (["draw"], "invalid choice: 'draw'"),
        (["inspect", "nowhere"], "nowhere does not exist"),
        (["inspect", "."], "expected one of them"),
        (["convert", "x", "y", "--shards", "0"], "'0', expected a whole number, 1 to 99999"),
        (["show", "x", "--out", "a.txt"], "--out is a.txt, expected a .png or .jpg file"),
        (["show", "x", "--out", "no/a.png"], "no, the folder of --out, does not exist"),
    ],
)
def test_one_line_says_what_is_wrong(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert message in captured.err
    assert captured.err.startswith("training.data: error: ")
    assert captured.err.count("\n") == 1


@pytest.mark.parametrize("command", ["convert", "show", "inspect"])
def test_help_has_an_example(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "--help"]) == 0
    assert f"example:\n  python -m training.data {command} " in capsys.readouterr().out


def test_as_a_program_it_prints_the_answer_and_nothing_else(tmp_path: Path) -> None:
    voc_folder(tmp_path, 3)
    root = Path(__file__).parent.parent
    done = subprocess.run(
        [sys.executable, "-m", "training.data", "inspect", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        cwd=root,
        env={k: v for k, v in os.environ.items() if k != "TF_CPP_MIN_LOG_LEVEL"},
    )
    assert done.returncode == 0
    assert done.stdout.startswith("3 pictures")
    assert done.stderr == ""
