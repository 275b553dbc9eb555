# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""The box coder against plain NumPy, against itself, and against the op that decodes."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("keras")

from keras import ops

import detops
from training import box_coder


def _encode_slowly(
    box: tuple[float, float, float, float], anchor: tuple[float, float, float, float]
) -> list[float]:
    ymin, xmin, ymax, xmax = box
    y, x, h, w = anchor
    return [
        10 * ((ymin + ymax) / 2 - y) / h,
        10 * ((xmin + xmax) / 2 - x) / w,
        5 * math.log((ymax - ymin) / h),
        5 * math.log((xmax - xmin) / w),
    ]


_CORNER = st.floats(0.0, 0.875, width=32)
_SIDE = st.floats(1 / 128, 1.0, width=32)
_RECTANGLE = st.tuples(_CORNER, _CORNER, _SIDE, _SIDE)


@settings(max_examples=200, deadline=None)
@given(_RECTANGLE, _RECTANGLE)
def test_decoding_undoes_encoding(
    corner_and_size: tuple[float, float, float, float], anchor: tuple[float, float, float, float]
) -> None:
    y, x, h, w = corner_and_size
    box = (y, x, y + h, x + w)
    boxes, anchors = np.float32([box]), np.float32([anchor])
    encoded = box_coder.encode(boxes, anchors)
    np.testing.assert_allclose(
        ops.convert_to_numpy(encoded)[0], _encode_slowly(box, anchor), rtol=1e-4, atol=2e-3
    )
    decoded = ops.convert_to_numpy(box_coder.decode(encoded, anchors))
    np.testing.assert_allclose(decoded, boxes, atol=2e-5)


def test_the_op_decodes_what_was_encoded() -> None:
    rng = np.random.default_rng(0)
    anchors = detops.ssd_anchors()
    corners = rng.uniform(0, 0.6, (len(anchors), 2))
    boxes = np.concatenate([corners, corners + rng.uniform(0.05, 0.4, corners.shape)], axis=1)
    encoded = ops.convert_to_numpy(box_coder.encode(boxes.astype(np.float32), anchors))
    np.testing.assert_allclose(detops.decode_boxes(encoded, anchors), boxes, atol=2e-5)


def test_padding_stays_finite() -> None:
    encoded = box_coder.encode(np.zeros((2, 3, 4), np.float32), np.float32([0.5, 0.5, 0.2, 0.2]))
    assert np.isfinite(ops.convert_to_numpy(encoded)).all()
    assert encoded.shape == (2, 3, 4)
