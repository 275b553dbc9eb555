# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""The stock interpreters, with and without detops, and how their outputs must agree."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

import detops
from detops.interpreter import runtime_module
from model_builder import OUTPUT_NAMES
from reference import assert_same_bits

Outputs = dict[str, np.ndarray[Any, Any]]

FLOATS = (np.float32, np.float32, np.float32)
UINT8 = (np.uint8, np.uint8, np.uint8)
INT8 = (np.int8, np.int8, np.int8)


def make(runtime: str, content: bytes, **arguments: Any) -> Any:
    """A single-threaded stock interpreter, unless the arguments say otherwise."""
    arguments = {"num_threads": 1, **arguments}
    return runtime_module(runtime).Interpreter(model_content=content, **arguments)


def with_detops(runtime: str, content: bytes, *, after: bool = False, **arguments: Any) -> Any:
    interpreter = make(runtime, content, **arguments)
    if after:
        interpreter.allocate_tensors()
    assert detops.register_ops(interpreter).nodes >= 1
    return interpreter


def defined_slots(options: Mapping[str, Any], count: int) -> np.ndarray[Any, Any]:
    """The slots of one image that stock writes; it leaves the others as they were."""
    limit, per_anchor = options["max_detections"], options["max_classes_per_detection"]
    slots = np.zeros(limit * per_anchor, bool)
    if options["use_regular_nms"]:
        slots[:limit] = True
    else:
        slots.reshape(limit, per_anchor)[:count, : min(per_anchor, options["num_classes"])] = True
    return slots


def assert_like_stock(
    ours: Outputs, stock: Outputs, options: Mapping[str, Any], what: str, suffix: str = ""
) -> None:
    """Equal bits wherever stock writes, zero everywhere else."""
    boxes, classes, scores, count = (f"{name}{suffix}" for name in OUTPUT_NAMES)
    assert_same_bits(ours[count], stock[count], f"{what}: count")
    slots = defined_slots(options, int(stock[count][0]))
    for name in (boxes, classes, scores):
        assert ours[name].shape == stock[name].shape, f"{what}: {name}"
        assert_same_bits(ours[name][0, slots], stock[name][0, slots], f"{what}: {name}")
        assert not ours[name][0, ~slots].view(np.uint32).any(), f"{what}: {name} past the count"
