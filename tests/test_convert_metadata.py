# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""TFLite metadata: written, read back, and that of a real file."""

from __future__ import annotations

import io
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import detops
from colour_model import ColourModel
from detops.convert import Metadata, add_metadata, read_metadata, tidy
from detops.convert.associated_files import AssociatedFile
from detops.convert.model_edit import ModelEdit
from detops.labels import labels_in_model, read_labels
from detops.model_file import ModelFile
from model_builder import PostprocessModel, default_options, schema
from raw_models import label_names, run_outputs

COCO = "coco_ssd_mnv1_100_300_uint8_with_metadata.tflite"


@pytest.fixture
def model() -> bytes:
    return tidy(ColourModel().build())


def test_round_trip(model: bytes, tmp_path: Path) -> None:
    labels = label_names(model)
    after = add_metadata(model, labels=labels, description="Finds colours.", name="Colours")
    assert read_metadata(after) == Metadata(
        name="Colours",
        description="Finds colours.",
        version="",
        author="",
        license="",
        min_parser_version="1.2.0",
        input_names=("image",),
        input_mean=(127.5,),
        input_std=(127.5,),
        output_names=("location", "category", "score", "number of detections"),
        box_order=(1, 0, 3, 2),
        label_files=("labelmap.txt",),
        labels=tuple(labels),
    )
    path = tmp_path / "model.tflite"
    path.write_bytes(after)
    assert labels_in_model(path) == labels
    assert read_metadata(path) == read_metadata(after)
    with zipfile.ZipFile(path) as archive:
        [entry] = archive.infolist()
    assert (entry.filename, entry.compress_type) == ("labelmap.txt", zipfile.ZIP_STORED)
    assert add_metadata(model, labels=labels, description="Finds colours.", name="Colours") == after


def test_the_model_still_runs(model: bytes) -> None:
    after = add_metadata(model, labels=label_names(model))
    details = detops.Interpreter(model_content=model).get_input_details()[0]
    picture = np.zeros(details["shape"], details["dtype"])
    before = run_outputs(detops.Interpreter(model_content=model), [picture])
    for a, b in zip(
        run_outputs(detops.Interpreter(model_content=after), [picture]), before, strict=True
    ):
        assert a.tobytes() == b.tobytes()


def test_again_replaces(model: bytes) -> None:
    edit = ModelEdit(add_metadata(model, labels=label_names(model), name="first"))
    edit.files.append(AssociatedFile.of("notes.bin", b"kept"))
    # A second label file would leave a reader to guess.
    edit.files.append(AssociatedFile.of("old_labels.txt", b"other"))
    labels = [name.upper() for name in label_names(model)]
    after = add_metadata(
        edit.save(), labels=labels, name="second", input_mean=np.arange(1, 4), input_std=2
    )
    found = read_metadata(after)
    assert found is not None
    assert (found.name, found.labels) == ("second", tuple(labels))
    assert (found.input_mean, found.input_std) == ((1.0, 2.0, 3.0), (2.0,))
    assert ModelFile.read(after).metadata_names == ("TFLITE_METADATA",)
    assert [file.entry.filename for file in ModelEdit(after).files] == ["notes.bin", "labelmap.txt"]


def test_a_background_is_left_out(model: bytes, tmp_path: Path) -> None:
    labels = label_names(model)
    path = tmp_path / "labels.txt"
    path.write_text("\n".join(["background", *labels]))
    for given in (path, str(path), ["???", *labels]):
        found = read_metadata(add_metadata(model, labels=given))
        assert found is not None
        assert list(found.labels) == labels


def test_a_model_without_metadata(model: bytes) -> None:
    assert read_metadata(model) is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": ["one"] * 40}, "labels has 40 entries"),
        ({"input_mean": [1.0, 2.0]}, "input_mean has 2 numbers, expected 1 or 3"),
        ({"input_std": 0.0}, "input_std is 0.0, expected positive numbers"),
        ({"input_mean": float("nan")}, "input_mean is nan, expected finite numbers"),
    ],
)
def test_bad_arguments(model: bytes, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        add_metadata(model, **{"labels": label_names(model), **changes})


def test_labels_that_are_no_lines(model: bytes) -> None:
    for bad in ("two\nlines", " blank"):
        labels = [bad, *label_names(model)[1:]]
        with pytest.raises(ValueError, match=r"label 0 is .* expected one line"):
            add_metadata(model, labels=labels)


def test_other_models(model: bytes) -> None:
    shuffled = ColourModel(output_order=(3, 1, 0, 2)).build()
    with pytest.raises(ValueError, match=r"expected the op's four in its order.*convert\.tidy"):
        add_metadata(shuffled, labels=label_names(model))
    tensors = PostprocessModel(
        anchors=np.full((12, 4), 0.25, np.float32), class_columns=4, options=default_options(3)
    )
    with pytest.raises(ValueError, match=r"inputs have shapes .* expected one image"):
        add_metadata(tensors.build(), labels=["a", "b", "c"])


def test_malformed_metadata(model: bytes) -> None:
    for block, message in (
        (b"\x08\0\0\0M00X\0\0\0\0", "identifier of the metadata is b'M00X', expected b'M001'"),
        (b"\xff\xff\0\0M001", "the metadata"),
        (b"short", "the header|the metadata"),
    ):
        edit = ModelEdit(model)
        entry = schema.MetadataT()
        entry.name, entry.buffer = "TFLITE_METADATA", edit.add_buffer(block)
        edit.model.metadata = [entry]
        with pytest.raises(ValueError, match=message):
            read_metadata(edit.save())
    with pytest.raises(ValueError, match="TFL3"):
        read_metadata(b"nothing at all here")


def test_a_real_file(data_dir: Path) -> None:
    found = read_metadata(data_dir / "models" / COCO)
    assert found is not None
    assert (found.name, found.version, found.author) == ("Coco SSD MobileNetV1", "v1", "TensorFlow")
    assert (found.input_names, found.input_mean, found.input_std) == (
        ("image",),
        (127.5,),
        (127.5,),
    )
    assert found.output_names == ("locations", "classes", "scores", "number of detections")
    assert found.box_order == (1, 0, 3, 2)
    assert list(found.labels) == read_labels(data_dir / "models" / "coco90_labelmap.txt")
    assert found.label_files == ("labelmap.txt",)


def test_real_files_get_new_metadata(data_dir: Path, tmp_path: Path) -> None:
    models = data_dir / "models"
    for name, labels in (
        (COCO, "coco90_labelmap.txt"),
        ("pets37_ssd_mnv1_075_300_uint8.tflite", "pets37_labelmap_with_background.txt"),
    ):
        path = tmp_path / name
        path.write_bytes(add_metadata(models / name, labels=models / labels))
        packed = labels_in_model(path)
        assert packed is not None
        assert packed == read_labels(models / labels)[-len(packed) :]


# ---------------------------------------------------------------------------- archives of strangers


def _archive(*files: tuple[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    stream = io.BytesIO(ColourModel().build())
    with warnings.catch_warnings(), zipfile.ZipFile(stream, "a", compression) as archive:
        warnings.simplefilter("ignore")
        for name, content in files:
            archive.writestr(name, content)
    return stream.getvalue()


def _changed(content: bytes, record: bytes, offset: int, new: bytes) -> bytes:
    """With other bytes at an offset of the last record of a kind."""
    place = content.rindex(record) + offset
    return content[:place] + new + content[place + len(new) :]


_LABELS = b"red\ngreen\nblue\n"
_PLAIN = _archive(("labelmap.txt", _LABELS))
_ENTRY, _FILE = b"PK\x01\x02", b"PK\x03\x04"


def _bomb() -> bytes:
    return bytes(270 << 20)


ARCHIVES: dict[str, tuple[Callable[[], bytes], str | None]] = {
    "a bomb": (lambda: _archive(("labelmap.txt", _bomb())), "bytes"),
    "a bomb beside the labels": (
        lambda: _archive(("labelmap.txt", _LABELS), ("x", _bomb())),
        None,
    ),
    "thousands of files": (
        lambda: _archive(("labels.txt", _LABELS), *[(f"{n}", b"") for n in range(5000)]),
        None,
    ),
    "names that leave the folder": (
        lambda: _archive(("../../labels.txt", _LABELS), ("/etc/x", b"")),
        None,
    ),
    "one name twice": (
        lambda: _archive(("labels.txt", _LABELS), ("labels.txt", b"")),
        "2 label files",
    ),
    "encrypted": (lambda: _changed(_PLAIN, _ENTRY, 8, b"\x01"), "damaged"),
    "an unknown method": (lambda: _changed(_PLAIN, _ENTRY, 10, b"\x63"), "damaged"),
    "a size that is not true": (
        lambda: _changed(_PLAIN, _ENTRY, 24, b"\xff\xff\xff\x7f"),
        None,
    ),
    "an offset out of the file": (
        lambda: _changed(_PLAIN, _ENTRY, 42, b"\xff\xff\xff\x7f"),
        "damaged",
    ),
    "lzma, damaged": (
        lambda: _changed(_archive(("labels.txt", _LABELS), compression=14), _FILE, 50, b"\xff" * 9),
        "damaged",
    ),
    "bz2, damaged": (
        lambda: _changed(_archive(("labels.txt", _LABELS), compression=12), _FILE, 44, b"\xff" * 9),
        "damaged",
    ),
}


@pytest.mark.fault
@pytest.mark.parametrize("row", ARCHIVES)
def test_archives_of_strangers(row: str, tmp_path: Path) -> None:
    """Labels, or an error in words; in bounded memory, and no file is written anywhere."""
    make, words = ARCHIVES[row]
    content = make()
    path = tmp_path / "model.tflite"
    path.write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        if words is None:
            assert labels_in_model(path) == ["red", "green", "blue"]
        else:
            with pytest.raises(ValueError, match=words):
                labels_in_model(path)
        # Edits keep the other files, or say why they cannot.
        try:
            edited = tidy(content, verify=False)
        except ValueError as error:
            assert "associated files" in str(error)
        else:
            assert zipfile.is_zipfile(io.BytesIO(edited))
    assert list(tmp_path.iterdir()) == [path]
