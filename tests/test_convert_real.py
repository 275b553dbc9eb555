# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""detops.convert on real models and photos: no edit changes a bit of what they detect."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import detops
from detops.cli import main
from detops.convert import (
    add_metadata,
    attach_postprocess,
    read_metadata,
    rewrite_quantized,
    set_options,
    tidy,
)
from detops.convert.inserted_nodes import quantization_of
from detops.convert.model_edit import ModelEdit
from detops.interpreter import runtime_module
from detops.labels import read_labels
from detops.model_file import ModelFile
from detops.nodes.facts import read_nodes
from model_builder import Array
from raw_models import label_names, without_op
from reference import assert_same_bits

Image = pytest.importorskip("PIL.Image", reason="photos need Pillow")

COCO = "coco_ssd_mnv1_100_300_uint8.tflite"
PETS = "pets37_ssd_mnv1_075_300_uint8.tflite"
MODELS = (COCO, "coco_ssd_mnv1_100_300_uint8_with_metadata.tflite", PETS)
# Half a step of 8-bit anchors up to 1.65, as of SSD at 300 x 300, and what that makes of corners.
ANCHOR_ERROR, CORNER_ERROR = 0.0033, 0.006


def attached(content: bytes, into: str) -> bytes:
    raw, anchors, options = without_op(content)
    return attach_postprocess(raw, anchors, options, into=into)


def same_options(content: bytes) -> bytes:
    [(_, node)] = ModelFile.read(content).postprocess_operators()
    options = detops.Options.from_bytes(node.custom_options or b"")
    return set_options(content, **vars(options))


EDITS: dict[str, Callable[[bytes], bytes]] = {
    "tidy": tidy,
    "set": same_options,
    "int8": lambda content: rewrite_quantized(content, "int8"),
    "uint8": lambda content: rewrite_quantized(content, "uint8"),
    "float32": lambda content: rewrite_quantized(content, "float32"),
    "uint8 of int8": lambda content: rewrite_quantized(rewrite_quantized(content, "int8"), "uint8"),
    "metadata": lambda content: add_metadata(tidy(content), labels=label_names(content)),
    "attach": lambda content: attached(content, "float32"),
    "attach native": lambda content: attached(content, "native"),
}


@functools.cache
def photos(folder: Path) -> list[Array]:
    """At the size of the networks."""
    found = [Image.open(path).convert("RGB") for path in sorted(folder.glob("*.jpg"))]
    assert len(found) > 3
    return [np.asarray(photo.resize((300, 300)))[None] for photo in found]


def detections(interpreter: Any, content: bytes, frames: list[Array]) -> list[list[Array]]:
    """By frame what the op gives, in its order."""
    [(graph, node)] = ModelFile.read(content).postprocess_operators()
    interpreter.allocate_tensors()
    results = []
    for frame in frames:
        interpreter.set_tensor(graph.inputs[0], frame)
        interpreter.invoke()
        results.append([interpreter.get_tensor(index).copy() for index in node.outputs])
    return results


def with_stock(content: bytes, frames: list[Array], runtime: str) -> list[list[Array]]:
    make = runtime_module(runtime).Interpreter
    return detections(make(model_content=content, num_threads=1), content, frames)


def with_detops(content: bytes, frames: list[Array], runtime: str | None = None) -> Any:
    return detections(detops.Interpreter(model_content=content, runtime=runtime), content, frames)


def assert_same(got: list[list[Array]], wanted: list[list[Array]]) -> None:
    """Over the slots that are in use."""
    assert sum(int(found[3].flat[0]) for found in wanted) >= 30
    for ours, theirs in zip(got, wanted, strict=True):
        count = int(theirs[3].flat[0])
        assert ours[3].flat[0] == count
        for name, a, b in zip(("boxes", "classes", "scores"), ours, theirs, strict=False):
            assert_same_bits(a[:, :count], b[:, :count], name)


@pytest.mark.parametrize("edit", EDITS)
@pytest.mark.parametrize("name", MODELS)
def test_no_bit_changes(data_dir: Path, name: str, edit: str, runtime: str) -> None:
    frames = photos(data_dir / "images")
    before = (data_dir / "models" / name).read_bytes()
    wanted = with_stock(before, frames, runtime)
    after = EDITS[edit](before)
    assert_same(with_detops(after, frames, runtime), wanted)
    # Stock refuses int8.
    if edit != "int8":
        assert_same(with_stock(after, frames, runtime), wanted)


def detected(capsys: pytest.CaptureFixture[str], model: Path, photo: Path) -> list[dict[str, Any]]:
    assert main(["detect", str(model), str(photo), "--threshold", "0.4", "--json"]) == 0
    [image] = json.loads(capsys.readouterr().out)["images"]
    found: list[dict[str, Any]] = image["detections"]
    return found


@pytest.mark.parametrize("name", [COCO, PETS])
def test_one_command_makes_a_detector(
    data_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    original = data_dir / "models" / name
    raw = tmp_path / "raw.tflite"
    content, _, options = without_op(original.read_bytes())
    raw.write_bytes(content)
    command = ["convert", "attach", str(raw), "--anchors", str(original)]
    for option in ("num_classes", "nms_score_threshold", "nms_iou_threshold", "max_detections"):
        command += [f"--{option.replace('_', '-')}", str(getattr(options, option))]
    new = tmp_path / "new.tflite"
    assert main([*command, "--out", str(new)]) == 0
    capsys.readouterr()
    photo = data_dir / "images" / "pets.jpg"
    found = detected(capsys, new, photo)
    assert found
    assert found == detected(capsys, original, photo)


def test_detect_finds_the_labels(
    data_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = data_dir / "models" / "coco90_labelmap.txt"
    tidied, described = tmp_path / "tidy.tflite", tmp_path / "described.tflite"
    assert main(["convert", "tidy", str(data_dir / "models" / COCO), "--out", str(tidied)]) == 0
    command = ["convert", "metadata", str(tidied), "--labels", str(labels), "--out", str(described)]
    assert main(command) == 0
    capsys.readouterr()
    found = detected(capsys, described, data_dir / "images" / "pets.jpg")
    assert "dog" in {detection["label"] for detection in found}
    written = read_metadata(described)
    assert written is not None
    assert list(written.labels) == read_labels(labels)


# ---------------------------------------------------------------------------------------------
# 8-bit anchors
# ---------------------------------------------------------------------------------------------


def with_anchors(content: bytes, anchors: Array, dtype: str) -> bytes:
    """Other anchors; int8 ones are rounded as the converter rounds constants."""
    edit = ModelEdit(content)
    graph, node = edit.postprocess_nodes()[0]
    quantization = None
    if dtype == "int8":
        scale = np.float32(anchors.max() / 255)
        quantization = quantization_of(edit, float(scale), -128)
        anchors = np.clip(np.round(anchors / scale) - 128, -128, 127).astype(np.int8)
    node.inputs = np.array(node.inputs)
    node.inputs[2] = edit.add_tensor(graph, "anchors", anchors.shape, dtype, quantization, anchors)
    return edit.save()


@pytest.mark.parametrize("name", [COCO, PETS])
def test_the_uint8_twin_of_int8_anchors(data_dir: Path, name: str, runtime: str) -> None:
    """Its anchors are the same numbers as uint8, so nothing is left to differ."""
    frames = photos(data_dir / "images")
    fed_int8 = rewrite_quantized(data_dir / "models" / name, "int8")
    model = with_anchors(fed_int8, detops.ssd_anchors(), "int8")
    [facts] = read_nodes(ModelFile.read(model))
    assert {role: item.tensor.dtype for role, item in facts.inputs.items()} == {
        "box_encodings": "int8",
        "scores": "int8",
        "anchors": "int8",
    }
    twin = rewrite_quantized(model, "uint8")
    assert_same(with_stock(twin, frames, runtime), with_detops(model, frames, runtime))


@pytest.mark.parametrize("name", [COCO, PETS])
def test_what_anchors_of_8_bits_cost(data_dir: Path, name: str) -> None:
    """docs/convert.md states it."""
    frames = photos(data_dir / "images")
    fed_int8 = rewrite_quantized(data_dir / "models" / name, "int8")
    anchors = detops.ssd_anchors()
    narrow = with_anchors(fed_int8, anchors, "int8")
    [facts] = read_nodes(ModelFile.read(narrow))
    rounded = facts.inputs["anchors"].real_constant()
    assert rounded is not None
    assert np.abs(rounded - anchors).max() < ANCHOR_ERROR
    moved = []
    exact = with_detops(with_anchors(fed_int8, anchors, "float32"), frames)
    for ours, theirs in zip(with_detops(narrow, frames), exact, strict=True):
        # Suppression may choose another box where two overlap by nearly the threshold.
        same = (ours[1] == theirs[1]) & (ours[2] == theirs[2]) & (theirs[2] > 0)
        moved += np.abs(ours[0] - theirs[0]).max(axis=-1)[same].tolist()
    assert len(moved) > 40
    assert 0 < np.mean(moved) < ANCHOR_ERROR + 5e-4
    assert max(moved) < CORNER_ERROR
