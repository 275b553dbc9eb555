# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Anchor grids against real models, rows computed by hand, and their own symmetries."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detops.anchors import multiscale_anchors, ssd_anchors
from detops.model_file import ModelFile

SIDES = st.integers(1, 6)
RATIOS = st.lists(st.floats(0.25, 4.0), min_size=1, max_size=4)


def _real_anchors(name: str) -> tuple[np.ndarray[Any, Any], float]:
    root = os.environ.get("DETOPS_DATA")
    if not root:
        pytest.skip("DETOPS_DATA is not set")
    model = ModelFile.read(Path(root) / "models" / name)
    [(graph, operator)] = model.postprocess_operators()
    tensor = graph.tensors[operator.inputs[2]]
    stored = tensor.constant()
    assert stored is not None
    assert tensor.quantization is not None
    [scale], [zero_point] = tensor.quantization.scales, tensor.quantization.zero_points
    return (stored.astype(np.float64) - zero_point) * scale, scale


@pytest.mark.parametrize(
    "name", ["coco_ssd_mnv1_100_300_uint8.tflite", "pets37_ssd_mnv1_075_300_uint8.tflite"]
)
def test_ssd_defaults_are_the_anchors_of_real_models(name: str) -> None:
    real, step = _real_anchors(name)
    ours = ssd_anchors()
    assert ours.shape == real.shape == (1917, 4)
    # Rounding to the nearest step, and the step itself is a rounded float32.
    np.testing.assert_allclose(ours, real, rtol=0, atol=0.51 * step)


def test_ssd_rows_by_hand() -> None:
    anchors = ssd_anchors()
    assert anchors.dtype == np.float32
    middle = 0.5 / 19
    root = np.sqrt(2)
    np.testing.assert_allclose(anchors[0], [middle, middle, 0.1, 0.1], rtol=1e-6)
    np.testing.assert_allclose(anchors[1], [middle, middle, 0.2 / root, 0.2 * root], rtol=1e-6)
    np.testing.assert_allclose(anchors[2], [middle, middle, 0.2 * root, 0.2 / root], rtol=1e-6)
    np.testing.assert_allclose(anchors[3], [middle, 3 * middle, 0.1, 0.1], rtol=1e-6)
    second_layer = 19 * 19 * 3
    np.testing.assert_allclose(anchors[second_layer], [0.05, 0.05, 0.35, 0.35], rtol=1e-6)
    between = np.sqrt(0.35 * 0.5)
    np.testing.assert_allclose(anchors[second_layer + 5], [0.05, 0.05, between, between], rtol=1e-6)
    last = np.sqrt(0.95)
    np.testing.assert_allclose(anchors[-1], [0.5, 0.5, last, last], rtol=1e-6)


def test_ssd_without_the_reduced_layer_and_the_interpolated_box() -> None:
    shapes = [(3, 2), (1, 1)]
    anchors = ssd_anchors(
        shapes,
        reduce_boxes_in_lowest_layer=False,
        interpolated_scale_aspect_ratio=0.0,
        aspect_ratios=(1.0, 4.0),
        scales=(0.25, 0.5),
    )
    assert anchors.shape == (14, 4)
    np.testing.assert_allclose(anchors[1], [1 / 6, 0.25, 0.125, 0.5], rtol=1e-6)
    np.testing.assert_allclose(anchors[-1], [0.5, 0.5, 0.25, 1.0], rtol=1e-6)


def test_ssd_boxes_stay_square_on_a_wide_image() -> None:
    anchors = ssd_anchors([(1, 1)], image_shape=(200, 400))
    np.testing.assert_allclose(anchors[0], [0.5, 0.5, 0.1, 0.05], rtol=1e-6)


def test_ssd_with_one_layer() -> None:
    assert ssd_anchors([(2, 2)]).shape == (12, 4)


@pytest.mark.parametrize(
    ("image", "rows", "first", "last"),
    [
        (640, 51150, [0.00625, 0.00625, 0.05, 0.05], [0.9, 0.9, 1.6, 0.8]),
        # 128 does not divide 320: the last level's centres lie at 0, 128 and 256 pixels.
        (320, 12804, [0.0125, 0.0125, 0.1, 0.1], [0.8, 0.8, 3.2, 1.6]),
    ],
)
def test_multiscale_rows_by_hand(
    image: int, rows: int, first: list[float], last: list[float]
) -> None:
    anchors = multiscale_anchors(image)
    assert anchors.shape == (rows, 4)
    assert anchors.dtype == np.float32
    np.testing.assert_allclose(anchors[0], first, rtol=1e-6)
    np.testing.assert_allclose(anchors[-1], last, rtol=1e-6)
    np.testing.assert_array_equal(anchors, multiscale_anchors((image, image)))


def test_multiscale_scales_run_faster_than_ratios() -> None:
    cell = multiscale_anchors(640)[:6]
    root = np.sqrt(2)
    np.testing.assert_allclose(
        cell[:, 2] * 640, [32, 32 * root, 32 / root, 32, 32 * root, 64], rtol=1e-6
    )
    np.testing.assert_allclose(
        cell[:, 3] * 640, [32, 32 * root, 32 * root, 64, 32 / root, 32], rtol=1e-6
    )


def test_multiscale_on_a_wide_image() -> None:
    anchors = multiscale_anchors(
        (16, 32), min_level=3, max_level=3, aspect_ratios=[1.0], scales_per_octave=1
    )
    assert anchors.shape == (8, 4)
    np.testing.assert_allclose(anchors[0], [0.25, 0.125, 2.0, 1.0], rtol=1e-6)
    np.testing.assert_allclose(anchors[1], [0.25, 0.375, 2.0, 1.0], rtol=1e-6)
    np.testing.assert_allclose(anchors[4], [0.75, 0.125, 2.0, 1.0], rtol=1e-6)


@given(st.lists(st.tuples(SIDES, SIDES), min_size=1, max_size=4), RATIOS, st.booleans())
@settings(max_examples=60, deadline=None)
def test_ssd_properties(shapes: list[tuple[int, int]], ratios: list[float], reduce: bool) -> None:
    anchors = ssd_anchors(shapes, aspect_ratios=ratios, reduce_boxes_in_lowest_layer=reduce)
    per_cell = [len(ratios) + 1] * len(shapes)
    if reduce:
        per_cell[0] = 3
    assert len(anchors) == sum(k * h * w for k, (h, w) in zip(per_cell, shapes, strict=True))
    assert np.isfinite(anchors).all()
    assert (anchors[:, 2:] > 0).all()
    assert ((anchors[:, :2] > 0) & (anchors[:, :2] < 1)).all()
    # Each grid is symmetric about the middle of the image.
    np.testing.assert_allclose(anchors[:, :2].mean(axis=0), 0.5, atol=1e-5)


@given(st.integers(1, 140), st.integers(1, 140), RATIOS, st.integers(1, 3))
@settings(max_examples=40, deadline=None)
def test_multiscale_properties(height: int, width: int, ratios: list[float], octave: int) -> None:
    shape = (height, width)
    anchors = multiscale_anchors(shape, aspect_ratios=ratios, scales_per_octave=octave)
    cells = sum(-(-height // 2**level) * -(-width // 2**level) for level in range(3, 8))
    assert len(anchors) == cells * len(ratios) * octave
    assert ((anchors[:, :2] >= 0) & (anchors[:, :2] < 1)).all()
    pixels = anchors[:, 2:] * np.array(shape, np.float32)
    areas = pixels.prod(axis=1).reshape(-1, len(ratios), octave)
    # All aspect ratios of one scale cover the same area.
    np.testing.assert_allclose(areas, np.broadcast_to(areas[:, :1], areas.shape), rtol=1e-4)
    transposed = multiscale_anchors((width, height), aspect_ratios=[1.0])
    straight = multiscale_anchors(shape, aspect_ratios=[1.0])
    order = [1, 0, 3, 2]
    assert sorted(map(tuple, straight[:, order].tolist())) == sorted(
        map(tuple, transposed.tolist())
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"feature_map_shapes": []}, "feature_map_shapes is empty"),
        ({"feature_map_shapes": [(3, 0)]}, r"feature_map_shapes\[0\] is \(3, 0\)"),
        ({"feature_map_shapes": [3]}, r"feature_map_shapes\[0\] is 3"),
        ({"feature_map_shapes": [(2.0, 2)]}, r"\(2\.0, 2\), expected two positive integers"),
        ({"aspect_ratios": ()}, "aspect_ratios is empty"),
        ({"aspect_ratios": (1.0, -2.0)}, r"aspect_ratios holds -2\.0"),
        ({"min_scale": 0.0}, r"min_scale holds 0\.0"),
        ({"max_scale": np.nan}, "max_scale holds nan"),
        ({"scales": (0.1, 0.2)}, "scales has 2 entries, feature_map_shapes has 6"),
        ({"interpolated_scale_aspect_ratio": -1.0}, r"is -1\.0, expected 0 or a positive"),
        ({"base_anchor_size": (1.0,)}, "base_anchor_size has 1 entries"),
        ({"image_shape": (0, 1)}, "image_shape"),
    ],
)
def test_ssd_refuses(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ssd_anchors(**arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"image_shape": 0}, r"image_shape is \(0, 0\)"),
        ({"image_shape": (640,)}, "image_shape"),
        ({"image_shape": 640.0}, r"image_shape is 640\.0"),
        ({"min_level": 5, "max_level": 4}, "min_level is 5 and max_level 4"),
        ({"min_level": -1}, "min_level is -1"),
        ({"scales_per_octave": 0}, "scales_per_octave is 0"),
        ({"anchor_scale": np.inf}, "anchor_scale holds inf"),
        ({"aspect_ratios": []}, "aspect_ratios is empty"),
    ],
)
def test_multiscale_refuses(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        multiscale_anchors(**{"image_shape": 640, **arguments})
