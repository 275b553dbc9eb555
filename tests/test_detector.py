# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Detector: any model, any order of outputs, any input type; and real models on real photos."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
import pytest

from colour_model import LABELS, ROWS, SIZE, ColourModel, picture
from detops.detector import Detection, Detector, ImageInput
from detops.model_file import ModelFile
from model_builder import PostprocessModel, default_options, schema

Image = pytest.importorskip("PIL.Image")
pytest.importorskip("ai_edge_litert")

GREEN, RED = (0, 200, 0), (255, 0, 0)
SPOTS = picture((1, 2, GREEN), (3, 5, RED))


def _save(folder: Path, model: ColourModel | PostprocessModel) -> Path:
    path = folder / "model.tflite"
    path.write_bytes(model.build())
    return path


def _names(found: list[Detection]) -> list[str]:
    return [detection.label for detection in found]


# ---------------------------------------------------------------------------------------------
# What is found
# ---------------------------------------------------------------------------------------------


def test_finds_what_is_there(tmp_path: Path, runtime: str) -> None:
    detector = Detector(_save(tmp_path, ColourModel()), labels=LABELS, runtime=runtime)
    red, green = detector.detect(SPOTS)
    assert red == Detection("red", 0, 255 / 256, red.box, (3, 5, 4, 6))
    assert green == Detection("green", 1, 200 / 256, green.box, (1, 2, 2, 3))
    assert np.allclose(green.box, (1 / 4, 2 / 6, 2 / 4, 3 / 6))
    assert (detector.input_size, detector.labels) == (SIZE, tuple(LABELS))
    assert detector.registration.nodes == 1


@pytest.mark.parametrize("dtype", ["uint8", "int8", "float32"])
def test_input_types_see_the_same_picture(tmp_path: Path, dtype: str) -> None:
    scaling = {"mean": 0.0, "std": 256.0} if dtype == "float32" else {}
    detector = Detector(_save(tmp_path, ColourModel(dtype=dtype)), labels=LABELS, **scaling)
    assert [(d.label, d.score) for d in detector.detect(SPOTS)] == [
        ("red", 255 / 256),
        ("green", 200 / 256),
    ]


def test_float_pixels_are_scaled_per_channel(tmp_path: Path) -> None:
    [graph] = ModelFile.read(_save(tmp_path, ColourModel(dtype="float32"))).subgraphs
    black = Image.fromarray(picture())
    default = ImageInput.of(graph).array(black)
    assert default.dtype == np.float32
    assert default.shape == (1, *SIZE, 3)
    assert (default == -1).all()
    scaled = ImageInput.of(graph, [1.0, 2.0, 3.0], [1.0, 2.0, 4.0]).array(black)
    assert scaled[0, 0, 0].tolist() == [-1.0, -1.0, -0.75]


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 2, 1, 0), (2, 0, 3, 1), (1, 1, 0, 2, 3)])
def test_order_of_the_models_outputs_does_not_matter(
    tmp_path: Path, order: tuple[int, ...]
) -> None:
    detector = Detector(_save(tmp_path, ColourModel(output_order=order)), labels=LABELS)
    assert _names(detector.detect(SPOTS)) == ["red", "green"]


@pytest.mark.parametrize("per_anchor", [1, 2, 3, 5])
def test_fast_mode_with_more_classes_per_anchor(tmp_path: Path, per_anchor: int) -> None:
    options = {"max_classes_per_detection": per_anchor, "max_detections": 2}
    model = _save(tmp_path, ColourModel(options=options))
    colours = picture((0, 0, (250, 240, 230)), (2, 3, (100, 220, 210)))
    found = Detector(model, labels=LABELS, threshold=0.5).detect(colours)
    expected = [("red", 0, 250), ("green", 0, 240), ("blue", 0, 230)][:per_anchor]
    expected += [("green", 2, 220), ("blue", 2, 210)][:per_anchor]
    assert [(d.label, d.pixel_box[0], d.score * 256) for d in found] == expected


def test_regular_mode(tmp_path: Path) -> None:
    options = {"use_regular_nms": True, "max_classes_per_detection": 2}
    detector = Detector(_save(tmp_path, ColourModel(options=options)), labels=LABELS)
    found = detector.detect(picture((0, 0, (250, 240, 0)), (2, 3, (0, 0, 200))))
    assert _names(found) == ["red", "green", "blue"]


@pytest.mark.parametrize(("threshold", "count"), [(None, 2), (0.8, 1), (1.0, 0), (-math.inf, ROWS)])
def test_threshold(tmp_path: Path, threshold: float | None, count: int) -> None:
    model = _save(tmp_path, ColourModel(options={"nms_score_threshold": -1.0}))
    found = Detector(model, threshold=threshold).detect(SPOTS)
    assert len(found) == count
    scores = [detection.score for detection in found]
    assert scores == sorted(scores, reverse=True)


def test_pictures_of_any_size_are_resized(tmp_path: Path) -> None:
    # Resizing blends each cell with its neighbours.
    detector = Detector(_save(tmp_path, ColourModel()), threshold=0.3)
    large = SPOTS.repeat(50, axis=0).repeat(30, axis=1)
    assert [d.pixel_box for d in detector.detect(large)] == [
        (150, 150, 200, 180),
        (50, 60, 100, 90),
    ]


def test_open_input_size(tmp_path: Path) -> None:
    model = ColourModel(input_shape=(1, 1, 1, 3), input_signature=(-1, -1, -1, 3))
    path = _save(tmp_path, model)
    with pytest.raises(ValueError, match=r"height and width are open.*input_size.*--input-size"):
        Detector(path)
    detector = Detector(path, labels=LABELS, input_size=SIZE)
    assert _names(detector.detect(SPOTS)) == ["red", "green"]


# ---------------------------------------------------------------------------------------------
# Labels
# ---------------------------------------------------------------------------------------------


def test_labels(tmp_path: Path) -> None:
    model = _save(tmp_path, ColourModel())
    file = tmp_path / "labels.txt"
    file.write_text("background\nr\ng\nb\n")
    assert Detector(model).labels == ("class 0", "class 1", "class 2")
    assert Detector(model, labels=[]).labels == ("class 0", "class 1", "class 2")
    assert Detector(model, labels=file).labels == ("r", "g", "b")
    assert Detector(model, labels=["???", "r", "g", "b"]).labels == ("r", "g", "b")
    with pytest.raises(ValueError, match=r"model\.tflite: labels has 2 entries.*3 classes"):
        Detector(model, labels=["r", "g"])


# ---------------------------------------------------------------------------------------------
# What does not fit
# ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "arguments", "message"),
    [
        (ColourModel(output_order=(0, 1, 2)), {}, r"'number of detections'.*not an output"),
        (ColourModel(output_order=(1, 2, 3), then="Custom"), {}, r"cannot prepare|feeds Custom"),
        (ColourModel(dtype="int32"), {}, r"input 'picture' has type int32"),
        (ColourModel(input_shape=(1, 4, 18, 1)), {}, r"shape \[1, 4, 18, 1\], expected \[1, h"),
        (ColourModel(input_shape=(2, 2, 6, 3)), {}, r"shape \[2, 2, 6, 3\]"),
        (ColourModel(input_shape=(4, 6, 3)), {}, r"shape \[4, 6, 3\]"),
        (ColourModel(), {"input_size": (8, 8)}, r"input_size is \(8, 8\).*fixed"),
        (ColourModel(), {"mean": 1.0}, r"mean and std are for float32.*uint8"),
        (ColourModel(dtype="float32"), {"std": 0.0}, r"std is 0\.0"),
        (ColourModel(dtype="float32"), {"mean": [1.0, 2.0]}, r"mean is \[1\.0, 2\.0\]"),
        (ColourModel(), {"threshold": math.nan}, r"threshold is NaN"),
        (ColourModel(), {"runtime": "onnx"}, r"runtime is 'onnx'"),
        (ColourModel(options={"num_classes": 9}), {}, r"3 class columns, expected num_classes 9"),
        (ColourModel(options={"y_scale": 0.0}), {}, r"option y_scale is 0"),
    ],
)
def test_refusals_say_why(
    tmp_path: Path, model: ColourModel, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Detector(_save(tmp_path, model), **arguments)


def test_an_op_that_is_not_the_last(tmp_path: Path) -> None:
    # ABS is a builtin, so that the runtime itself has no objection.
    root = schema.ModelT.InitFromPackedBuf(ColourModel(then="?").build(), 0)
    code = root.operatorCodes[-1]
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.ABS
    root.subgraphs[0].outputs = root.subgraphs[0].outputs[1:]
    builder = flatbuffers.Builder(1024)
    builder.Finish(root.Pack(builder), file_identifier=b"TFL3")
    path = tmp_path / "model.tflite"
    path.write_bytes(bytes(builder.Output()))
    with pytest.raises(ValueError, match=r"'boxes'.*feeds ABS \(node 2\), expected nothing after"):
        Detector(path)


@pytest.mark.parametrize(
    ("changes", "count"), [({"custom_code": "Other"}, 0), ({"two_ops": True}, 2)]
)
def test_needs_exactly_one_node(tmp_path: Path, changes: dict[str, Any], count: int) -> None:
    anchors = np.ones((3, 4), np.float32)
    model = PostprocessModel(
        anchors=anchors, class_columns=2, options=default_options(2), **changes
    )
    with pytest.raises(ValueError, match=f"has {count} TFLite_Detection_PostProcess nodes"):
        Detector(_save(tmp_path, model))


def test_files_that_are_not_there_or_no_model(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Detector(tmp_path / "none.tflite")
    path = tmp_path / "text.tflite"
    path.write_text("this is not a model")
    with pytest.raises(ValueError, match=r"text\.tflite: identifier"):
        Detector(path)


@pytest.mark.parametrize("image", [np.zeros((4, 6), np.uint8), np.zeros((4, 6, 3)), 7, None])
def test_things_that_are_no_picture(tmp_path: Path, image: Any) -> None:
    detector = Detector(_save(tmp_path, ColourModel()))
    with pytest.raises((ValueError, TypeError), match="image is"):
        detector.detect(image)


# ---------------------------------------------------------------------------------------------
# Real models
# ---------------------------------------------------------------------------------------------


def test_coco_model_finds_cats_and_dogs(data_dir: Path) -> None:
    model = data_dir / "models" / "coco_ssd_mnv1_100_300_uint8_with_metadata.tflite"
    detector = Detector(model, threshold=0.45)
    names = _names(detector.detect(data_dir / "images" / "cats_and_dogs.jpg"))
    assert set(names) == {"cat", "dog"}
    assert set(_names(detector.detect(data_dir / "images" / "dogs.jpg"))) == {"dog"}
    assert {"kite", "person"} == set(_names(detector.detect(data_dir / "images/kite_and_cold.jpg")))


def test_pets_model_finds_breeds(data_dir: Path) -> None:
    models = data_dir / "models"
    detector = Detector(
        models / "pets37_ssd_mnv1_075_300_uint8.tflite",
        labels=models / "pet_label_map.pbtxt",
        threshold=0.3,
    )
    # Every sixth picture: eleven of each of the three breeds.
    paths = sorted((data_dir / "pets" / "images").iterdir())[::6]
    hits = [path.name.rpartition("_")[0] in _names(detector.detect(path))[:1] for path in paths]
    assert sum(hits) >= 0.8 * len(hits)
