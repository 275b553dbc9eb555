# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""`detops detect`: tables, JSON, annotated pictures, broken pictures among good ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from colour_model import ColourModel, picture
from detops.cli import main
from detops.cli.annotated import annotated_paths, save_picture

Image = pytest.importorskip("PIL.Image")
pytest.importorskip("ai_edge_litert")

Run = Any


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder, made the current one, with a model, labels and pictures."""
    monkeypatch.chdir(tmp_path)
    Path("model.tflite").write_bytes(ColourModel().build())
    Path("labels.txt").write_text("red\ngreen\nblue\n")
    Path("pictures").mkdir()
    for name, spots in {
        "b.png": picture((1, 2, (0, 200, 0)), (3, 5, (255, 0, 0))),
        "a.PNG": picture((0, 0, (0, 0, 250))),
        "none.png": picture(),
    }.items():
        Image.fromarray(spots).save(Path("pictures") / name)
    Path("pictures/notes.txt").write_text("not a picture")
    Path("pictures/._b.png").write_text("left by another system")
    return tmp_path


@pytest.fixture
def run(folder: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs detect on the model: (exit code, stdout, stderr)."""

    def run(*arguments: str) -> tuple[int, str, str]:
        code = main(["detect", "model.tflite", *arguments])
        captured = capsys.readouterr()
        errors = [line for line in captured.err.splitlines() if line.startswith("detops")]
        return code, captured.out, "\n".join(errors)

    return run


def test_table(run: Run) -> None:
    code, out, err = run("pictures/b.png", "--labels", "labels.txt")
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        "image           label  score  box (ymin, xmin, ymax, xmax)",
        "pictures/b.png  red     1.00  (3, 5, 4, 6)",
        "pictures/b.png  green   0.78  (1, 2, 2, 3)",
    ]


def test_folders_are_expanded_in_order(run: Run) -> None:
    code, out, _ = run("pictures", "--labels", "labels.txt")
    assert code == 0
    assert [line.split()[:2] for line in out.splitlines()[1:]] == [
        ["pictures/a.PNG", "blue"],
        ["pictures/b.png", "red"],
        ["pictures/b.png", "green"],
        ["pictures/none.png", "-"],
    ]


def test_threshold_and_limit(run: Run) -> None:
    assert len(run("pictures/b.png", "--threshold", "0.9")[1].splitlines()) == 2
    assert len(run("pictures/b.png", "--max-detections", "1")[1].splitlines()) == 2
    assert len(run("pictures/b.png", "--max-detections", "9")[1].splitlines()) == 3


def test_class_numbers(run: Run) -> None:
    assert "class 0" in run("pictures/b.png")[1]
    assert "class 0" in run("pictures/b.png", "--labels", "-")[1]


def test_verbose_says_what_is_fused(run: Run) -> None:
    code, _, err = run("pictures/b.png", "-v")
    assert code == 0
    assert "detops runs 1 TFLite_Detection_PostProcess node, nothing fused" in err


def test_json(run: Run) -> None:
    code, out, _ = run("pictures", "--labels", "labels.txt", "--json")
    document = json.loads(out)
    assert (code, document["command"], document["nodes"]) == (0, "detect", 1)
    blue, red_green, none = document["images"]
    assert (red_green["width"], red_green["height"], red_green["annotated"]) == (6, 4, None)
    assert none["detections"] == []
    [found] = blue["detections"]
    assert (found["label"], found["class"], found["score"]) == ("blue", 2, 250 / 256)
    assert (found["pixel_box"], len(found["box"])) == ([0, 0, 1, 1], 4)


# ---------------------------------------------------------------------------------------------
# Broken pictures
# ---------------------------------------------------------------------------------------------


def test_broken_pictures_do_not_stop_the_others(run: Run) -> None:
    Path("text.jpg").write_text("hello")
    Path("empty").mkdir()
    arguments = ("text.jpg", "pictures/b.png", "missing.jpg", "empty")
    code, out, err = run(*arguments)
    assert code == 1
    assert len(out.splitlines()) == 3
    assert err.splitlines() == [
        "detops: error: empty: no pictures in this folder",
        "detops: error: text.jpg is not a picture that Pillow can read",
        "detops: error: missing.jpg: No such file or directory",
    ]
    code, out, _ = run(*arguments, "--json")
    assert code == 1
    images = {entry["image"]: entry for entry in json.loads(out)["images"]}
    assert "not a picture" in images["text.jpg"]["error"]
    assert "No such file" in images["missing.jpg"]["error"]
    assert "error" not in images["pictures/b.png"]


def test_an_option_that_does_not_fit_the_model(run: Run) -> None:
    code, out, err = run("pictures/b.png", "--mean", "1,2,3")
    assert (code, out) == (1, "")
    assert err.startswith("detops: error: model.tflite: mean and std are for float32 inputs")
    code, _, err = run("pictures/b.png", "--input-size", "8x8")
    assert (code, "input_size is (8, 8)" in err) == (1, True)


def test_open_input_size(run: Run) -> None:
    model = ColourModel(input_shape=(1, 1, 1, 3), input_signature=(1, -1, -1, 3))
    Path("model.tflite").write_bytes(model.build())
    code, _, err = run("pictures/b.png")
    assert (code, "--input-size" in err) == (1, True)
    assert run("pictures/b.png", "--input-size", "4x6")[0] == 0


# ---------------------------------------------------------------------------------------------
# Annotated pictures
# ---------------------------------------------------------------------------------------------


def test_one_picture_to_a_file(run: Run) -> None:
    code, out, _ = run("pictures/b.png", "--out", "new/folder/drawn.jpg", "--json")
    assert code == 0
    assert json.loads(out)["images"][0]["annotated"] == str(Path("new/folder/drawn.jpg"))
    with Image.open("new/folder/drawn.jpg") as drawn:
        assert (drawn.format, drawn.size) == ("JPEG", (6, 4))


def test_many_pictures_to_a_folder(run: Run) -> None:
    Image.fromarray(picture()).save("b.png")
    Image.fromarray(picture()).save("c.jpg", "GIF")
    Image.fromarray(picture()).save("d.gif")
    code, _, _ = run("pictures", "b.png", "c.jpg", "d.gif", "--out", "drawn")
    assert code == 0
    names = sorted(path.name for path in Path("drawn").iterdir())
    assert names == ["a.PNG", "b.png", "b_2.png", "c.jpg", "d.png", "none.png"]
    with Image.open("drawn/c.jpg") as drawn:
        assert drawn.format == "JPEG"


def test_what_is_drawn(run: Run) -> None:
    large = picture((1, 1, (0, 250, 0))).repeat(100, axis=0).repeat(100, axis=1)
    Image.fromarray(large).save("large.png")
    assert run("large.png", "-o", "drawn.png", "--threshold", "0.3")[0] == 0
    with Image.open("drawn.png") as drawn:
        changed = (np.asarray(drawn) != large).any(axis=2)
    rows, columns = np.nonzero(changed)
    # The box of the green cell, and its name on or in it.
    assert rows.max() in range(199, 204)
    assert columns.min() in range(96, 101)


def test_unusable_out_is_refused_before_any_work(run: Run) -> None:
    for images, out, expected in [
        (["pictures/b.png"], "drawn", "expected a folder or a name that ends in"),
        (["pictures/b.png"], "drawn.gif", "expected a folder or a name that ends in"),
        (["pictures"], "labels.txt", "expected a folder for 3 pictures"),
        (["pictures"], "drawn.jpg", "expected a folder for 3 pictures"),
        (["pictures/b.png"], "pictures/b.png", "would overwrite the picture"),
        (["pictures"], "pictures", "would overwrite the picture"),
    ]:
        code, printed, err = run(*images, "--out", out)
        assert (code, printed) == (1, "")
        assert expected in err


def test_a_picture_is_whole_or_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image = Image.fromarray(picture())
    path = tmp_path / "drawn.png"
    save_picture(image, path)
    before = path.read_bytes()

    def broken(file: Path, *_: object, **__: object) -> None:
        file.write_bytes(b"half")
        raise OSError("no space left")

    monkeypatch.setattr(image, "save", broken)
    with pytest.raises(OSError, match="no space"):
        save_picture(image, path)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["drawn.png"]


def test_a_folder_that_cannot_be_written(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise PermissionError(13, "Permission denied", "drawn.png")

    monkeypatch.setattr("detops.cli.detect.save_picture", broken)
    code, out, err = run("pictures/b.png", "--out", "drawn.png")
    assert code == 1
    assert len(out.splitlines()) == 3
    assert "Permission denied" in err


def test_names_of_annotated_pictures(tmp_path: Path) -> None:
    images = [Path("x/a.jpg"), Path("y/A.jpg"), Path("a_2.jpg"), Path("a.gif")]
    paths = annotated_paths(images, str(tmp_path / "out"), folder=True)
    names = [path.name for path in paths if path is not None]
    assert names == ["a.jpg", "A_2.jpg", "a_2_2.jpg", "a.png"]
    assert annotated_paths(images, None, folder=True) == [None] * 4


# ---------------------------------------------------------------------------------------------
# Real models
# ---------------------------------------------------------------------------------------------


def test_real_photos(capsys: pytest.CaptureFixture[str], data_dir: Path, tmp_path: Path) -> None:
    model = str(data_dir / "models/coco_ssd_mnv1_100_300_uint8_with_metadata.tflite")
    out = tmp_path / "drawn"
    assert main(["detect", model, str(data_dir / "images"), "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "cats_and_dogs.jpg" in printed
    assert len(list(out.iterdir())) == len(list((data_dir / "images").iterdir()))


def test_pets(capsys: pytest.CaptureFixture[str], data_dir: Path) -> None:
    models = data_dir / "models"
    code = main(
        [
            "detect",
            str(models / "pets37_ssd_mnv1_075_300_uint8.tflite"),
            str(data_dir / "images" / "cat.jpg"),
            "--labels",
            str(models / "pets37_labelmap_with_background.txt"),
            "--json",
        ]
    )
    [image] = json.loads(capsys.readouterr().out)["images"]
    assert code == 0
    assert image["detections"][0]["label"] == "Abyssinian"
