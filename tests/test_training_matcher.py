# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Matching and targets against a slow reference."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("keras")

from keras import ops
from numpy.typing import NDArray

import detops
from training import box_coder, matcher, targets


def _match_slowly(iou: NDArray[Any], valid: NDArray[Any]) -> list[int]:
    boxes, anchors = iou.shape
    match = []
    for anchor in range(anchors):
        best = max((b for b in range(boxes) if valid[b]), key=lambda b: iou[b, anchor], default=-1)
        match.append(best if best >= 0 and iou[best, anchor] >= 0.5 else -1)
    claims: dict[int, tuple[float, int]] = {}
    for box in range(boxes):
        anchor = int(np.argmax(iou[box]))
        if valid[box] and iou[box, anchor] > claims.get(anchor, (0.0, 0))[0]:
            claims[anchor] = (iou[box, anchor], box)
    for anchor, (_, box) in claims.items():
        match[anchor] = box
    return match


def _matched(iou: Any, valid: Any = None) -> list[int]:
    iou = np.asarray(iou, np.float32)
    valid = np.ones(len(iou), bool) if valid is None else np.asarray(valid)
    found = ops.convert_to_numpy(matcher.match(iou[None], valid[None]))[0].tolist()
    assert found == _match_slowly(iou, valid)
    return list(found)


def test_half_an_overlap_is_enough() -> None:
    assert _matched([[0.9, 0.5, np.nextafter(np.float32(0.5), 0), 0]]) == [0, 0, -1, -1]


def test_a_box_takes_its_best_anchor_whatever_the_overlap() -> None:
    assert _matched([[0.1, 0.2, 0.0]]) == [-1, 0, -1]


def test_an_anchor_of_several_boxes_goes_to_the_highest_overlap() -> None:
    assert _matched([[0.3, 0.0], [0.4, 0.0], [0.4, 0.1]]) == [1, -1]


def test_a_claim_wins_over_a_better_box_that_claims_elsewhere() -> None:
    assert _matched([[0.6, 0.9], [0.55, 0.1]]) == [1, 0]


def test_among_equals_the_first_wins() -> None:
    assert _matched([[0.3, 0.3], [0.3, 0.3]]) == [0, -1]
    assert _matched([[0.7, 0.7], [0.7, 0.7]]) == [0, 0]


def test_boxes_that_touch_no_anchor_claim_none() -> None:
    assert _matched([[0.0, 0.0]]) == [-1, -1]


def test_padding_matches_nothing() -> None:
    assert _matched([[0.9, 0.9], [0.8, 0.8]], [False, False]) == [-1, -1]
    assert _matched([[0.9, 0.9], [0.8, 0.1]], [False, True]) == [1, -1]


@pytest.mark.parametrize("seed", range(20))
def test_random_overlaps_with_many_ties(seed: int) -> None:
    rng = np.random.default_rng(seed)
    _matched(rng.integers(0, 11, (7, 13)) / 10, rng.random(7) < 0.7)


def test_overlaps_are_those_of_detops() -> None:
    rng = np.random.default_rng(1)
    anchors = detops.ssd_anchors()
    corners = rng.uniform(-0.1, 0.8, (9, 2))
    boxes = np.concatenate([corners, corners + rng.uniform(0, 0.5, (9, 2))], axis=1)
    boxes = boxes.astype(np.float32)
    boxes[0, 2:] = boxes[0, :2]
    edges = np.concatenate(
        [anchors[:, :2] - anchors[:, 2:] / 2, anchors[:, :2] + anchors[:, 2:] / 2], axis=1
    )
    found = ops.convert_to_numpy(matcher.intersection_over_union(boxes[None], anchors))[0]
    np.testing.assert_allclose(found, detops.iou(boxes, edges), atol=1e-6)


def test_targets_of_a_batch_are_those_of_each_image() -> None:
    rng = np.random.default_rng(2)
    anchors = detops.ssd_anchors()
    corners = rng.uniform(0, 0.5, (3, 6, 2)).astype(np.float32)
    boxes = np.concatenate([corners, corners + rng.uniform(0.05, 0.5, corners.shape)], axis=2)
    boxes = boxes.astype(np.float32)
    classes = rng.integers(0, 5, (3, 6)).astype(np.int32)
    valid = np.arange(6)[None] < np.array([[6], [2], [0]])
    boxes[~valid] = 0
    batch = _numpy(targets.assign(boxes, classes, valid, anchors, 5))
    for row in range(3):
        one = _numpy(
            targets.assign(boxes[row, None], classes[row, None], valid[row, None], anchors, 5)
        )
        for name, value in one.items():
            np.testing.assert_array_equal(batch[name][row], value[0], err_msg=name)
        _check_image(batch, row, boxes[row], classes[row], valid[row], anchors)
    assert batch["matched"].sum(axis=1).tolist()[2] == 0


def _check_image(
    batch: dict[str, NDArray[Any]],
    row: int,
    boxes: NDArray[Any],
    classes: NDArray[Any],
    valid: NDArray[Any],
    anchors: NDArray[Any],
) -> None:
    iou = ops.convert_to_numpy(matcher.intersection_over_union(boxes[None], anchors))[0]
    match = np.array(_match_slowly(iou, valid))
    found = match >= 0
    assert (batch["matched"][row] == found).all()
    assert batch["classes"][row][~found].sum() == 0
    assert (batch["classes"][row][found].argmax(axis=1) == classes[match[found]]).all()
    assert (batch["classes"][row][found].sum(axis=1) == 1).all()
    assert (batch["box_encodings"][row][~found] == 0).all()
    decoded = box_coder.decode(batch["box_encodings"][row][found], anchors[found])
    np.testing.assert_allclose(ops.convert_to_numpy(decoded), boxes[match[found]], atol=2e-5)


def _numpy(values: dict[str, Any]) -> dict[str, NDArray[Any]]:
    return {name: ops.convert_to_numpy(value) for name, value in values.items()}
