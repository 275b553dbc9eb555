# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Data sets of every format, whole, odd and damaged: what is kept, and what is reported."""

from __future__ import annotations

import io
import os
import struct
import sys
from pathlib import Path

import numpy as np
import pytest

from detops.detector import load_image
from detops.evaluation import read_ground_truth, read_voc, score_detections

pytest.importorskip("tensorflow")
pytest.importorskip("PIL")

from PIL import Image

from training.data import open_source
from training.data.picture import decode_rgb
from training.data.shard_writer import write_shards
from training_data_files import (
    VocFolder,
    assert_same,
    coco_file,
    encoded,
    picture,
    reasons,
    voc_folder,
    voc_text,
)

BOX = np.array([[4 / 40, 6 / 60, 20 / 40, 30 / 60]], np.float32)


# -- Pascal VOC ----------------------------------------------------------------------------------


def test_voc(tmp_path: Path) -> None:
    folder = VocFolder(tmp_path)
    folder.add("a.jpg", [("dog", 6, 4, 30, 20), ("cat", 0, 0, 60, 40)])
    folder.add("b.jpg", extra="<difficult>1</difficult>")
    for path in (tmp_path, tmp_path / "Annotations"):
        source = open_source(path)
        assert source.labels == ("cat", "dog")
        first, second = source
        np.testing.assert_allclose(first.boxes, [BOX[0], [0, 0, 1, 1]])
        assert first.classes.tolist() == [1, 0]
        assert second.crowd.tolist() == [True]
        assert len(second.targets()[0]) == 0
        assert not len(source.problems)
        assert first.boxes.dtype == np.float32
        assert first.classes.dtype == np.int32


def test_classes_from_file_names_or_one_for_all(tmp_path: Path) -> None:
    folder = VocFolder(tmp_path)
    folder.add("Great_Dane_2.jpg")
    folder.add("Bengal_10.jpg")
    source = open_source(tmp_path, label_from="file_name")
    assert source.labels == ("Bengal", "Great_Dane")
    assert [e.classes.tolist() for e in source] == [[0], [1]]
    source = open_source(tmp_path, single_class="head")
    assert source.labels == ("head",)
    assert source.boxes_per_class() == {"head": 2}
    with pytest.raises(ValueError, match="expected one of them"):
        open_source(tmp_path, single_class="head", label_from="file_name")
    with pytest.raises(ValueError, match="label_from is 'breed', expected 'name' or 'file_name'"):
        open_source(tmp_path, label_from="breed")


def test_given_labels_decide(tmp_path: Path) -> None:
    folder = VocFolder(tmp_path)
    folder.add("a.jpg", [("cat", 6, 4, 30, 20), ("bird", 0, 0, 60, 40)])
    source = open_source(tmp_path, labels=["Dog", "Cat"])
    assert source.labels == ("Dog", "Cat")
    assert source.examples[0].classes.tolist() == [1]
    assert reasons(source) == {"box of a class that the labels do not name": 1}
    (tmp_path / "names.txt").write_text("bird\ncat\n")
    assert open_source(tmp_path, labels=tmp_path / "names.txt").labels == ("bird", "cat")
    with pytest.raises(ValueError, match="'cat' more than once"):
        open_source(tmp_path, labels=["cat", "cat"])


def test_only_those_on_a_list(tmp_path: Path) -> None:
    voc_folder(tmp_path, 4)
    (tmp_path / "list.txt").write_text("p_3\n\n# a comment\np_1.jpg\np_9\n")
    source = open_source(tmp_path, only=tmp_path / "list.txt")
    assert [e.image_id for e in source] == ["p_1.jpg", "p_3.jpg"]
    assert source.labels == ("cat", "dog")
    assert reasons(source) == {"name in the list without a picture": 1}
    (tmp_path / "list.txt").write_text("q\n")
    with pytest.raises(ValueError, match=r"list\.txt names 1 pictures, 'q' the first of them"):
        open_source(tmp_path, only=tmp_path / "list.txt")


def test_boxes_that_cannot_be_trained_on(tmp_path: Path) -> None:
    folder = VocFolder(tmp_path)
    nan, inf = float("nan"), float("inf")
    folder.add(
        "a.jpg",
        [
            ("cat", -5, 4, 30, 50),
            ("cat", 7, 7, 7, 9),
            ("cat", 9, 9, 2, 2),
            ("cat", 1, nan, 8, 8),
            ("cat", 1, 1, inf, 8),
            ("cat", 70, 50, 80, 60),
            ("cat", 10, 10, 20, 20),
            ("cat", 10, 10, 20, 20),
            (" ", 1, 1, 8, 8),
        ],
    )
    source = open_source(tmp_path)
    np.testing.assert_allclose(
        source.examples[0].boxes, [[0.1, 0, 1, 0.5], [0.25, 1 / 6, 0.5, 1 / 3]], rtol=1e-6
    )
    assert reasons(source) == {
        "box without area": 2,
        "box without its four corners": 2,
        "box outside the picture": 1,
        "box given twice": 1,
        "box without a class": 1,
        "box clipped to the picture": 1,
    }
    assert any("a.jpg: box clipped" in text for text in source.problems.texts())


def test_annotations_and_pictures_that_are_not_there(tmp_path: Path) -> None:
    folder = VocFolder(tmp_path)
    folder.add("good.jpg")
    folder.add("empty.jpg", [])
    folder.add("nothing.jpg", content=b"")
    folder.add("text.jpg", content=b"not a picture")
    folder.add("cut.jpg", content=encoded(picture(200, 300))[:-600], size=None)
    folder.add("png_cut.jpg", content=encoded(picture(200, 300), "PNG")[:-300], size=None)
    folder.annotate("gone", voc_text("gone.jpg", [("cat", 1, 2, 3, 4)]))
    folder.annotate("broken", "<annotation><object>")
    folder.annotate(
        "laughs", '<!DOCTYPE a [<!ENTITY x "ha">]><annotation><filename>&x;</filename></annotation>'
    )
    source = open_source(tmp_path)
    assert [e.image_id for e in source] == ["empty.jpg", "good.jpg"]
    assert source.examples[0].boxes.shape == (0, 4)
    assert reasons(source) == {
        "picture not readable": 4,
        "picture not found": 1,
        "annotation not readable": 2,
    }


def test_character_entities_are_text(tmp_path: Path) -> None:
    VocFolder(tmp_path).add("a.jpg", [("salt &amp; pepper", 6, 4, 30, 20)])
    assert open_source(tmp_path).labels == ("salt & pepper",)


def test_two_annotations_of_one_picture(tmp_path: Path) -> None:
    folder = VocFolder(tmp_path)
    folder.add("a.jpg")
    folder.annotate("z", voc_text("a.jpg", [("dog", 1, 1, 9, 9), ("cat", 6, 4, 30, 20)]))
    source = open_source(tmp_path)
    assert len(source) == 1
    assert source.examples[0].classes.tolist() == [0, 1]
    assert reasons(source) == {"box given twice": 1, "picture annotated more than once": 1}


def test_a_stated_size_that_is_not_the_picture(tmp_path: Path) -> None:
    folder = VocFolder(tmp_path)
    folder.add("half.jpg", [("cat", 12, 8, 60, 40)], size=(80, 120))
    folder.add("other.jpg", size=(60, 40))
    source = open_source(tmp_path)
    np.testing.assert_allclose(source.examples[0].boxes, BOX)
    assert len(source) == 1
    assert reasons(source) == {
        "picture of another size than stated": 1,
        "boxes of a rescaled picture": 1,
    }


def test_nothing_left_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"holds 0 \.json files and neither \.xml files"):
        open_source(tmp_path)
    with pytest.raises(FileNotFoundError, match="nowhere"):
        open_source(tmp_path / "nowhere")
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(ValueError, match="is no data set"):
        open_source(tmp_path / "notes.txt")
    VocFolder(tmp_path / "voc").add("a.jpg", content=b"")
    with pytest.raises(ValueError, match=r"no picture can be used, the first one: a\.jpg"):
        open_source(tmp_path / "voc")


# -- Odd pictures --------------------------------------------------------------------------------


def _exif(orientation: int) -> bytes:
    """An EXIF block with the one entry."""
    head = b"Exif\x00\x00MM\x00*\x00\x00\x00\x08\x00\x01"
    return head + struct.pack(">HHIHHI", 0x112, 3, 1, orientation, 0, 0)


ODD = {
    "gif": (encoded(picture(), "GIF"), True),
    "png": (encoded(picture(), "PNG"), False),
    "rgba": (encoded(picture().convert("RGBA"), "PNG"), True),
    "palette": (encoded(picture().convert("P"), "PNG"), True),
    "grey": (encoded(picture().convert("L")), False),
    "grey_alpha": (encoded(picture().convert("LA"), "PNG"), True),
    "grey_16": (
        encoded(Image.fromarray(np.arange(2400, dtype=np.uint16).reshape(40, 60) * 27), "PNG"),
        True,
    ),
    "cmyk": (encoded(picture().convert("CMYK")), True),
    "bmp": (encoded(picture(), "BMP"), True),
    "webp": (encoded(picture(), "WEBP"), True),
    "progressive": (encoded(picture(), progressive=True), False),
    "turned": (encoded(picture(60, 40), exif=_exif(6)), True),
    "upright": (encoded(picture(), exif=_exif(1)), False),
}


@pytest.mark.parametrize("kind", ODD)
def test_odd_pictures_are_kept_and_look_as_the_detector_sees_them(
    kind: str, tmp_path: Path
) -> None:
    content, changed = ODD[kind]
    VocFolder(tmp_path).add("odd.jpg", content=content)
    source = open_source(tmp_path)
    (example,) = source
    assert isinstance(example.image, bytes) == changed
    assert ("picture re-encoded as upright RGB" in reasons(source)) == changed
    named = kind in ("gif", "png", "rgba", "palette", "grey_alpha", "grey_16", "bmp", "webp")
    assert ("picture with the suffix of another format" in reasons(source)) == named
    pixels = decode_rgb(example.encoded()).astype(int)
    expected = np.asarray(load_image(tmp_path / "JPEGImages" / "odd.jpg")).astype(int)
    assert pixels.shape == expected.shape == (40, 60, 3)
    assert np.abs(pixels - expected).max() <= (8 if kind in ("cmyk", "turned") else 0)
    np.testing.assert_allclose(example.boxes, BOX)


def test_a_turned_picture_goes_through_a_record(tmp_path: Path) -> None:
    VocFolder(tmp_path / "voc").add("t.jpg", content=ODD["turned"][0])
    source = open_source(tmp_path / "voc")
    write_shards(source, tmp_path / "records")
    again = open_source(tmp_path / "records")
    assert_same(again.examples[0], source.examples[0])
    with Image.open(io.BytesIO(again.examples[0].encoded())) as image:
        assert image.size == (60, 40)
    assert not len(again.problems)


# -- COCO ----------------------------------------------------------------------------------------


def test_coco(tmp_path: Path) -> None:
    source = open_source(coco_file(tmp_path))
    assert source.labels == ("cat", "dog")
    first, second = source
    np.testing.assert_allclose(first.boxes, [BOX[0], [0, 0, 0.5, 0.5]])
    assert first.classes.tolist() == [1, 0]
    assert first.crowd.tolist() == [False, True]
    assert first.targets()[1].tolist() == [1]
    assert second.classes.tolist() == [0]
    assert len(open_source(tmp_path)) == 2
    assert len(open_source(tmp_path / "instances.json", images=tmp_path / "images")) == 2


def test_coco_with_names_from_the_root(tmp_path: Path) -> None:
    folder = tmp_path / "images"
    images = [{"id": 1, "file_name": str(folder / "1.jpg")}]
    box = {"image_id": 1, "category_id": 3, "bbox": [1, 2, 3, 4]}
    source = open_source(coco_file(tmp_path, annotations=[box], images=images))
    assert len(source) == 1
    assert not len(source.problems)


def test_coco_with_faults(tmp_path: Path) -> None:
    def box(**changes: object) -> dict[str, object]:
        return {"image_id": 1, "category_id": 3, "bbox": [1, 2, 3, 4], **changes}

    wrong = [
        box(image_id=99),
        box(image_id=None),
        box(category_id=5),
        box(category_id=[3]),
        box(bbox=[1, 2, 3]),
        box(bbox=[1, 2, float("nan"), 4]),
        box(bbox=[1, 2, "3", 4]),
        box(bbox=[1, 2, 0, 4]),
        box(bbox=[1, 2, 3, -4]),
        "box",
        box(image_id=True),
        box(iscrowd="0"),
        box(iscrowd=[0]),
    ]
    images = [
        {"id": 1, "file_name": "1.jpg"},
        {"id": 1, "file_name": "2.jpg"},
        {"id": 3},
        {"id": 4, "file_name": "4.jpg"},
        7,
        {"id": True, "file_name": "1.jpg"},
        {"id": 5, "file_name": "../1.jpg"},
        {"id": 6, "file_name": str(tmp_path / "1.jpg")},
        {"id": 7, "file_name": "a\0b"},
    ]
    source = open_source(coco_file(tmp_path, annotations=[box(), *wrong], images=images))
    assert [len(e.boxes) for e in source] == [1]
    assert reasons(source) == {
        "box of an unknown picture": 3,
        "box whose iscrowd is neither 0 nor 1": 2,
        "box without a class": 2,
        "box without its four corners": 3,
        "box without area": 2,
        "annotation is not an object": 1,
        "picture without id or file name": 3,
        "picture outside of the folder of pictures": 2,
        "picture not readable": 1,
        "picture with the id of another": 1,
        "picture not found": 1,
    }
    assert "skipped 1.jpg: box without area (annotations[8]: [1, 2, 0, 4])" in (
        source.problems.texts()
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ('{"images": [], "images": []}', "is not JSON: an object has the key 'images' twice"),
        ('{"categories": [{"id": true, "name": "a"}]}', r"categories\[0\] is {'id': True"),
        ('{"categories": [{"id": 1' + "0" * 400 + ', "name": ""}]}', r"000\.\.\., expected an id"),
        ("[]", "holds a list, expected an object"),
        ('{"categories": []}', "'images' is missing, expected a list"),
        ('{"categories": [{"id": 1}], "images": []}', r"categories\[0\] is {'id': 1}"),
    ],
)
def test_files_that_are_not_coco(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(ValueError, match=message):
        open_source(tmp_path / "a.json")


@pytest.mark.fault
def test_the_classes_of_another_data_set_are_refused(tmp_path: Path) -> None:
    VocFolder(tmp_path).add("a.jpg")
    (tmp_path / "classes.txt").write_text("dog\npig\n")
    with pytest.raises(ValueError, match=r"all boxes are of other classes than dog, pig.*a\.jpg"):
        open_source(tmp_path, labels=tmp_path / "classes.txt")


def test_sizes_in_coco_may_be_written_as_floats(tmp_path: Path) -> None:
    images = [{"id": 1, "file_name": "1.jpg", "height": 80.0, "width": 120.0}]
    annotations = [{"image_id": 1, "category_id": 3, "bbox": [0, 0, 60, 40]}]
    [example] = open_source(coco_file(tmp_path, annotations=annotations, images=images))
    # The picture has half that size.
    np.testing.assert_allclose(example.boxes, [[0, 0, 0.5, 0.5]])


@pytest.mark.fault
def test_class_names_that_no_file_of_labels_can_hold_are_left_out(tmp_path: Path) -> None:
    folder = VocFolder(tmp_path)
    for number, name in enumerate(("cat", "a&#10;b", "c" * 5000)):
        folder.add(f"{number}.jpg", [(name, 6, 4, 30, 20)])
    source = open_source(tmp_path)
    assert source.labels == ("cat",)
    assert reasons(source) == {"box of a class that the labels do not name": 2}
    assert all(len(text) < 300 for text in source.problems.texts())
    with pytest.raises(ValueError, match="expected one line of text"):
        open_source(tmp_path, single_class="a\nb")


@pytest.mark.fault
@pytest.mark.skipif(sys.platform == "win32", reason="pipes of POSIX")
def test_pipes_and_devices_in_a_data_set_are_not_read(tmp_path: Path) -> None:
    folder = VocFolder(tmp_path)
    folder.add("a.jpg")
    for name in ("b", "c", "d"):
        folder.annotate(name, voc_text(f"{name}.jpg", [("cat", 1, 1, 9, 9)]))
    os.mkfifo(folder.images / "b.jpg")
    (folder.images / "c.jpg").symlink_to("/dev/zero")
    (folder.images / "d.jpg").mkdir()
    os.mkfifo(folder.annotations / "e.xml")
    source = open_source(tmp_path)
    assert len(source) == 1
    assert reasons(source) == {"picture not readable": 3, "annotation not readable": 1}


@pytest.mark.fault
@pytest.mark.skipif(sys.platform == "win32", reason="pipes of POSIX")
def test_a_list_that_is_no_file_is_not_read(tmp_path: Path) -> None:
    voc_folder(tmp_path / "voc", 2)
    os.mkfifo(tmp_path / "list")
    for path, kind in ((tmp_path / "list", "pipe"), (Path("/dev/zero"), "device")):
        with pytest.raises(ValueError, match=rf"{path} is a {kind}, expected a regular file"):
            open_source(tmp_path / "voc", only=path)


def test_a_picture_that_is_a_program_is_not_run(tmp_path: Path) -> None:
    folder = VocFolder(tmp_path)
    folder.add("a.jpg")
    program = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 60 40\n%%EndComments\n"
    folder.add("b.jpg", content=program)
    source = open_source(tmp_path)
    assert len(source) == 1
    assert "EPS, which Pillow has a program run" in source.problems.texts()[0]


def test_ground_truth_agrees_with_the_readers_of_detops_eval(tmp_path: Path) -> None:
    source = open_source(voc_folder(tmp_path, 6))
    expected = read_voc(tmp_path / "Annotations", tmp_path / "JPEGImages").ground_truth
    truth = source.ground_truth()
    read_ground_truth(truth)
    assert truth["categories"] == expected["categories"]
    assert [i["file_name"] for i in truth["images"]] == [i["file_name"] for i in expected["images"]]
    for got, wanted in zip(truth["annotations"], expected["annotations"], strict=True):
        assert got["image_id"] == wanted["image_id"]
        assert got["category_id"] == wanted["category_id"]
        np.testing.assert_allclose(got["bbox"], wanted["bbox"], atol=1e-4)
    pytest.importorskip("pycocotools")
    found = [{**box, "score": 0.9} for box in truth["annotations"]]
    assert score_detections(truth, found).ap == pytest.approx(1)


# -- Real data -----------------------------------------------------------------------------------


def test_pets(data_dir: Path) -> None:
    source = open_source(data_dir / "pets", label_from="file_name")
    assert len(source) == 198
    assert source.labels == ("Abyssinian", "Bengal", "american_bulldog")
    assert source.problems.counts()["skipped_images"] == {}


def test_bccd(data_dir: Path) -> None:
    lists = data_dir / "bccd" / "ImageSets"
    train, val = (open_source(data_dir / "bccd", only=lists / f"{n}.txt") for n in ("train", "val"))
    assert (len(train), len(val)) == (205, 87)
    assert train.labels == val.labels == ("Platelets", "RBC", "WBC")
    both = reasons(train)["box without area"] + reasons(val)["box without area"]
    assert both == 2
