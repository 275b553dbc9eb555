# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""`detops eval`: COCO files, VOC folders, result files, and what is left out."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from colour_model import LABELS, ColourModel, picture
from detops.cli import main

Image = pytest.importorskip("PIL.Image")
if all(importlib.util.find_spec(name) is None for name in ("pycocotools", "faster_coco_eval")):
    pytest.skip("neither pycocotools nor faster_coco_eval is installed", allow_module_level=True)

Run = Any

XML = (
    "<annotation><object><name>red</name><bndbox><xmin>5</xmin><ymin>3</ymin><xmax>6</xmax>"
    "<ymax>4</ymax></bndbox></object>{more}</annotation>"
)
NO_AREA = XML.partition("<annotation>")[2].partition("{more}")[0].replace("6<", "5<")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder, made the current one, with a model, pictures and annotations of both kinds."""
    monkeypatch.chdir(tmp_path)
    Path("model.tflite").write_bytes(ColourModel().build())
    Path("labels.txt").write_text("\n".join(LABELS))
    for name in ("voc/Annotations", "voc/JPEGImages"):
        Path(name).mkdir(parents=True)
    for name in ("a", "b"):
        Image.fromarray(picture((3, 5, (255, 0, 0)))).save(f"voc/JPEGImages/{name}.png")
        Path(f"voc/Annotations/{name}.xml").write_text(XML.format(more=""))
    box = {"category_id": 4, "bbox": [5, 3, 1, 1]}
    truth = {
        "images": [{"id": 1, "file_name": "a.png"}, {"id": 2, "file_name": "b.png"}],
        "categories": [{"id": 4, "name": "red"}, {"id": 5, "name": "blue\x1b"}],
        "annotations": [{"id": i, "image_id": i, **box} for i in (1, 2)],
    }
    Path("coco.json").write_text(json.dumps(truth))
    results = [{"image_id": 1, "score": 0.5, **box}]
    Path("results.json").write_text(json.dumps(results))
    return tmp_path


@pytest.fixture
def run(folder: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs eval: (exit code, stdout, what detops wrote to stderr)."""

    def run(*arguments: str) -> tuple[int, str, str]:
        code = main(["eval", *arguments])
        captured = capsys.readouterr()
        errors = [line for line in captured.err.splitlines() if line.startswith("detops")]
        return code, captured.out, "\n".join(errors)

    return run


@pytest.fixture
def model() -> list[str]:
    """The arguments that name the model."""
    pytest.importorskip("ai_edge_litert")
    return ["model.tflite", "--labels", "labels.txt"]


def test_a_file_of_detections(run: Run) -> None:
    code, out, err = run("--detections", "results.json", "--coco", "coco.json")
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        "2 pictures, 2 objects of 1 classes",
        "",
        "metric     value  IoU        objects  detections",
        "AP         0.505  0.50:0.95  all             100",
        "AP50       0.505  0.50       all             100",
        "AP75       0.505  0.75       all             100",
        "AP small   0.505  0.50:0.95  small           100",
        "AP medium      -  0.50:0.95  medium          100",
        "AP large       -  0.50:0.95  large           100",
        "AR1        0.500  0.50:0.95  all               1",
        "AR10       0.500  0.50:0.95  all              10",
        "AR100      0.500  0.50:0.95  all             100",
        "AR small   0.500  0.50:0.95  small           100",
        "AR medium      -  0.50:0.95  medium          100",
        "AR large       -  0.50:0.95  large           100",
        "",
        "class  objects     AP   AP50",
        "red          2  0.505  0.505",
    ]


def test_json(run: Run) -> None:
    code, out, _ = run("--detections", "results.json", "--coco", "coco.json", "--json")
    document = json.loads(out)
    assert (code, document["command"], document["images"]) == (0, "eval", 2)
    assert len(document["metrics"]) == 12
    assert document["metrics"]["ap"] == pytest.approx(51 / 101)
    assert document["metrics"]["ap_large"] == "nan"
    red, blue = document["classes"]
    assert (red["name"], red["category_id"], red["objects"]) == ("red", 4, 2)
    assert (blue["objects"], blue["ap"]) == (0, "nan")


def test_a_model_on_a_voc_folder(run: Run, model: list[str]) -> None:
    Path("voc/Annotations/a.xml").write_text(XML.format(more=NO_AREA))
    Path("voc/Annotations/c.xml").write_text("<annotation>")
    Path("voc/Annotations/d.xml").write_text(XML.format(more=""))
    code, out, err = run(*model, "--voc", "voc")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == "2 pictures, 2 objects of 1 classes"
    assert lines[3].split()[:2] == ["AP", "1.000"]
    assert lines[-4].startswith("pictures left out: 1, the first one: c.xml: annotation not read")
    assert lines[-3:] == [
        "pictures left out: 1, the first one: d.xml: picture not found",
        "boxes left out: 1, the first one: a.xml: box without area "
        "(object 1, 'red': [5.0, 3.0, 5.0, 4.0])",
        "labels without a category, not scored: 2 (green, blue)",
    ]
    code, out, _ = run(*model, "--voc", "voc/Annotations", "--images", "voc/JPEGImages", "--json")
    document = json.loads(out)
    assert (code, document["images"], document["other_labels"]) == (0, 2, ["green", "blue"])
    assert document["skipped"] == {
        "annotation not readable": 1,
        "picture not found": 1,
        "box without area": 1,
    }


def test_a_model_on_coco_annotations(run: Run, model: list[str]) -> None:
    text = Path("coco.json").read_text().replace("\\u001b", "")
    Path("coco.json").write_text(text)
    arguments = [*model, "--coco", "coco.json", "--images", "voc/JPEGImages", "--json"]
    document = json.loads(run(*arguments)[1])
    assert (document["images"], document["metrics"]["ap"]) == (2, pytest.approx(1))
    assert json.loads(run(*arguments, "--limit", "1")[1])["images"] == 1
    Path("voc/JPEGImages/a.png").write_text("text")
    document = json.loads(run(*arguments)[1])
    # Left out of the ground truth too.
    assert (document["images"], document["metrics"]["ap"]) == (1, pytest.approx(1))
    assert document["skipped"] == {"picture not readable": 1}


def test_progress_on_a_terminal(
    run: Run, model: list[str], monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("detops.cli.progress._INTERVAL", 0.0)
    assert main(["eval", *model, "--voc", "voc"]) == 0
    assert "2/2 pictures" in capsys.readouterr().err


def test_labels_that_do_not_match(run: Run, model: list[str]) -> None:
    code, out, err = run("model.tflite", "--voc", "voc")
    assert (code, out) == (1, "")
    assert err == (
        "detops: error: 1 of 1 categories have no label in the model: 'red'; "
        "labels without a category: 'class 0', 'class 1', 'class 2'"
    )


def test_options_that_do_not_go_together(run: Run) -> None:
    for arguments, code, expected in [
        ([], 2, "one of the arguments MODEL --detections is required"),
        (["model.tflite"], 2, "one of the arguments --coco --voc is required"),
        (["model.tflite", "--coco", "a", "--voc", "b"], 2, "not allowed with"),
        (["model.tflite", "--detections", "a", "--coco", "b"], 2, "not allowed with"),
        (["model.tflite", "--coco", "coco.json"], 1, "needs --images"),
        (["--detections", "results.json", "--voc", "voc"], 1, "--detections needs --coco"),
        (["--detections", "a", "--coco", "b", "--limit", "1"], 1, "--limit is for a model"),
        (
            ["model.tflite", "--coco", "a", "--images", "b", "--class-from-filename"],
            1,
            "--class-from-filename needs --voc",
        ),
        (["--detections", "none.json", "--coco", "coco.json"], 1, "none.json: No such file"),
        (["model.tflite", "--voc", "none"], 1, "none: No such file or directory"),
    ]:
        got, out, err = run(*arguments)
        assert (got, out) == (code, ""), arguments
        assert expected in err


def test_published_numbers(run: Run, data_dir: Path) -> None:
    scoring = data_dir / "coco_scoring"
    results = str(scoring / "instances_val2014_fakebbox100_results.json")
    code, out, _ = run(
        "--detections", results, "--coco", str(scoring / "instances_val2014_100.json")
    )
    assert code == 0
    values = [line.split()[-4] for line in out.splitlines()[3:15]]
    assert " ".join(values) == (
        "0.505 0.697 0.573 0.586 0.519 0.501 0.387 0.594 0.595 0.640 0.566 0.564"
    )


def test_pets(run: Run, data_dir: Path) -> None:
    pytest.importorskip("ai_edge_litert")
    code, out, _ = run(
        str(data_dir / "models/pets37_ssd_mnv1_075_300_uint8.tflite"),
        "--voc",
        str(data_dir / "pets/xmls"),
        "--images",
        str(data_dir / "pets/images"),
        "--labels",
        str(data_dir / "models/pet_label_map.pbtxt"),
        "--class-from-filename",
        "--limit",
        "20",
        "--json",
    )
    document = json.loads(out)
    assert (code, document["images"], len(document["other_labels"])) == (0, 20, 34)
    assert document["metrics"]["ap50"] > 0.8
