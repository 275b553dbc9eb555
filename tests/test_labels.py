# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Label files: real ones, every spelling of a label map, and broken ones."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detops.labels import UNKNOWN, align_labels, labels_in_model, read_labels


def _model_data(name: str) -> Path:
    root = os.environ.get("DETOPS_DATA")
    if not root:
        pytest.skip("DETOPS_DATA is not set")
    return Path(root) / "models" / name


def _write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


# ---------------------------------------------------------------------------------------------
# Real files
# ---------------------------------------------------------------------------------------------


def test_coco_label_file() -> None:
    labels = read_labels(_model_data("coco90_labelmap.txt"))
    assert len(labels) == 90
    assert (labels[0], labels[11], labels[16], labels[-1]) == ("person", "???", "cat", "toothbrush")
    assert align_labels(labels, 90) == labels


def test_pets_label_map_and_label_file_agree() -> None:
    from_map = read_labels(_model_data("pet_label_map.pbtxt"))
    from_text = read_labels(_model_data("pets37_labelmap_with_background.txt"))
    assert (len(from_map), len(from_text)) == (37, 38)
    assert (from_map[0], from_map[-1]) == ("Abyssinian", "yorkshire_terrier")
    assert align_labels(from_text, 37) == align_labels(from_map, 37) == from_map


def test_labels_inside_a_real_model() -> None:
    packed = labels_in_model(_model_data("coco_ssd_mnv1_100_300_uint8_with_metadata.tflite"))
    assert packed == read_labels(_model_data("coco90_labelmap.txt"))


def test_a_real_model_without_labels() -> None:
    assert labels_in_model(_model_data("coco_ssd_mnv1_100_300_uint8.tflite")) is None


# ---------------------------------------------------------------------------------------------
# One label per line
# ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "labels"),
    [
        ("cat\ndog\n", ["cat", "dog"]),
        ("cat\r\ndog", ["cat", "dog"]),
        ("cat\rdog\r", ["cat", "dog"]),
        ("\ufeffcat\ndog\n\n\n", ["cat", "dog"]),
        ("cat\n\ndog\n", ["cat", "???", "dog"]),
        (
            "  traffic light \nchat\u2028noir\nKätzchen",
            ["traffic light", "chat\u2028noir", "Kätzchen"],
        ),
    ],
)
def test_text_file(tmp_path: Path, content: str, labels: list[str]) -> None:
    assert read_labels(_write(tmp_path, "labels.txt", content)) == labels


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"labels\.txt holds no labels"),
        (b"\n \n", "holds no labels"),
        (b"cat\nd\xffg\n", r"labels\.txt is not UTF-8 at byte 5"),
        (b"a" * (1 << 23), "not a label file"),
        ("cat\n".encode("utf-16"), "is not UTF-8 at byte 0|has a NUL at byte 3"),
        ("cat\n".encode("utf-16-le"), r"labels\.txt has a NUL at byte 1, expected text in UTF-8"),
        ("cat\n".encode("utf-32-be"), "has a NUL at byte 0"),
        (b"\0", "has a NUL at byte 0"),
    ],
    ids=["empty", "blank", "not-utf8", "huge", "utf16", "utf16-no-mark", "utf32", "nul"],
)
def test_bad_text_file(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_labels(_write(tmp_path, "labels.txt", content))


def test_absent_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_labels(tmp_path / "labels.txt")


# ---------------------------------------------------------------------------------------------
# Label maps
# ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "labels"),
    [
        ("item { id: 1 name: 'cat' } item { id: 2 name: 'dog' }", ["cat", "dog"]),
        ("item{name:'dog' id:2}item{name:'cat',id:1;}", ["cat", "dog"]),
        ("item { id: 4 name: 'd' }\nitem { id: 2 name: 'b' }", ["???", "b", "???", "d"]),
        ("item { name: '/m/01' id: 1 display_name: 'person' }", ["person"]),
        ("item { id: 1 name: 'cat' display_name: '' }", ["cat"]),
        ('# pets\nitem: < id: 1 # first\n name: "it\'s" >', ["it's"]),
        (r"item { id: 1 name: 'say \"miau\", it\'s \x21' }", ['say "miau", it\'s !']),
        (r"item { id: 1 name: 'K\303\244tzchen \u00e9 ä\\\n' }", ["Kätzchen é ä\\\n"]),
        ("item { id: 1 name: 'St. ' 'Bernard' }", ["St. Bernard"]),
        ("item { id: 0 name: 'background' } item { id: 1 name: 'cat' }", ["cat"]),
        (
            "item { id: 1 name: 'man' keypoints { id: 9 label: 'nose' x { y: [1, 2] } } "
            "ancestor_ids: [3, 4] frequency: RARE instance_count: 5 }",
            ["man"],
        ),
    ],
)
def test_label_map(tmp_path: Path, content: str, labels: list[str]) -> None:
    assert read_labels(_write(tmp_path, "map.pbtxt", content)) == labels


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", r"map\.pbtxt holds no labels"),
        ("item { id: 0 name: 'background' }", "holds no labels"),
        ("cat\ndog", "line 1: got 'cat', expected item"),
        ("item { id: 1 name: 'cat'", "line 1: got the end of the file, expected a field name"),
        ("item { id: 1\nname: }", "line 2: got '}', expected a value"),
        (r"item { id: 1 name: '\377' }", "is not UTF-8"),
        (r"item { id: 1 name: '\ud800' }", "is not UTF-8"),
        ("item { id: 1 name: 'cat }", 'got "\'" without its end'),
        ("item 'cat'", "got 'cat', expected '{'"),
        ("item { id: 1 } }", "without name"),
        ("item { name: 'cat' }", "without id"),
        ("item { id: 1 name: 'a' } }", "got '}', expected item"),
        ("item { id: one name: 'cat' }", "id 'one', expected 0 to 100000"),
        ("item { id: -1 name: 'cat' }", "id '-1'"),
        ("item { id: 999999999 name: 'cat' }", "id '999999999'"),
        ("item { id: 1 name: 'a' } item { id: 1 name: 'b' }", "two items of id 1: 'a', 'b'"),
        ("item { id: 0 name: 'cat' } item { id: 1 name: 'dog' }", "ids start at 1"),
        ("item { id: 1 name: 'a' x " + "{" * 50_000, "end of the file, expected '}'"),
    ],
)
def test_bad_label_map(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_labels(_write(tmp_path, "map.pbtxt", content))


@given(st.text(alphabet="item{}<>[]:'\"\\#\n 10idname,x", max_size=80))
@settings(max_examples=200, deadline=None)
def test_any_text_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = _write(tmp_path_factory.getbasetemp(), "any.pbtxt", text)
    try:
        labels = read_labels(path)
    except ValueError as error:
        labels = [str(error)]
    assert labels


# ---------------------------------------------------------------------------------------------
# Labels packed into a model
# ---------------------------------------------------------------------------------------------


def _packed(folder: Path, members: dict[str, str]) -> Path:
    path = _write(folder, "model.tflite", b"\x1c\0\0\0TFL3" + bytes(100))
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


@pytest.mark.parametrize(
    ("members", "labels"),
    [
        ({"labelmap.txt": "cat\ndog\n"}, ["cat", "dog"]),
        ({"readme.txt": "hello", "Labels.txt": "cat"}, ["cat"]),
        ({"classes.txt": "cat"}, ["cat"]),
        ({"label_map.pbtxt": "item { id: 2 name: 'dog' }"}, ["???", "dog"]),
        ({"a.txt": "1", "b.txt": "2"}, None),
        ({"vocabulary.bin": "x"}, None),
    ],
)
def test_packed_labels(tmp_path: Path, members: dict[str, str], labels: list[str] | None) -> None:
    assert labels_in_model(_packed(tmp_path, members)) == labels


def test_several_packed_label_files(tmp_path: Path) -> None:
    path = _packed(tmp_path, {"labels_en.txt": "cat", "labels_de.txt": "Katze"})
    with pytest.raises(ValueError, match=r"holds 2 label files: labels_de\.txt, labels_en\.txt"):
        labels_in_model(path)


def test_packed_labels_too_long(tmp_path: Path) -> None:
    path = _packed(tmp_path, {"labels.txt": "a" * (1 << 23)})
    with pytest.raises(ValueError, match=r"labels\.txt in model\.tflite has more than"):
        labels_in_model(path)


def test_damaged_archive(tmp_path: Path) -> None:
    path = _packed(tmp_path, {"labels.txt": "cat\ndog\nbird\n" * 20})
    content = bytearray(path.read_bytes())
    for position in range(108 + 45, 108 + 55):
        content[position] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"the archive in model\.tflite is damaged"):
        labels_in_model(path)


# ---------------------------------------------------------------------------------------------
# Labels against classes
# ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("background", ["???", "background", "__background__", "Background "])
def test_background_is_dropped(background: str) -> None:
    assert align_labels([background, "cat", "dog"], 2) == ["cat", "dog"]


def test_as_many_labels_as_classes_stay() -> None:
    assert align_labels(("???", "cat"), 2) == ["???", "cat"]


@pytest.mark.parametrize(
    ("labels", "num_classes", "message"),
    [
        (["cat"], 2, "labels has 1 entries, the model has 2 classes"),
        ([], 1, "labels has 0 entries, the model has 1 classes"),
        (["cat", "dog", "bird"], 2, "3 entries, .* 2 classes, and the first label, 'cat'"),
        (["???", "cat", "dog"], 1, "3 entries, the model has 1 classes"),
        (["cat"], 0, "num_classes is 0, expected at least 1"),
    ],
)
def test_labels_that_do_not_fit(labels: list[str], num_classes: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        align_labels(labels, num_classes)


def test_lines_that_start_with_their_number_keep_it(tmp_path: Path) -> None:
    file = tmp_path / "coco_labels.txt"
    file.write_text("0  person\n1  bicycle\n3  car, red\n")
    assert read_labels(file) == ["person", "bicycle", UNKNOWN, "car, red"]


def test_a_name_may_start_with_a_number(tmp_path: Path) -> None:
    file = tmp_path / "labels.txt"
    file.write_text("7 up\ncola\n")
    assert read_labels(file) == ["7 up", "cola"]
