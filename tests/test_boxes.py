# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Box decoding, IoU and suppression against tests/reference.py, and their edges."""

from __future__ import annotations

import math
import threading
import time
from typing import Any

import numpy as np
import pytest

import detops
import reference
from model_builder import quantize
from reference import assert_same_bits

NAN, INF = math.nan, math.inf
# Around the 16 kept boxes that the kernels compare at once, and the vectors they do it with.
EDGE_SIZES = [0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 200]

Array = np.ndarray[Any, Any]


def corners(rng: np.random.Generator, count: int, clusters: int = 3) -> Array:
    """Boxes of positive size in a few clusters."""
    middles = rng.uniform(0.2, 0.8, (clusters, 2))[rng.integers(clusters, size=count)]
    middles = middles + rng.normal(0, 0.03, (count, 2))
    halves = rng.uniform(0.05, 0.2, (count, 2))
    return np.concatenate([middles - halves, middles + halves], axis=1).astype(np.float32)


def odd_corners(rng: np.random.Generator, count: int) -> Array:
    """Some boxes without area, of negative size, with NaN, infinite, huge or tiny corners."""
    boxes = corners(rng, count)
    spots = rng.random(boxes.shape) < 0.1
    odd = np.array([NAN, INF, -INF, 0.0, -0.0, 1e38, -1e38, 1e-45, 0.5], np.float32)
    boxes[spots] = rng.choice(odd, int(spots.sum()))
    points = rng.random(count) < 0.1
    boxes[points, 2:] = boxes[points, :2]
    repeated = rng.integers(count, size=count // 4) if count else np.empty(0, int)
    boxes[: len(repeated)] = boxes[repeated]
    return boxes


def draw_scores(rng: np.random.Generator, count: int, kind: str) -> Array:
    if kind == "ties":
        return rng.choice(np.array([0.0, -0.0, 0.25, 0.5], np.float32), count)
    if kind == "odd":
        return rng.choice(np.array([NAN, INF, -INF, -1.0, 1e-45, 0.3, 0.9], np.float32), count)
    return rng.random(count).astype(np.float32)


# ---------------------------------------------------------------------------------------------
# decode_boxes
# ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", EDGE_SIZES)
@pytest.mark.parametrize("columns", [4, 5, 8])
def test_decoding_equals_the_reference(count: int, columns: int) -> None:
    rng = np.random.default_rng([count, columns])
    encodings = rng.normal(0, 2, (2, count, columns)).astype(np.float32)
    anchors = rng.uniform(-0.2, 1, (count, 4)).astype(np.float32)
    for scales in [(10.0, 10.0, 5.0, 5.0), (1.0, 2.0, 0.3, -4.0), (1e-3, 1e30, INF, 0.7)]:
        boxes = detops.decode_boxes(encodings, anchors, scales=scales)
        assert boxes.shape == (2, count, 4)
        for image in range(2):
            expected = reference.decode(encodings[image], anchors, scales)
            assert_same_bits(boxes[image], expected, f"scales {scales}")
    single = detops.decode_boxes(encodings[0], anchors)
    assert_same_bits(single, reference.decode(encodings[0], anchors), "without batch")


@pytest.mark.parametrize("box_dtype", ["float32", "uint8", "int8"])
@pytest.mark.parametrize("anchor_dtype", ["float32", "uint8", "int8"])
def test_decoding_of_any_types_equals_the_reference(box_dtype: str, anchor_dtype: str) -> None:
    rng = np.random.default_rng(1)
    quantizations = {
        "float32": (None, None),
        "uint8": ((0.0371, 131), (0.0043, 3)),
        "int8": ((0.0371, -7), (0.0043, -125)),
    }
    box_quantization = quantizations[box_dtype][0]
    anchor_quantization = quantizations[anchor_dtype][1]
    # Every stored value in every column.
    encodings = rng.permuted(np.tile(np.linspace(-4.5, 4.5, 256), (4, 1)), axis=1).T
    encodings = quantize(encodings.astype(np.float32), box_dtype, box_quantization)
    anchors = rng.random((256, 4)).astype(np.float32)
    anchors = quantize(anchors, anchor_dtype, anchor_quantization)
    boxes = detops.decode_boxes(
        encodings,
        anchors,
        box_quantization=box_quantization,
        anchor_quantization=anchor_quantization,
    )
    expected = reference.decode(
        reference.dequantize(encodings, box_quantization),
        reference.dequantize(anchors, anchor_quantization),
    )
    assert_same_bits(boxes, expected, f"{box_dtype}, {anchor_dtype}")


def test_decoding_of_odd_values_equals_the_reference() -> None:
    rng = np.random.default_rng(2)
    odd = np.array([NAN, INF, -INF, 0.0, -0.0, 1e38, -1e38, 450.0, -450.0, 1e-45, 1.0], np.float32)
    encodings = rng.choice(odd, (3000, 4))
    anchors = rng.choice(odd, (3000, 4))
    boxes = detops.decode_boxes(encodings, anchors)
    assert np.isnan(boxes).any() and np.isinf(boxes).any() and np.isfinite(boxes).any()
    assert_same_bits(boxes, reference.decode(encodings, anchors), "odd values")


def test_centres_are_divided_multiplied_and_added_in_that_order() -> None:
    # The centre of the anchor all but cancels the rest, which leaves the last bits to be seen in
    # boxes of next to no size.
    rng = np.random.default_rng(3)
    encodings = rng.normal(0, 2, (2000, 4)).astype(np.float32)
    encodings[:, 2:] = -450
    anchors = rng.uniform(0.1, 1, (2000, 4)).astype(np.float32)
    for side in (0, 1):
        term = encodings[:, side].astype(np.float64) / 10
        size = anchors[:, 2 + side].astype(np.float64)
        anchors[:, side] = -(term * size)
        exact = (term * size + anchors[:, side]).astype(np.float32)
        reciprocal = encodings[:, side].astype(np.float64) * (1 / 10)
        other = (reciprocal * size + anchors[:, side]).astype(np.float32)
        assert (exact != other).sum() > 50, "a multiplication would go unnoticed"
    boxes = detops.decode_boxes(encodings, anchors)
    assert_same_bits(boxes, reference.decode(encodings, anchors), "cancellation")


def test_sizes_are_divided_before_the_exponential() -> None:
    # Found by search: with glibc's exp a product with 1/5 rounds each of these to another float.
    found = [
        ("0x1.856bda0000000p-1", "0x1.8e449c0000000p-2"),
        ("-0x1.7c00e40000000p+1", "0x1.453a180000000p-2"),
        ("-0x1.9faf8a0000000p-1", "0x1.d12d080000000p-2"),
        ("0x1.ddf1ec0000000p-2", "0x1.81c2b80000000p-2"),
    ]
    pairs = [[float.fromhex(text) for text in texts] for texts in found]
    encodings = np.array([[0, 0, e, e] for e, _ in pairs], np.float32)
    anchors = np.array([[0, 0, size, size] for _, size in pairs], np.float32)
    boxes = detops.decode_boxes(encodings, anchors)
    assert_same_bits(boxes, reference.decode(encodings, anchors), "sizes")


def test_decoding_clips_to_the_image() -> None:
    encodings = np.array([[0, 0, 9, 9], [NAN, 0, 0, 0], [0, INF, 0, 0]], np.float32)
    anchors = np.full((3, 4), 0.5, np.float32)
    plain = detops.decode_boxes(encodings, anchors)
    clipped = detops.decode_boxes(encodings, anchors, clip=True)
    np.testing.assert_array_equal(clipped[0], [0, 0, 1, 1])
    assert plain[0].min() < 0 and plain[0].max() > 1
    assert np.isnan(clipped[1, [0, 2]]).all() and np.isfinite(clipped[1, [1, 3]]).all()
    np.testing.assert_array_equal(clipped[2, [1, 3]], [1, 1])


# ---------------------------------------------------------------------------------------------
# iou
# ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", EDGE_SIZES)
@pytest.mark.parametrize("draw", [corners, odd_corners])
def test_iou_equals_the_reference(count: int, draw: Any) -> None:
    rng = np.random.default_rng(count)
    boxes_a, boxes_b = draw(rng, count), draw(rng, 9)
    found = detops.iou(boxes_a, boxes_b)
    assert found.shape == (count, 9)
    assert found.dtype == np.float32
    for box, row in zip(boxes_a, found, strict=True):
        assert_same_bits(row, reference.iou(box, boxes_b), "iou")


def test_iou_by_hand() -> None:
    boxes = [
        [0, 0, 2, 2],
        [0, 0, 2, 1],  # half of the first
        [1, 1, 3, 3],  # a quarter of each overlaps: 1 / 7
        [2, 0, 4, 2],  # touches
        [5, 5, 5, 9],  # no width
        [2, 2, 0, 0],  # both sides negative: an area of 4
        [0, 2, 2, 0],  # one side negative
    ]
    expected = np.array([1, 1 / 2, 1 / 7, 0, 0, 0, 0], np.float32)
    np.testing.assert_array_equal(detops.iou(boxes[:1], boxes)[0], expected)
    np.testing.assert_array_equal(detops.iou(boxes, boxes[:1])[:, 0], expected)
    assert detops.iou(boxes, boxes)[4, 4] == 0


def test_iou_of_infinite_boxes() -> None:
    everything = [-INF, -INF, INF, INF]
    assert np.isnan(detops.iou([everything], [everything])).all()
    assert detops.iou([[NAN, 0, 1, 1]], [[0, 0, 1, 1]]).shape == (1, 1)


def test_iou_takes_what_becomes_arrays() -> None:
    boxes = [[0, 0, 10, 10], [0, 0, 10, 5]]
    expected = np.array([[1, 0.5], [0.5, 1]], np.float32)
    for given in (boxes, tuple(map(tuple, boxes)), np.array(boxes), np.array(boxes, np.uint8)):
        np.testing.assert_array_equal(detops.iou(given, boxes), expected)
    assert detops.iou([], boxes).shape == (0, 2)
    assert detops.iou(boxes, []).shape == (2, 0)
    assert detops.iou([], []).shape == (0, 0)
    assert detops.iou(np.empty((0, 4)), boxes).shape == (0, 2)


# ---------------------------------------------------------------------------------------------
# nms and batched_nms
# ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", EDGE_SIZES)
@pytest.mark.parametrize("kind", ["uniform", "ties", "odd"])
@pytest.mark.parametrize("draw", [corners, odd_corners])
def test_nms_equals_the_reference(count: int, kind: str, draw: Any) -> None:
    rng = np.random.default_rng([count, len(kind)])
    boxes, scores = draw(rng, count), draw_scores(rng, count, kind)
    for iou_threshold in (0.01, 0.3, 0.5, 0.9, 1.0):
        for score_threshold in (-INF, 0.0, 0.4, NAN, INF):
            for limit in (None, 0, 1, 5, 1000):
                kept = detops.nms(
                    boxes,
                    scores,
                    iou_threshold=iou_threshold,
                    score_threshold=score_threshold,
                    max_detections=limit,
                )
                expected = reference.nms(boxes, scores, iou_threshold, score_threshold, limit)
                what = (iou_threshold, score_threshold, limit)
                assert kept.dtype == np.int64
                assert kept.tolist() == expected, what


@pytest.mark.parametrize("count", EDGE_SIZES)
@pytest.mark.parametrize("kind", ["uniform", "ties", "odd"])
@pytest.mark.parametrize("classes", [1, 2, 7, 100])
def test_batched_nms_equals_the_reference(count: int, kind: str, classes: int) -> None:
    rng = np.random.default_rng([count, len(kind), classes])
    boxes, scores = odd_corners(rng, count), draw_scores(rng, count, kind)
    labels = rng.integers(-classes, classes, count) * 1_000_003
    for iou_threshold in (0.01, 0.5, 1.0):
        for score_threshold in (-INF, 0.3):
            for limit in (None, 0, 1, 5, 1000):
                kept = detops.batched_nms(
                    boxes,
                    scores,
                    labels,
                    iou_threshold=iou_threshold,
                    score_threshold=score_threshold,
                    max_detections=limit,
                )
                expected = reference.batched_nms(
                    boxes, scores, labels, iou_threshold, score_threshold, limit
                )
                assert kept.tolist() == expected, (iou_threshold, score_threshold, limit)


def test_equality_at_the_threshold_survives() -> None:
    # Of 1 x 2 and 2 x 2 the IoU is exactly one half.
    boxes = [[0, 0, 2, 2], [0, 0, 2, 1]]
    below = float(np.nextafter(np.float32(0.5), np.float32(0)))
    assert detops.nms(boxes, [0.9, 0.8], iou_threshold=0.5).tolist() == [0, 1]
    assert detops.nms(boxes, [0.9, 0.8], iou_threshold=below).tolist() == [0]
    # Likewise for scores, and for boxes that are one and the same.
    assert detops.nms(boxes, [0.5, below], score_threshold=0.5).tolist() == [0]
    assert detops.nms([boxes[0]] * 3, [1, 2, 3], iou_threshold=1.0).tolist() == [2, 1, 0]


def test_ties_come_in_index_order() -> None:
    apart = [[i, 0, i + 1, 1] for i in range(100)]
    assert detops.nms(apart, [0.5] * 100).tolist() == list(range(100))
    assert detops.nms(apart, [0.0, -0.0] * 50).tolist() == list(range(100))
    alike = [[0, 0, 1, 1]] * 100
    assert detops.nms(alike, [0.5] * 100).tolist() == [0]


def test_negative_boxes_and_nan_scores_take_no_part() -> None:
    boxes = [[0, 0, 1, 1], [1, 1, 0, 0], [0, 1, 1, 0], [0, 0, 1, 1]]
    assert detops.nms(boxes, [0.1, 0.9, 0.8, NAN]).tolist() == [0]
    labels = [3, 3, 3, 4]
    assert detops.batched_nms(boxes, [0.1, 0.9, 0.8, 0.7], labels).tolist() == [3, 0]


def test_boxes_without_area_neither_suppress_nor_are_suppressed() -> None:
    point = [0.5, 0.5, 0.5, 0.5]
    assert detops.nms([point, point, [0, 0, 1, 1]], [3, 2, 1]).tolist() == [0, 1, 2]


def test_infinite_boxes_neither_suppress_nor_are_suppressed() -> None:
    everything = [-INF, -INF, INF, INF]
    assert detops.nms([everything, everything, [0, 0, 1, 1]], [3, 2, 1]).tolist() == [0, 1, 2]


def test_classes_do_not_suppress_one_another() -> None:
    boxes = [[0, 0, 1, 1]] * 4
    scores = [0.1, 0.2, 0.3, 0.4]
    assert detops.batched_nms(boxes, scores, [0, 1, 0, 1]).tolist() == [3, 2]
    for labels in ([5, -5, 2**62, 0], np.array([0, 1, 2, 2**64 - 1], np.uint64)):
        assert detops.batched_nms(boxes, scores, labels).tolist() == [3, 2, 1, 0]
    assert detops.batched_nms(boxes, scores, np.zeros(4, np.int8)).tolist() == [3]
    same = detops.batched_nms(boxes, scores, [7] * 4, max_detections=1)
    assert same.tolist() == detops.nms(boxes, scores).tolist()


def test_nothing_in_nothing_out() -> None:
    for kept in (
        detops.nms([], []),
        detops.nms(np.empty((0, 4)), np.empty(0)),
        detops.batched_nms([], [], []),
        detops.batched_nms(np.empty((0, 4), np.float32), [], np.empty(0, np.int32)),
        detops.nms([[0, 0, 1, 1]], [1], max_detections=0),
    ):
        assert kept.shape == (0,)
        assert kept.dtype == np.int64
    assert detops.nms([[0, 0, 1, 1]], [1]).tolist() == [0]


def test_what_becomes_arrays_is_taken() -> None:
    boxes = [[0, 0, 10, 10], [0, 0, 10, 9], [20, 20, 30, 30]]
    scores = [1, 3, 2]
    for given in (boxes, np.array(boxes), np.array(boxes, np.int16), np.array(boxes, np.float64)):
        for values in (scores, np.array(scores, np.uint8), np.array(scores, np.float16)):
            assert detops.nms(given, values).tolist() == [1, 2]
            assert detops.batched_nms(given, values, [1, 1, 1]).tolist() == [1, 2]
    assert detops.nms(boxes, scores, max_detections=np.int64(1)).tolist() == [1]
    assert detops.nms(boxes, scores, max_detections=2**70).tolist() == [1, 2]


@pytest.mark.parametrize(
    ("arguments", "kind", "words"),
    [
        ({"iou_threshold": 0.0}, ValueError, "iou_threshold is 0.0, expected more than 0"),
        ({"iou_threshold": -0.1}, ValueError, "iou_threshold is -0.1, expected more than 0"),
        ({"iou_threshold": 1.5}, ValueError, "iou_threshold is 1.5, .*at most 1"),
        ({"iou_threshold": NAN}, ValueError, "iou_threshold is nan"),
        ({"max_detections": -1}, ValueError, "max_detections is -1, expected 0 or more"),
        ({"boxes": [0, 0, 1, 1]}, ValueError, r"boxes has shape \[4\], expected \[n, 4\]"),
        ({"boxes": [[0, 0, 1]] * 5}, ValueError, r"boxes has shape \[5, 3\], expected \[n, 4\]"),
        ({"boxes": [[[0, 0, 1, 1]] * 5]}, ValueError, r"boxes has shape \[1, 5, 4\]"),
        ({"boxes": np.empty((0, 3))}, ValueError, r"boxes has shape \[0, 3\]"),
        ({"boxes": []}, ValueError, "scores has 5 rows, boxes has 0"),
        ({"boxes": "boxes"}, TypeError, "boxes has type <U5, expected float32"),
        ({"boxes": None}, TypeError, "boxes has type object, expected float32"),
        ({"boxes": np.zeros((5, 4), bool)}, TypeError, "boxes has type bool"),
        ({"boxes": np.zeros((5, 4), complex)}, TypeError, "boxes has type complex128"),
        ({"scores": [1.0] * 4}, ValueError, "scores has 4 rows, boxes has 5"),
        ({"scores": [[1.0]] * 5}, ValueError, r"scores has shape \[5, 1\], expected \[n\]"),
        ({"scores": 1.0}, ValueError, r"scores has shape \[\], expected \[n\]"),
        ({"scores": ["1"] * 5}, TypeError, "scores has type <U1, expected float32"),
    ],
)
def test_nms_refuses(arguments: dict[str, Any], kind: type[Exception], words: str) -> None:
    good = {"boxes": [[0, 0, 1, 1]] * 5, "scores": [1.0] * 5}
    with pytest.raises(kind, match=words):
        detops.nms(**{**good, **arguments})
    with pytest.raises(kind, match=words):
        detops.batched_nms(**{**good, "classes": [0] * 5, **arguments})


@pytest.mark.parametrize(
    ("classes", "kind", "words"),
    [
        ([0] * 4, ValueError, "classes has 4 rows, boxes has 5"),
        ([[0]] * 5, ValueError, r"classes has shape \[5, 1\], expected \[n\]"),
        ([0.0] * 5, TypeError, "classes has type float64, expected integers"),
        ([True] * 5, TypeError, "classes has type bool, expected integers"),
        ("12345", TypeError, "classes has type <U5, expected integers"),
        (None, TypeError, "classes has type object, expected integers"),
        ([], ValueError, "classes has 0 rows, boxes has 5"),
    ],
)
def test_batched_nms_refuses_classes(classes: Any, kind: type[Exception], words: str) -> None:
    with pytest.raises(kind, match=words):
        detops.batched_nms([[0, 0, 1, 1]] * 5, [1.0] * 5, classes)


@pytest.mark.parametrize("wrong", [[[0, 0, 1]], [0, 0, 1, 1], np.zeros((2, 2, 4))])
def test_iou_refuses_shapes(wrong: Any) -> None:
    for arguments in ((wrong, [[0, 0, 1, 1]]), ([[0, 0, 1, 1]], wrong)):
        name = "boxes_a" if arguments[0] is wrong else "boxes_b"
        with pytest.raises(ValueError, match=rf"{name} has shape .*, expected \[n, 4\]"):
            detops.iou(*arguments)


# ---------------------------------------------------------------------------------------------
# The GIL
# ---------------------------------------------------------------------------------------------


def test_other_threads_run_during_a_long_suppression() -> None:
    # Boxes that do not overlap: all are kept, and each is compared with all kept before it.
    count = 20_000
    starts = np.arange(count, dtype=np.float32)
    boxes = np.stack([starts, starts, starts + 0.5, starts + 0.5], axis=1)
    scores = np.linspace(1, 0, count, dtype=np.float32)
    running, done = threading.Event(), threading.Event()
    kept: list[int] = []

    def suppress() -> None:
        running.set()
        kept.append(len(detops.nms(boxes, scores)))
        done.set()

    def turns_while(busy: threading.Event) -> int:
        turns = 0
        while not busy.is_set():
            turns += 1
            time.sleep(0)
        return turns

    thread = threading.Thread(target=suppress)
    thread.start()
    running.wait()
    turns = turns_while(done)
    thread.join()
    assert kept == [count]
    # With the GIL held this loop would get a turn or two at either end of the call.
    assert turns > 50
