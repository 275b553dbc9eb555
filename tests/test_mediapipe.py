# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Files that detops.convert made, in MediaPipe's ObjectDetector: the boxes of detops.

MediaPipe is no dependency; these tests run where somebody has installed it. It resizes photos in
its own way, so they come at the size of the network.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from colour_model import LABELS, SIZE, ColourModel
from detops.convert import add_metadata, attach_postprocess, rewrite_quantized, tidy
from detops.detector import Detector
from raw_models import without_op

mediapipe = pytest.importorskip(
    "mediapipe", reason="mediapipe is not installed: pip install mediapipe"
)
tasks = pytest.importorskip("mediapipe.tasks.python")
Image = pytest.importorskip("PIL.Image", reason="photos need Pillow")

MODEL = "coco_ssd_mnv1_100_300_uint8.tflite"
THRESHOLD = 0.3
SIDE = 300


def attached(content: bytes, into: str) -> bytes:
    raw, anchors, options = without_op(content)
    return attach_postprocess(raw, anchors, options, into=into)


MAKERS: dict[str, Callable[[bytes], bytes]] = {
    "tidy": tidy,
    "attach": lambda content: attached(content, "float32"),
    "attach native": lambda content: attached(content, "native"),
    "float32": lambda content: tidy(rewrite_quantized(content, "float32")),
    "uint8 of int8": lambda content: tidy(
        rewrite_quantized(rewrite_quantized(content, "int8"), "uint8")
    ),
}


def mediapipe_detections(model: Path, photos: list[Any]) -> list[list[Any]]:
    options = tasks.vision.ObjectDetectorOptions(
        base_options=tasks.BaseOptions(model_asset_path=str(model)),
        score_threshold=THRESHOLD,
        max_results=10,
    )
    with tasks.vision.ObjectDetector.create_from_options(options) as detector:
        images = [mediapipe.Image(mediapipe.ImageFormat.SRGB, np.asarray(p)) for p in photos]
        return [list(detector.detect(image).detections) for image in images]


@pytest.mark.parametrize("maker", MAKERS)
def test_boxes_of_detops(data_dir: Path, tmp_path: Path, maker: str) -> None:
    labels = data_dir / "models" / "coco90_labelmap.txt"
    content = MAKERS[maker]((data_dir / "models" / MODEL).read_bytes())
    model = tmp_path / "model.tflite"
    model.write_bytes(add_metadata(content, labels=labels))
    photos = [
        Image.open(path).convert("RGB").resize((SIDE, SIDE))
        for path in sorted((data_dir / "images").glob("*.jpg"))
    ]
    detector = Detector(model, threshold=THRESHOLD)
    compared = 0
    for photo, theirs in zip(photos, mediapipe_detections(model, photos), strict=True):
        ours = detector.detect(photo)
        assert len(theirs) == len(ours)
        for found, wanted in zip(theirs, ours, strict=True):
            category, box = found.categories[0], found.bounding_box
            assert category.category_name == wanted.label
            assert category.score == pytest.approx(wanted.score, abs=1e-6)
            # MediaPipe cuts origin and size down to whole pixels, and boxes at no border.
            top, left, bottom, right = np.asarray(wanted.box) * SIDE
            edges = [top, left, bottom - top, right - left]
            pixels = [box.origin_y, box.origin_x, box.height, box.width]
            assert np.abs(np.asarray(pixels) - edges).max() < 1
            compared += 1
    assert compared > 20


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_inputs_that_it_takes(tmp_path: Path, dtype: str) -> None:
    model = tmp_path / "model.tflite"
    content = tidy(ColourModel(dtype=dtype, output_order=(3, 1, 0, 2)).build())
    model.write_bytes(add_metadata(content, labels=LABELS, input_mean=0, input_std=255))
    picture = np.zeros((*SIZE, 3), np.uint8)
    picture[1, 2] = (0, 255, 0)
    [found] = mediapipe_detections(model, [picture])
    box = found[0].bounding_box
    assert found[0].categories[0].category_name == "green"
    assert (box.origin_y, box.height, box.width) == (1, 1, 1)
    # A third is no float: what is left of 2.0 may be cut down.
    assert box.origin_x in (1, 2)


def test_an_input_that_it_refuses(tmp_path: Path) -> None:
    """docs/convert.md says so."""
    model = tmp_path / "model.tflite"
    model.write_bytes(add_metadata(tidy(ColourModel(dtype="int8").build()), labels=LABELS))
    with pytest.raises((RuntimeError, ValueError), match=r"(?i)type|input"):
        mediapipe_detections(model, [np.zeros((*SIZE, 3), np.uint8)])
