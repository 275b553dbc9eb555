# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Scores with known answers, VOC folders with every fault, and real models on real photos."""

from __future__ import annotations

import builtins
import importlib.util
import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from colour_model import LABELS, ColourModel, picture
from detops.detector import Detector
from detops.evaluation import (
    coco_metrics,
    match_labels,
    read_detections,
    read_ground_truth,
    read_voc,
    run_detector,
    score_detections,
)

Image = pytest.importorskip("PIL.Image")

# Of cocoapi's own sample, as its authors print them.
PUBLISHED = [0.505, 0.697, 0.573, 0.586, 0.519, 0.501, 0.387, 0.594, 0.595, 0.640, 0.566, 0.564]
NAN = math.nan
SCORERS = ("pycocotools", "faster_coco_eval")

needs_scorer = pytest.mark.skipif(
    all(importlib.util.find_spec(name) is None for name in SCORERS),
    reason="neither pycocotools nor faster_coco_eval is installed",
)


@pytest.fixture(params=SCORERS)
def scorer(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each scorer alone, where it is installed."""
    name = str(request.param)
    if importlib.util.find_spec(name) is None:
        pytest.skip(f"{name} is not installed")
    _hide(monkeypatch, *(other for other in SCORERS if other != name))
    return name


def _hide(monkeypatch: pytest.MonkeyPatch, *packages: str) -> None:
    real = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.split(".")[0] in packages:
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)


def _truth(*boxes: tuple[int, int, list[float]], **more: Any) -> dict[str, Any]:
    """Two images and two categories, with (image, category, box)."""
    return {
        "images": [{"id": 7, "file_name": "a.png"}, {"id": 9, "file_name": "b.png"}],
        "categories": [{"id": 3, "name": "red"}, {"id": 2, "name": "green"}],
        # Ids from 0, which COCO's own code takes for "no match".
        "annotations": [
            {"id": number, "image_id": image, "category_id": category, "bbox": box, **more}
            for number, (image, category, box) in enumerate(boxes)
        ],
    }


def _found(image: int, category: int, box: list[float], score: float = 0.5) -> dict[str, Any]:
    return {"image_id": image, "category_id": category, "bbox": box, "score": score}


BOX, OTHER = [10.0, 10.0, 20.0, 40.0], [100.0, 100.0, 200.0, 300.0]


# ---------------------------------------------------------------------------------------------
# Scores
# ---------------------------------------------------------------------------------------------


def test_published_numbers(scorer: str, data_dir: Path, capfd: pytest.CaptureFixture[str]) -> None:
    folder = data_dir / "coco_scoring"
    found = read_detections(folder / "instances_val2014_fakebbox100_results.json")
    metrics = score_detections(folder / "instances_val2014_100.json", found)
    assert [round(value, 3) for value in metrics.numbers().values()] == PUBLISHED
    assert len(metrics.classes) == 80
    with_objects = [entry for entry in metrics.classes if entry.objects]
    assert np.mean([entry.ap for entry in with_objects]) == pytest.approx(metrics.ap)
    assert np.mean([entry.ap50 for entry in with_objects]) == pytest.approx(metrics.ap50)
    assert all(math.isnan(entry.ap) for entry in metrics.classes if not entry.objects)
    assert capfd.readouterr().out == ""


def test_perfect_detections(scorer: str) -> None:
    truth = _truth((7, 3, BOX), (9, 3, OTHER))
    before = json.dumps(truth)
    metrics = score_detections(truth, [_found(7, 3, BOX), _found(9, 3, OTHER)])
    numbers = metrics.numbers()
    # Every object is small (800 pixels) or large: there is none in between.
    assert [name for name, value in numbers.items() if math.isnan(value)] == [
        "ap_medium",
        "ar_medium",
    ]
    known = [value for value in numbers.values() if not math.isnan(value)]
    assert known == pytest.approx([1] * 10)
    green, red = metrics.classes
    assert (red.category_id, red.name, red.objects, red.ap) == (3, "red", 2, pytest.approx(1))
    assert (green.category_id, green.name, green.objects) == (2, "green", 0)
    assert math.isnan(green.ap)
    assert json.dumps(truth) == before


def test_no_detections(scorer: str) -> None:
    metrics = score_detections(_truth((7, 3, BOX)), [])
    assert (metrics.ap, metrics.ap50, metrics.ar100) == (0, 0, 0)


def test_half_of_the_objects(scorer: str) -> None:
    metrics = score_detections(_truth((7, 3, BOX), (9, 3, OTHER)), [_found(7, 3, BOX)])
    # Precision 1 at the 51 of 101 recalls up to 0.5.
    assert metrics.ap == pytest.approx(51 / 101)
    assert metrics.ar100 == pytest.approx(0.5)


def test_nothing_to_find(scorer: str) -> None:
    assert math.isnan(score_detections(_truth(), [_found(7, 3, BOX)]).ap)
    empty: dict[str, Any] = {"images": [], "categories": [], "annotations": []}
    metrics = score_detections(empty, [])
    assert math.isnan(metrics.ap) and metrics.classes == ()


def test_some_images_only(scorer: str) -> None:
    truth = _truth((7, 3, BOX), (9, 3, OTHER))
    found = [_found(7, 3, BOX), _found(9, 3, BOX, 0.9)]
    assert score_detections(truth, found, image_ids=[7]).ap == pytest.approx(1)
    assert score_detections(truth, found, image_ids=[9]).ap == 0
    assert math.isnan(score_detections(truth, found, image_ids=[]).ap)
    with pytest.raises(ValueError, match="image_ids has 8, which is no image of the ground truth"):
        score_detections(truth, found, image_ids=[7, 8])


def test_crowds_are_neither_right_nor_wrong(scorer: str) -> None:
    truth = _truth((7, 3, BOX), (9, 3, OTHER))
    truth["annotations"][1]["iscrowd"] = 1
    crowd = [_found(9, 3, OTHER, 0.9)] * 2
    metrics = score_detections(truth, [*crowd, _found(7, 3, BOX)])
    assert metrics.ap == pytest.approx(1)
    assert [entry.objects for entry in metrics.classes] == [0, 1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"image_id": 8},
            r"detections\[0\]: image_id is 8, expected the id of one of the 2 images",
        ),
        ({"image_id": True}, "image_id is True, expected the id of one of the 2 images"),
        ({"category_id": [3]}, r"category_id is \[3\], expected the id of one of the 2 categories"),
        ({"bbox": [1, 2, 3]}, r"bbox is \[1, 2, 3\], expected \[x, y, width, height\]"),
        ({"bbox": [1, 2, -3, 4]}, "expected width and height of at least 0"),
        ({"bbox": [1, 2, 3, NAN]}, "bbox is nan, expected a finite number"),
        ({"score": NAN}, r"detections\[0\]: score is nan, expected a finite number"),
        ({"score": None}, "score is None, expected a finite number"),
    ],
)
def test_bad_detections(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        score_detections(_truth((7, 3, BOX)), [{**_found(7, 3, BOX), **change}])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[1", "is not JSON: "),
        ("[" * 100_000, "is not JSON: "),
        ("[]", "is a list, expected an object"),
        ("{}", "'images' is missing, expected a list"),
        ('{"images": [3]}', r"images\[0\] is int, expected an object"),
        (
            '{"images": [{"id": 1}, {"id": 1}], "categories": [], "annotations": []}',
            r"images\[1\]: id is 1, expected a whole number of its own",
        ),
        (
            '{"images": [{"id": 1}], "categories": [], "annotations": [{"image_id": 1}]}',
            r"annotations\[0\]: category_id is None, expected the id of one of the 0 categories",
        ),
    ],
)
def test_bad_ground_truth(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "truth.json"
    path.write_text(content)
    with pytest.raises(ValueError, match=message) as caught:
        score_detections(path, [])
    assert str(path) in str(caught.value)


def test_bad_results_file(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    path.write_text("{}")
    with pytest.raises(ValueError, match="is a dict, expected a list of detections"):
        read_detections(path)


def test_area_and_crowd_have_defaults() -> None:
    [box] = read_ground_truth(_truth((7, 3, BOX)))["annotations"]
    assert (box["area"], box["iscrowd"]) == (800, 0)
    [box] = read_ground_truth(_truth((7, 3, BOX), area=5, iscrowd=1))["annotations"]
    assert (box["area"], box["iscrowd"]) == (5, 1)
    # Of no size at all: scorers would leave the object out of every number.
    with pytest.raises(ValueError, match=r"annotations\[0\]: area is -5.0, expected at least 0"):
        read_ground_truth(_truth((7, 3, BOX), area=-5))


@pytest.mark.parametrize("value", ["0", "1", 2, -1, [], {}, 0.5])
def test_crowds_are_marked_by_0_or_1(value: Any) -> None:
    with pytest.raises(ValueError, match=r"annotations\[0\]: iscrowd is .*, expected 0 or 1"):
        read_ground_truth(_truth((7, 3, BOX), iscrowd=value))
    for usual, crowd in ((True, 1), (False, 0), (None, 0), (1.0, 1)):
        [box] = read_ground_truth(_truth((7, 3, BOX), iscrowd=usual))["annotations"]
        assert box["iscrowd"] == crowd


@pytest.mark.parametrize("value", [2**63, -(2**70), True, "1", 1.5, None])
def test_ids_are_numbers_of_64_bits(value: Any) -> None:
    truth = _truth((7, 3, BOX))
    truth["categories"][0]["id"] = value
    with pytest.raises(ValueError, match=r"categories\[0\]: id is .*, expected a whole number"):
        read_ground_truth(truth)


def test_without_a_scorer(monkeypatch: pytest.MonkeyPatch) -> None:
    _hide(monkeypatch, *SCORERS)
    with pytest.raises(ImportError, match=r'pip install "detops\[eval\]"'):
        coco_metrics.score_detections(_truth((7, 3, BOX)), [])


def test_importing_loads_no_scorer() -> None:
    code = (
        "import sys, detops.evaluation\n"
        "print({'pycocotools', 'faster_coco_eval', 'PIL', 'matplotlib'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


# ---------------------------------------------------------------------------------------------
# Pascal VOC
# ---------------------------------------------------------------------------------------------


def _object(corners: str, name: str = "red", more: str = "") -> str:
    names = ("xmin", "ymin", "xmax", "ymax")
    box = "".join(f"<{n}>{v}</{n}>" for n, v in zip(names, corners.split(), strict=False))
    return f"<object><name>{name}</name>{more}<bndbox>{box}</bndbox></object>"


def _xml(*objects: str, filename: str = "", size: str = "") -> str:
    return f"<annotation><filename>{filename}</filename>{size}{''.join(objects)}</annotation>"


def _voc(folder: Path, *pictures: str, **annotations: str) -> Path:
    for name in pictures:
        (folder / name).write_bytes(b"")
    for name, text in annotations.items():
        (folder / f"{name}.xml").write_text(text)
    return folder


def test_voc_boxes(tmp_path: Path) -> None:
    size = "<size><width>60</width><height>40</height></size>"
    folder = _voc(
        tmp_path,
        "b.jpg",
        "a.png",
        b=_xml(_object("1 2 11 22.5"), _object("0 0 4 4", "blue"), size=size),
        a=_xml(_object("5 5 6 6", more="<difficult>1</difficult>")),
    )
    dataset = read_voc(folder, folder)
    assert dataset.ground_truth["images"] == [
        {"id": 1, "file_name": "a.png"},
        {"id": 2, "file_name": "b.jpg", "width": 60, "height": 40},
    ]
    assert dataset.ground_truth["categories"] == [
        {"id": 1, "name": "blue"},
        {"id": 2, "name": "red"},
    ]
    difficult, red, blue = dataset.ground_truth["annotations"]
    assert (difficult["image_id"], difficult["iscrowd"]) == (1, 1)
    assert (red["image_id"], red["category_id"], red["iscrowd"]) == (2, 2, 0)
    assert (red["bbox"], red["area"]) == ([1, 2, 10, 20.5], 205)
    assert (blue["category_id"], blue["bbox"]) == (1, [0, 0, 4, 4])
    assert (dataset.skipped_files, dataset.skipped_boxes) == ((), ())


def test_voc_faults_do_not_stop_the_others(tmp_path: Path) -> None:
    laughs = '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]><annotation>&b;</annotation>'
    file = '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/hostname">]><annotation>&a;</annotation>'
    folder = _voc(
        tmp_path,
        "boxes.jpg",
        "cut.jpg",
        boxes=_xml(
            _object("1 1 9 9"),
            _object("5 5 5 5"),
            _object("9 1 1 9"),
            _object("1 1 9"),
            _object("1 1 nan 9"),
            _object("1 1 x 9"),
            _object("1 1 9 9", name=" "),
        ),
        cut="<annotation><object>",
        empty="",
        laughs=laughs,
        file=file,
        missing=_xml(_object("1 1 9 9"), filename="../boxes2.jpg"),
        page="<html/>",
        strange='<?xml version="1.0" encoding="no-such"?><annotation/>',
    )
    dataset = read_voc(folder, folder)
    assert [entry["file_name"] for entry in dataset.ground_truth["images"]] == ["boxes.jpg"]
    assert len(dataset.ground_truth["annotations"]) == 1
    assert [(entry.name, entry.reason) for entry in dataset.skipped_files] == [
        ("cut.xml", "annotation not readable"),
        ("empty.xml", "annotation not readable"),
        ("file.xml", "annotation not readable"),
        ("laughs.xml", "annotation not readable"),
        ("missing.xml", "picture not found"),
        ("page.xml", "annotation not readable"),
        ("strange.xml", "annotation not readable"),
    ]
    details = {entry.name: entry.detail for entry in dataset.skipped_files}
    assert details["laughs.xml"] == details["file.xml"] == "it has a DOCTYPE, expected none"
    assert "<html>, expected <annotation>" in details["page.xml"]
    assert [entry.reason for entry in dataset.skipped_boxes] == [
        "box without area",
        "box without area",
        "box without its four corners",
        "box without its four corners",
        "box without its four corners",
        "box without a class",
    ]
    assert str(dataset.skipped_boxes[0]) == (
        "boxes.xml: box without area (object 1, 'red': [5.0, 5.0, 5.0, 5.0])"
    )


def test_voc_picture_names(tmp_path: Path) -> None:
    folder = _voc(
        tmp_path,
        "one.JPG",
        "one.txt",
        "two.png",
        "two.jpg",
        "renamed.png",
        one=_xml(filename="other.jpg"),
        two=_xml(filename="C:\\photos\\two.png"),
        three=_xml(filename="/somewhere/renamed.png"),
    )
    images = read_voc(folder, folder).ground_truth["images"]
    assert [entry["file_name"] for entry in images] == ["one.JPG", "renamed.png", "two.png"]


def test_voc_class_from_filename(tmp_path: Path) -> None:
    folder = _voc(
        tmp_path,
        "big_dog_12.jpg",
        "dog.jpg",
        big_dog_12=_xml(_object("1 1 9 9")),
        dog=_xml(_object("1 1 9 9")),
    )
    dataset = read_voc(folder, folder, class_from_filename=True)
    assert dataset.ground_truth["categories"] == [{"id": 1, "name": "big_dog"}]
    assert [str(entry.reason) for entry in dataset.skipped_boxes] == ["box without a class"]


def test_voc_with_nothing_to_use(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"has no \.xml file, expected Pascal VOC annotations"):
        read_voc(tmp_path, tmp_path)
    _voc(tmp_path, a="<annotation>", b=_xml())
    with pytest.raises(ValueError, match=r"none of the 2 .* the first one: a.xml: annotation not"):
        read_voc(tmp_path, tmp_path)
    with pytest.raises(FileNotFoundError):
        read_voc(tmp_path / "none", tmp_path)


def test_bccd(data_dir: Path) -> None:
    dataset = read_voc(data_dir / "bccd/Annotations", data_dir / "bccd/JPEGImages")
    truth = dataset.ground_truth
    assert (len(truth["images"]), len(truth["annotations"])) == (292, 3943 - 2)
    assert [category["name"] for category in truth["categories"]] == ["Platelets", "RBC", "WBC"]
    assert [(entry.name, entry.reason) for entry in dataset.skipped_boxes] == [
        ("BloodImage_00338.xml", "box without area"),
        ("BloodImage_00343.xml", "box without area"),
    ]
    assert dataset.skipped_files == ()


# ---------------------------------------------------------------------------------------------
# Labels
# ---------------------------------------------------------------------------------------------


def _categories(*names: str) -> list[dict[str, Any]]:
    return [{"id": 10 * number, "name": name} for number, name in enumerate(names, 1)]


def test_labels_match_by_name() -> None:
    match = match_labels(["???", "Red", "dark  green", "blue"], _categories("dark green", "red"))
    assert match.category_ids == {1: 20, 2: 10}
    assert match.other_labels == ("blue",)


def test_labels_that_do_not_match() -> None:
    with pytest.raises(ValueError) as caught:
        match_labels(["red", "bleu"], _categories("red", "blue", "green"))
    assert str(caught.value) == (
        "2 of 3 categories have no label in the model: 'blue', 'green'; "
        "labels without a category: 'bleu'"
    )
    with pytest.raises(ValueError, match="two categories have the name 'Red'"):
        match_labels(["red"], _categories("red", "Red"))
    with pytest.raises(ValueError, match="'class 9' and 2 more"):
        match_labels([f"class {number}" for number in range(12)], _categories("red"))


# ---------------------------------------------------------------------------------------------
# Models
# ---------------------------------------------------------------------------------------------


@pytest.fixture
def detector(tmp_path: Path) -> Detector:
    """Finds coloured pixels in pictures of 4 x 6."""
    pytest.importorskip("ai_edge_litert")
    path = tmp_path / "model.tflite"
    path.write_bytes(ColourModel().build())
    return Detector(path, labels=LABELS, threshold=0.0)


def test_a_model_that_is_right(detector: Detector, tmp_path: Path) -> None:
    spots = picture((3, 5, (255, 0, 0)), (0, 0, (100, 0, 0)))
    Image.fromarray(spots).save(tmp_path / "a.png")
    Image.fromarray(picture((0, 1, (0, 200, 0)))).save(tmp_path / "b.png")
    truth = _truth((7, 3, [5, 3, 1, 1]), (9, 2, [1, 0, 1, 1]))
    seen: list[int] = []
    run = run_detector(detector, truth, tmp_path, on_image=lambda: seen.append(1))
    assert (run.image_ids, run.skipped, len(seen)) == ((7, 9), (), 2)
    assert run.labels.other_labels == ("blue",)
    best = run.detections[0]
    assert (best["image_id"], best["category_id"], best["score"]) == (7, 3, 255 / 256)
    assert best["bbox"] == pytest.approx([5, 3, 1, 1], abs=1e-5)
    # The weak one too, which counts less but does count.
    assert [round(found["score"], 2) for found in run.detections] == [1.0, 0.39, 0.78]
    if any(importlib.util.find_spec(name) for name in SCORERS):
        assert score_detections(truth, run.detections).ap == pytest.approx(1)


def test_pictures_that_cannot_be_used(detector: Detector, tmp_path: Path) -> None:
    Image.fromarray(picture()).save(tmp_path / "a.png")
    truth = _truth()
    run = run_detector(detector, truth, tmp_path)
    assert run.image_ids == (7,)
    assert [(entry.name, entry.reason) for entry in run.skipped] == [("b.png", "picture not found")]
    (tmp_path / "b.png").write_text("text")
    assert run_detector(detector, truth, tmp_path).skipped[0].reason == "picture not readable"
    truth["images"][0] |= {"width": 4, "height": 6}
    with pytest.raises(ValueError) as caught:
        run_detector(detector, truth, tmp_path)
    assert str(caught.value).endswith(
        "none of 2 pictures can be used, the first one: "
        "a.png: picture of another size than stated (6 x 4, expected 4 x 6)"
    )
    truth["images"].clear()
    with pytest.raises(ValueError, match="the ground truth names no picture"):
        run_detector(detector, truth, tmp_path)


def test_a_threshold_would_lower_the_score(detector: Detector, tmp_path: Path) -> None:
    detector.threshold = 0.5
    with pytest.raises(ValueError, match=r"threshold is 0\.5, expected 0"):
        run_detector(detector, _truth(), tmp_path)


@needs_scorer
def test_pets(data_dir: Path) -> None:
    pytest.importorskip("ai_edge_litert")
    images = data_dir / "pets/images"
    dataset = read_voc(data_dir / "pets/xmls", images, class_from_filename=True)
    assert (len(dataset.ground_truth["images"]), dataset.skipped_files) == (198, ())
    detector = Detector(
        data_dir / "models/pets37_ssd_mnv1_075_300_uint8.tflite",
        labels=data_dir / "models/pets37_labelmap_with_background.txt",
        threshold=0.0,
    )
    # Some of every breed; measured on all 198: AP .729, AP50 .879.
    some = {**dataset.ground_truth, "images": dataset.ground_truth["images"][::6]}
    run = run_detector(detector, some, images)
    metrics = score_detections(dataset.ground_truth, run.detections, image_ids=run.image_ids)
    assert len(run.image_ids) == 33
    assert metrics.ap50 > 0.8
    assert metrics.ap > 0.6
