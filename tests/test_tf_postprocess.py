# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""The op written in TensorFlow: the same detections as the library, in every way of calling it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import detops

tf = pytest.importorskip("tensorflow")
from detops.tf import DetectionPostProcess, detection_postprocess  # noqa: E402

Array = np.ndarray[Any, Any]

ROWS, CLASSES = 40, 3
OPTIONS = detops.Options(num_classes=CLASSES, nms_score_threshold=0.2, nms_iou_threshold=0.4)


def draw_case(seed: int) -> tuple[Array, Array, Array, detops.Options]:
    """Boxes, scores, anchors and options; scores never tie, so that rounding decides nothing."""
    rng = np.random.default_rng(seed)
    batch, rows = int(rng.integers(1, 3)), int(rng.choice([1, 2, 33, 70]))
    classes, background = int(rng.integers(1, 6)), int(rng.integers(2))
    options = detops.Options(
        num_classes=classes,
        max_detections=int(rng.choice([1, 5, 12])),
        max_classes_per_detection=int(rng.choice([1, 1, 2, 7])),
        detections_per_class=int(rng.choice([1, 3, 100])),
        use_regular_nms=seed % 2 == 0,
        nms_score_threshold=float(rng.choice([0.0, 0.3, -np.inf, 0.999])),
        nms_iou_threshold=0.4,
    )
    columns = classes + background
    scores = rng.permutation(batch * rows * columns).reshape(batch, rows, columns)
    encodings = rng.normal(0, 2, (batch, rows, 4 + int(rng.integers(3)))).astype(np.float32)
    anchors = rng.uniform(0.05, 0.9, (rows, 4)).astype(np.float32)
    return encodings, (scores / scores.size).astype(np.float32), anchors, options


def inputs(seed: int = 0, batch: int = 1) -> tuple[Array, Array, Array]:
    rng = np.random.default_rng(seed)
    scores = rng.permutation(batch * ROWS * CLASSES).reshape(batch, ROWS, CLASSES)
    return (
        rng.normal(0, 2, (batch, ROWS, 4)).astype(np.float32),
        (scores / scores.size).astype(np.float32),
        rng.uniform(0.05, 0.9, (ROWS, 4)).astype(np.float32),
    )


def assert_same(got: Any, expected: Any) -> None:
    """Shapes, classes and counts are equal; boxes and scores are within rounding."""
    boxes, classes, scores, count = (np.asarray(value) for value in got)
    np.testing.assert_allclose(boxes, expected[0], 1e-5, 1e-6)
    np.testing.assert_array_equal(classes, expected[1])
    np.testing.assert_allclose(scores, expected[2], 1e-6)
    np.testing.assert_array_equal(count, expected[3])
    assert [value.shape for value in (boxes, classes, scores, count)] == [
        value.shape for value in expected
    ]


@pytest.mark.parametrize("seed", range(24))
def test_like_the_library(seed: int) -> None:
    encodings, scores, anchors, options = draw_case(seed)
    got = detection_postprocess(encodings, scores, anchors, options)
    assert_same(got, detops.postprocess(encodings, scores, anchors, options))


@pytest.mark.parametrize("regular", [False, True])
def test_no_detections_wanted(regular: bool) -> None:
    options = OPTIONS.replace(max_detections=0, use_regular_nms=regular)
    got = detection_postprocess(*inputs(), options)
    assert_same(got, detops.postprocess(*inputs(), options))


@pytest.mark.parametrize("regular", [False, True])
def test_boxes_that_take_no_part(regular: bool) -> None:
    """Negative size is skipped, no size neither suppresses nor is suppressed, NaN is no score."""
    encodings, scores, anchors = inputs(3)
    anchors[::3, 2] *= -1
    anchors[1::3, 3] = 0
    scores[0, 5] = np.nan
    options = OPTIONS.replace(use_regular_nms=regular)
    got = detection_postprocess(encodings, scores, anchors, options)
    assert_same(got, detops.postprocess(encodings, scores, anchors, options))


def test_ties_keep_the_order_of_the_op() -> None:
    encodings, scores, anchors = inputs(4)
    options = OPTIONS.replace(use_regular_nms=True)
    scores = np.round(scores * 4) / 4
    got = detection_postprocess(encodings, scores, anchors, options)
    assert_same(got, detops.postprocess(encodings, scores, anchors, options))


def test_in_a_graph_of_unknown_batch() -> None:
    encodings, scores, anchors = inputs(5, batch=3)

    @tf.function(
        input_signature=[
            tf.TensorSpec([None, ROWS, 4], tf.float32),
            tf.TensorSpec([None, ROWS, CLASSES], tf.float32),
        ]
    )
    def model(encodings: Any, scores: Any) -> Any:
        found = detection_postprocess(encodings, scores, anchors, OPTIONS)
        assert found.detection_boxes.shape.as_list() == [None, 10, 4]
        return found

    assert_same(model(encodings, scores), detops.postprocess(encodings, scores, anchors, OPTIONS))


def test_saved_model_round_trip(tmp_path: Path) -> None:
    encodings, scores, anchors = inputs(6)
    module = tf.Module()
    module.detect = tf.function(
        lambda encodings, scores: detection_postprocess(encodings, scores, anchors, OPTIONS),
        input_signature=[
            tf.TensorSpec([1, ROWS, 4], tf.float32),
            tf.TensorSpec([1, ROWS, CLASSES], tf.float32),
        ],
        autograph=False,
    )
    tf.saved_model.save(module, str(tmp_path))
    loaded = tf.saved_model.load(str(tmp_path))
    got = loaded.detect(encodings, scores)
    assert_same(got, detops.postprocess(encodings, scores, anchors, OPTIONS))


def test_layer_in_a_keras_model(tmp_path: Path) -> None:
    encodings, scores, anchors = inputs(7, batch=2)
    symbols = [tf.keras.Input((ROWS, 4)), tf.keras.Input((ROWS, CLASSES))]
    model = tf.keras.Model(symbols, detection_postprocess(*symbols, anchors, OPTIONS))
    assert [tuple(output.shape) for output in model.outputs] == [
        (None, 10, 4),
        (None, 10),
        (None, 10),
        (None,),
    ]
    expected = detops.postprocess(encodings, scores, anchors, OPTIONS)
    assert_same(model([encodings, scores]), expected)
    model.save(tmp_path / "model.keras")
    loaded = tf.keras.models.load_model(tmp_path / "model.keras")
    assert_same(loaded([encodings, scores]), expected)


def test_layer_computes_in_float32() -> None:
    encodings, scores, anchors = inputs(8)
    layer = DetectionPostProcess(OPTIONS, anchors)
    expected = detops.postprocess(encodings, scores, anchors, OPTIONS)
    assert_same(layer([tf.constant(encodings), tf.constant(scores)]), expected)
    assert layer([tf.zeros([1, ROWS, 4], tf.float16), tf.constant(scores)])[0].dtype == tf.float32


BAD = {
    "rows": (lambda b, s, a: (b, s[:, 1:], a), {}, ValueError, "scores"),
    "rank": (lambda b, s, a: (b[0], s, a), {}, ValueError, r"box_encodings has shape \(40, 4\)"),
    "columns": (lambda b, s, a: (b[..., :3], s, a), {}, ValueError, "3"),
    "anchors": (lambda b, s, a: (b, s, a[:, :3]), {}, ValueError, "anchors"),
    "dtype": (lambda b, s, a: (b, s.astype(np.float64), a), {}, TypeError, "scores has type float"),
    "classes": (lambda b, s, a: (b, s, a), {"num_classes": 9}, ValueError, "num_classes"),
    "overlap": (lambda b, s, a: (b, s, a), {"nms_iou_threshold": 0.0}, ValueError, "iou_threshold"),
    "option type": (lambda b, s, a: (b, s, a), {"max_detections": 2.5}, TypeError, "max_detect"),
}


@pytest.mark.parametrize("name", list(BAD))
def test_errors_say_what(name: str) -> None:
    change, options, kind, words = BAD[name]
    with pytest.raises(kind, match=words):
        detection_postprocess(*change(*inputs()), OPTIONS.replace(**options))


def test_errors_of_the_rest() -> None:
    with pytest.raises(ValueError, match="op is 'graph', expected one of composite, node"):
        detection_postprocess(*inputs(), OPTIONS, op="graph")
    with pytest.raises(TypeError, match="options is a dict"):
        detection_postprocess(*inputs(), {})  # type: ignore[arg-type]
    with pytest.raises(RuntimeError, match="can only be converted"):
        detection_postprocess(*inputs(), OPTIONS, op="node")
    with pytest.raises(ValueError, match="anchors has shape"):
        DetectionPostProcess(OPTIONS, np.zeros((3, 5)))
    with pytest.raises(TypeError, match="options is a dict"):
        DetectionPostProcess({}, np.zeros((3, 4)))  # type: ignore[arg-type]
    symbols = [tf.keras.Input((ROWS, 4)), tf.keras.Input((ROWS + 1, CLASSES))]
    with pytest.raises(ValueError, match="scores"):
        detection_postprocess(*symbols, inputs()[2], OPTIONS)


def test_unknown_rows_are_refused() -> None:
    symbols = [tf.keras.Input((None, 4)), tf.keras.Input((ROWS, CLASSES))]
    with pytest.raises(ValueError, match=r"box_encodings has shape .*only B may be unknown"):
        detection_postprocess(*symbols, inputs()[2], OPTIONS)


def test_the_package_alone_imports_no_tensorflow() -> None:
    program = "import sys, detops; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
