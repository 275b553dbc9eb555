# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""A model may keep some of the op's outputs to itself; the runtime gives those no memory."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import detops
from colour_model import ColourModel


@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_any_choice_of_outputs_in_any_order_equals_all_four(runtime: str, size: int) -> None:
    picture = np.random.default_rng(size).integers(0, 255, (1, 2, 2, 3), np.uint8)
    full = _run(ColourModel(), runtime, picture)
    for order in itertools.permutations(range(4), size):
        found = _run(ColourModel(output_order=order), runtime, picture)
        for got, index in zip(found, order, strict=True):
            np.testing.assert_array_equal(got, full[index])


def _run(model: ColourModel, runtime: str, picture: np.ndarray) -> list[np.ndarray]:
    interpreter = detops.Interpreter(model_content=model.build(), runtime=runtime)
    interpreter.allocate_tensors()
    entrance = interpreter.get_input_details()[0]
    values = np.resize(picture, entrance["shape"]).astype(entrance["dtype"])
    interpreter.set_tensor(entrance["index"], values)
    interpreter.invoke()
    return [interpreter.get_tensor(d["index"]) for d in interpreter.get_output_details()]
