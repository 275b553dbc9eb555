# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Published .tflite files as warm starts, against the files themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

keras = pytest.importorskip("keras", reason="training needs keras")
tf = pytest.importorskip("tensorflow", reason="training.export needs tensorflow")

from PIL import Image  # noqa: E402

from detops import iou, postprocess  # noqa: E402
from detops.labels import read_labels  # noqa: E402
from training import warm_start  # noqa: E402
from training.export import export_detector, export_options, parity  # noqa: E402
from training.export.running import FileRunner  # noqa: E402
from training.models import build_detector  # noqa: E402
from training.warm_start.tflite_graph import TfliteGraph  # noqa: E402

Array = NDArray[Any]
COCO = "coco_ssd_mnv1_100_300_uint8.tflite"
PETS = "pets37_ssd_mnv1_075_300_uint8.tflite"
SURE = 0.3


def _photos(data_dir: Path, side: int) -> Array:
    """uint8 [6, side, side, 3]."""
    pictures = [Image.open(path) for path in sorted((data_dir / "images").glob("*.jpg"))]
    size = (side, side)
    resized = [p.convert("RGB").resize(size, Image.Resampling.BILINEAR) for p in pictures]
    return np.stack([np.asarray(picture) for picture in resized])


def _decibels(wanted: Array, got: Array) -> float:
    noise = np.square(wanted - got).sum()
    return float(10 * np.log10(np.square(wanted).sum() / max(noise, 1e-30)))


def _tensor(interpreter: Any, graph: TfliteGraph, tensor: int) -> Array:
    quantization = graph.graph.tensors[tensor].quantization
    assert quantization is not None
    integers = interpreter.get_tensor(tensor).astype(np.float32)
    return (integers - quantization.zero_points[0]) * np.float32(quantization.scales[0])


@pytest.mark.filterwarnings("ignore:.*experimental_preserve_all_tensors.*:UserWarning")
@pytest.mark.parametrize(
    ("name", "architecture", "depth", "side"),
    [
        ("mobilenet_v1_0.25_128_quant", "ssd_mobilenet_v1", 0.25, 128),
        ("mobilenet_v1_0.5_160_quant", "ssd_mobilenet_v1", 0.5, 160),
        ("mobilenet_v2_1.0_224_quant", "ssd_mobilenet_v2", 1.0, 224),
    ],
)
def test_backbone_has_the_files_features_and_classes(
    data_dir: Path, name: str, architecture: str, depth: float, side: int
) -> None:
    path = data_dir / "weights" / f"{name}.tflite"
    model = build_detector(
        architecture=architecture, num_classes=3, image_size=side, depth_multiplier=depth
    )
    report = warm_start.load(model, path)
    assert report.folded and len(report.loaded) == len(model.backbone.blocks())
    assert report.ranges >= len(report.loaded)
    graph = TfliteGraph(path)
    *_, last, classifier = graph.convolutions()
    kernel = graph.value(classifier.inputs[1])[:, 0, 0]
    bias = graph.value(classifier.inputs[2])
    file = tf.lite.Interpreter(str(path), experimental_preserve_all_tensors=True)
    file.allocate_tensors()
    same = 0
    photos = _photos(data_dir, side)
    for image in photos:
        file.set_tensor(graph.graph.inputs[0], image[np.newaxis])
        file.invoke()
        wanted = _tensor(file, graph, last.outputs[0])
        pixels = (image[np.newaxis].astype(np.float32) - 128) / 128
        got = np.asarray(model.backbone(pixels)[-1])
        # Two dozen 8-bit activations lie between the picture and these.
        assert _decibels(wanted, got) > 10
        logits = got.mean((1, 2)) @ kernel.T + bias
        same += int(logits.argmax() == file.get_tensor(graph.graph.outputs[0]).argmax())
    assert same >= len(photos) - 1


@pytest.fixture(scope="module")
def original(data_dir: Path) -> list[list[Array]]:
    """What the COCO detector itself finds."""
    run = FileRunner((data_dir / "models" / COCO).read_bytes())
    return [run(image) for image in _photos(data_dir, 300)]


def _coco_model(data_dir: Path, **settings: Any) -> Any:
    model = build_detector(
        architecture="ssd_mobilenet_v1",
        num_classes=90,
        image_size=300,
        depth_multiplier=0.75,
        **settings,
    )
    report = warm_start.load(model, data_dir / "models" / COCO)
    assert not report.fresh and not report.unused
    return model


def _differences(
    wanted: list[list[Array]], got: list[list[Array]]
) -> tuple[list[float], list[float]]:
    """Of each sure detection: IoU and score error of the best partner of its class."""
    overlaps, errors = [], []
    for ours, theirs in zip(wanted, got, strict=True):
        boxes, classes, scores, _ = (part[0] for part in ours)
        for slot in np.flatnonzero(scores >= SURE):
            overlap = iou(boxes[slot : slot + 1], theirs[0][0])[0]
            overlap = overlap * (theirs[1][0] == classes[slot])
            best = int(overlap.argmax())
            overlaps.append(float(overlap[best]))
            errors.append(abs(float(scores[slot] - theirs[2][0][best])))
    return overlaps, errors


def test_coco_detector_finds_the_same(data_dir: Path, original: list[list[Array]]) -> None:
    model = _coco_model(data_dir)
    photos = _photos(data_dir, 300)
    # The file's anchors are of 8 bits, up to 0.0032 of the image off the real ones.
    (_, node), *_ = TfliteGraph(data_dir / "models" / COCO).file.postprocess_operators()
    anchors = TfliteGraph(data_dir / "models" / COCO).value(node.inputs[2])
    options = export_options(90, max_detections=100)
    outputs = parity.model_outputs(model, list(photos), quantized=False)
    found = [list(postprocess(o.boxes[None], o.scores[None], anchors, options)) for o in outputs]
    overlaps, errors = _differences(original, found)
    near = np.asarray(overlaps) > 0.9
    # Where two anchors score alike, another one of them may be kept.
    assert near.sum() >= 0.9 * len(near)
    assert np.asarray(errors)[near].max() < 0.03


def test_coco_detector_exported_again(data_dir: Path, original: list[list[Array]]) -> None:
    model = _coco_model(data_dir, per_channel=True)
    labels = read_labels(data_dir / "models" / "coco90_labelmap.txt")[-90:]
    options = export_options(90, max_detections=100)
    file = export_detector(model, options, labels=labels, kind="int8")
    run = FileRunner(file)
    found = [run(image) for image in _photos(data_dir, 300)]
    overlaps, errors = (np.asarray(values) for values in _differences(original, found))
    assert (overlaps > 0.5).all()
    assert np.median(overlaps) > 0.9
    assert np.median(errors) < 0.02 and (errors < 0.06).mean() > 0.9


def test_calibration_keeps_the_detector(data_dir: Path) -> None:
    photos = _photos(data_dir, 300)[:2]
    model = _coco_model(data_dir)
    before = {name: np.asarray(value) for name, value in model(photos).items()}
    report = warm_start.load(model, data_dir / "models" / COCO, photos)
    assert report.calibrated and "measured" in str(report)
    for name, value in model(photos).items():
        np.testing.assert_allclose(value, before[name], atol=1e-3)


def test_other_classes_leave_out_the_class_heads(data_dir: Path) -> None:
    model = build_detector(
        architecture="ssd_mobilenet_v1", num_classes=3, image_size=300, depth_multiplier=0.75
    )
    report = warm_start.load(model, data_dir / "models" / PETS)
    assert len(report.fresh) == 6 and all("/classes_" in name for name in report.fresh)
    assert "37 classes, the model 3" in str(report)


def test_another_kind_of_detector_gets_the_backbone(data_dir: Path) -> None:
    model = build_detector(
        architecture="ssd_mobilenet_v1_ppn", num_classes=3, image_size=128, depth_multiplier=0.75
    )
    report = warm_start.load(model, data_dir / "models" / COCO)
    assert {id(b) for b in report.loaded} == {id(b) for b in model.backbone.blocks()}
    assert "only its backbone" in str(report)


def test_another_depth_changes_nothing(data_dir: Path) -> None:
    model = build_detector(
        architecture="ssd_mobilenet_v1", num_classes=3, image_size=96, depth_multiplier=0.5
    )
    before = [np.asarray(variable) for variable in model.variables]
    with pytest.raises(ValueError, match=r"\[3, 3, 3, 24\], expected \[3, 3, 3, 16\]"):
        warm_start.load(model, data_dir / "models" / COCO)
    for old, variable in zip(before, model.variables, strict=True):
        np.testing.assert_array_equal(old, variable)
