# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""The losses against the formulas of the papers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

pytest.importorskip("keras")

from keras import ops
from numpy.typing import NDArray

from training import losses


def _focal_slowly(logit: float, label: float, alpha: float, gamma: float) -> float:
    probability = 1 / (1 + math.exp(-logit))
    p_t = probability if label else 1 - probability
    weight = alpha if label else 1 - alpha
    return -weight * (1 - p_t) ** gamma * math.log(p_t)


def _smooth_l1_slowly(error: float) -> float:
    return 0.5 * error**2 if abs(error) < 1 else abs(error) - 0.5


@pytest.mark.parametrize(("alpha", "gamma"), [(0.25, 2.0), (0.75, 2.0), (0.5, 0.0)])
def test_focal_loss_is_that_of_the_paper(alpha: float, gamma: float) -> None:
    logits = np.linspace(-8, 8, 33).astype(np.float32)
    for label in (0.0, 1.0):
        found = losses.sigmoid_focal(logits, np.full(33, label), alpha=alpha, gamma=gamma)
        wanted = [_focal_slowly(float(x), label, alpha, gamma) for x in logits]
        np.testing.assert_allclose(ops.convert_to_numpy(found), wanted, rtol=2e-5, atol=1e-7)


def test_focal_loss_is_finite_for_any_logit() -> None:
    tf = pytest.importorskip("tensorflow")
    logits = tf.constant([-1e30, -1e4, -90.0, 0.0, 90.0, 1e4, 1e30])
    for label in (0.0, 1.0):
        with tf.GradientTape() as tape:
            tape.watch(logits)
            found = losses.sigmoid_focal(logits, tf.fill([7], label), alpha=0.25, gamma=2.0)
        assert np.isfinite(found.numpy()).all()
        assert np.isfinite(tape.gradient(found, logits).numpy()).all()


def test_smooth_l1_is_that_of_the_paper() -> None:
    errors = np.array([-3, -1.0, -0.5, 0, 0.25, 1, 2.5], np.float32)
    found = ops.convert_to_numpy(losses.smooth_l1(errors, np.zeros(7, np.float32)))
    np.testing.assert_allclose(found, [_smooth_l1_slowly(float(e)) for e in errors], rtol=1e-6)


def _case(seed: int, matched: float) -> tuple[dict[str, NDArray[Any]], dict[str, NDArray[Any]]]:
    rng = np.random.default_rng(seed)
    outputs = {
        "box_encodings": rng.normal(0, 2, (2, 50, 4)).astype(np.float32),
        "logits": rng.normal(-2, 2, (2, 50, 3)).astype(np.float32),
    }
    found = (rng.random((2, 50)) < matched).astype(np.float32)
    classes = np.eye(3, dtype=np.float32)[rng.integers(0, 3, (2, 50))] * found[..., None]
    boxes = rng.normal(0, 2, (2, 50, 4)).astype(np.float32) * found[..., None]
    return outputs, {"box_encodings": boxes, "classes": classes, "matched": found}


@pytest.mark.parametrize("matched", [0.0, 0.02, 0.4, 1.0])
def test_detection_loss_is_the_sum_over_the_matches(matched: float) -> None:
    outputs, targets = _case(3, matched)
    found = losses.detection_loss(
        outputs, targets, localization_weight=1.5, focal_alpha=0.75, focal_gamma=2.0
    )
    where = classification = 0.0
    for image in range(2):
        for anchor in range(50):
            errors = outputs["box_encodings"] - targets["box_encodings"]
            parts = [_smooth_l1_slowly(float(e)) for e in errors[image, anchor]]
            where += targets["matched"][image, anchor] * sum(parts) / 4
            for number in range(3):
                logit = float(outputs["logits"][image, anchor, number])
                label = float(targets["classes"][image, anchor, number])
                classification += _focal_slowly(logit, label, 0.75, 2.0)
    matches = max(targets["matched"].sum(), 1)
    assert float(found["localization"]) == pytest.approx(1.5 * where / matches, rel=1e-4)
    assert float(found["classification"]) == pytest.approx(classification / matches, rel=1e-4)


def test_parts_of_a_batch_add_up_to_it() -> None:
    outputs, targets = _case(4, 0.3)
    whole = losses.detection_loss(outputs, targets)
    parts = [
        losses.detection_loss(
            {name: value[row, None] for name, value in outputs.items()},
            {name: value[row, None] for name, value in targets.items()},
            num_matches=targets["matched"].sum(),
        )
        for row in range(2)
    ]
    for name, value in whole.items():
        assert float(value) == pytest.approx(sum(float(part[name]) for part in parts), rel=1e-5)


def test_half_precision_outputs_are_summed_in_float32() -> None:
    outputs, targets = _case(5, 0.3)
    half = {name: ops.cast(value, "bfloat16") for name, value in outputs.items()}
    found = losses.detection_loss(half, targets)
    rounded = {name: np.asarray(ops.cast(value, "float32")) for name, value in half.items()}
    wanted = losses.detection_loss(rounded, targets)
    for name, value in wanted.items():
        assert float(found[name]) == pytest.approx(float(value), rel=1e-6)
