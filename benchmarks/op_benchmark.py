# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""detops against the stock op in the same runtime, and against the floor."""

from __future__ import annotations

from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter

import detops
from benchmarks.op_cases import OpCase
from benchmarks.timing import time_in_turn
from detops import _core


def measure_case(case: OpCase, seconds: float) -> dict[str, Any]:
    """Times one case; raises AssertionError where the answers differ."""
    model, inputs = case.build()
    stock, ours = Interpreter(model_content=model), Interpreter(model_content=model)
    detops.register_ops(ours)
    for interpreter in (stock, ours):
        interpreter.allocate_tensors()
        for detail, array in zip(interpreter.get_input_details(), inputs, strict=True):
            interpreter.set_tensor(detail["index"], array)
        interpreter.invoke()
    detections = _compare(case, stock, ours)
    stock_time, ours_time = time_in_turn([stock.invoke, ours.invoke], seconds=seconds)
    # The floor twice: as stock leaves the caches, which is what the times above saw, and by itself.
    scores = np.ascontiguousarray(inputs[1]).reshape(-1)

    def floor() -> float:
        return _core.streaming_maximum(scores)

    _, cold_floor_time = time_in_turn([stock.invoke, floor], seconds=seconds / 3)
    alone_time, floor_time = time_in_turn([ours.invoke, floor], seconds=seconds / 2, min_runs=20)
    return {
        "case": case.name,
        "detections": detections,
        "stock": stock_time.as_dict(),
        "detops": ours_time.as_dict(),
        "ratio": stock_time.median / ours_time.median,
        "floor_after_stock": cold_floor_time.as_dict(),
        "detops_alone": alone_time.as_dict(),
        "floor": floor_time.as_dict(),
        "over_floor": alone_time.median / floor_time.median,
    }


def _compare(case: OpCase, stock: Any, ours: Any) -> int:
    """Compares every slot that stock fills, bit for bit, and returns how many there are."""
    outputs = [detail["index"] for detail in stock.get_output_details()]
    expected = [stock.get_tensor(index) for index in outputs]
    got = [ours.get_tensor(index) for index in outputs]
    count = int(expected[3][0])
    assert got[3][0] == count, f"{case.name}: {got[3][0]:.0f} detections, stock has {count}"
    for name, want, have in zip(("boxes", "classes", "scores"), expected, got, strict=False):
        same = want[0, :count].tobytes() == have[0, :count].tobytes()
        assert same, f"{case.name}: {name} differ"
    return count
