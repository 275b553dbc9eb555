# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Learning rate, optimisers and phases."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

pytest.importorskip("keras")

import keras

from training import schedule
from training.config import Config


def _config(**changes: Any) -> Config:
    return Config(**{"architecture": "a", "steps": 1000, "learning_rate": 0.4, **changes})


def test_the_rate_rises_in_a_line_and_falls_by_a_cosine() -> None:
    rate = schedule.learning_rate(_config(warmup_steps=100, warmup_learning_rate=0.1))
    for step in range(0, 1001, 10):
        wanted = (
            0.1 + 0.3 * step / 100
            if step < 100
            else 0.2 * (1 + math.cos(math.pi * (step - 100) / 900))
        )
        assert float(rate(step)) == pytest.approx(wanted, abs=1e-6), step


def test_without_a_warm_up_the_rate_begins_at_its_highest() -> None:
    rate = schedule.learning_rate(_config())
    assert [float(rate(step)) for step in (0, 500, 1000)] == pytest.approx([0.4, 0.2, 0.0])


def test_gradients_are_clipped_together() -> None:
    optimizer = schedule.optimizer(_config(gradient_clip=1.0, momentum=0.0))
    variables = [keras.Variable(np.zeros(1)), keras.Variable(np.zeros(1))]
    optimizer.apply([np.float32([30]), np.float32([40])], variables)
    found = [float(np.asarray(v)[0]) for v in variables]
    assert found == pytest.approx([-0.4 * 0.6, -0.4 * 0.8], rel=1e-5)


@pytest.mark.parametrize("name", ["momentum", "adam"])
def test_an_average_is_kept_beside_the_weights(name: str) -> None:
    optimizer = schedule.optimizer(_config(optimizer=name, ema=0.5, gradient_clip=0))
    variable = keras.Variable(np.zeros(1))
    for _ in range(3):
        optimizer.apply([np.float32([1.0])], [variable])
    trained = float(np.asarray(variable)[0])
    optimizer.finalize_variable_values([variable])
    assert float(np.asarray(variable)[0]) == trained < 0


@pytest.mark.parametrize(
    ("quantize", "freeze", "wanted"),
    [
        (-1, -1, [(0, 1000, False, False)]),
        (800, -1, [(0, 800, False, False), (800, 1000, True, False)]),
        (
            800,
            900,
            [(0, 800, False, False), (800, 900, True, False), (900, 1000, True, True)],
        ),
        (800, 0, [(0, 800, False, True), (800, 1000, True, True)]),
        (0, 0, [(0, 1000, True, True)]),
        (900, 900, [(0, 900, False, False), (900, 1000, True, True)]),
        (-1, 5000, [(0, 1000, False, False)]),
    ],
)
def test_phases_cover_the_run(
    quantize: int, freeze: int, wanted: list[tuple[int, int, bool, bool]]
) -> None:
    config = _config(quantize_from=quantize, freeze_batch_norm_from=freeze)
    found = [(p.begin, p.end, p.quantized, p.batch_norm_frozen) for p in schedule.phases(config)]
    assert found == wanted
