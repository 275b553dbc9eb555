# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Which output of a raw model is which, and what its numbers are."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from detops.convert.inserted_nodes import (
    EIGHT_BIT,
    LOWEST,
    PROBABILITY_SCALE,
    scale_and_zero_point,
)
from detops.convert.model_edit import ModelEdit, indices, text_of

_BOX_COLUMNS = 4
# Operators after which a probability still is one.
_CARRIERS = ("RESHAPE", "SQUEEZE", "EXPAND_DIMS", "DEQUANTIZE", "QUANTIZE", "CONCATENATION")
_ACTIVATIONS = ("LOGISTIC", "SOFTMAX")
_MAX_STEPS = 1000

OutputKey = str | int | None


@dataclass(frozen=True)
class RawOutput:
    """An output of the graph, one row for each anchor."""

    tensor: int
    shape: tuple[int, ...]
    columns: int


def find_roles(
    graph: Any, num_anchors: int, num_classes: int, boxes: OutputKey, scores: OutputKey
) -> tuple[RawOutput, RawOutput]:
    """The box and the score output of a graph.

    Args:
      boxes, scores: the name or the position of an output, or None to find it by its shape.

    Raises:
      ValueError: none fits, or more than one; the message says which shapes there are.
    """
    outputs = indices(graph.outputs)
    given = [_chosen(graph, outputs, role, key) for role, key in _keys(boxes, scores)]
    if len(outputs) != 2 and None in given:
        raise ValueError(
            f"the model has {len(outputs)} outputs ({_listed(graph, outputs)}), expected boxes and "
            "scores: name both, as boxes= and scores="
        )
    if given[0] is not None and given[0] == given[1]:
        raise ValueError(f"boxes and scores are both {_listed(graph, [given[0]])}")
    pairs = [(a, b) for a in outputs for b in outputs if a != b]
    pairs = [p for p in pairs if all(g in (None, t) for g, t in zip(given, p, strict=True))]
    found = [pair for pair in pairs if _fits(graph, pair, num_anchors, num_classes)]
    # Keypoints behind the four numbers are rare: a pair that needs none is meant.
    plain = [p for p in found if _columns(graph, p[0], num_anchors) == _BOX_COLUMNS]
    found = plain or found
    if len(found) != 1:
        raise ValueError(_no_roles(graph, outputs, num_anchors, num_classes, len(found)))
    box, score = (_raw_output(graph, tensor, num_anchors) for tensor in found[0])
    return box, score


def are_probabilities(edit: ModelEdit, graph: Any, tensor: int) -> bool:
    """Whether the file proves that a tensor holds the results of a sigmoid or softmax."""
    waiting, seen = [tensor], 0
    while waiting and seen < _MAX_STEPS:
        seen += 1
        index = waiting.pop()
        if _has_probability_range(edit, graph.tensors[index]):
            continue
        producer = edit.producer(graph, index)
        name = None if producer is None else edit.name_of(producer)
        if name in _ACTIVATIONS:
            continue
        if name not in _CARRIERS:
            return False
        inputs = indices(producer.inputs)
        if min(inputs, default=-1) < 0:
            return False
        waiting += inputs if name == "CONCATENATION" else inputs[:1]
    return not waiting


def _has_probability_range(edit: ModelEdit, tensor: Any) -> bool:
    dtype = edit.dtype_of(tensor)
    return dtype in EIGHT_BIT and scale_and_zero_point(tensor) == (
        PROBABILITY_SCALE,
        LOWEST[dtype],
    )


def _keys(boxes: OutputKey, scores: OutputKey) -> list[tuple[str, OutputKey]]:
    return [("boxes", boxes), ("scores", scores)]


def _chosen(graph: Any, outputs: list[int], role: str, key: OutputKey) -> int | None:
    if key is None:
        return None
    if isinstance(key, str):
        found = [tensor for tensor in outputs if text_of(graph.tensors[tensor].name) == key]
    else:
        found = outputs[key : key + 1] if key >= 0 else []
    if len(found) != 1:
        raise ValueError(f"{role} is {key!r}, expected one of {_listed(graph, outputs)}")
    return found[0]


def _fits(graph: Any, pair: tuple[int, int], num_anchors: int, num_classes: int) -> bool:
    box, score = (_columns(graph, tensor, num_anchors) for tensor in pair)
    return box is not None and box >= _BOX_COLUMNS and score in (num_classes, num_classes + 1)


def _columns(graph: Any, tensor: int, num_anchors: int) -> int | None:
    """Numbers for each anchor; None where the rows are not the anchors."""
    sides = [side for side in indices(graph.tensors[tensor].shape) if side != 1]
    if len(sides) == 1 and num_anchors > 1 and sides[0] > num_anchors:
        return sides[0] // num_anchors if sides[0] % num_anchors == 0 else None
    if num_anchors == 1:
        return math.prod(sides)
    if not sides or sides[0] != num_anchors:
        return None
    return math.prod(sides[1:])


def _raw_output(graph: Any, tensor: int, num_anchors: int) -> RawOutput:
    columns = _columns(graph, tensor, num_anchors)
    assert columns is not None
    return RawOutput(tensor, tuple(indices(graph.tensors[tensor].shape)), columns)


def _listed(graph: Any, tensors: list[int]) -> str:
    return ", ".join(
        f"{text_of(graph.tensors[t].name)!r} {indices(graph.tensors[t].shape)}" for t in tensors
    )


def _no_roles(graph: Any, outputs: list[int], rows: int, classes: int, found: int) -> str:
    shapes = _listed(graph, outputs)
    if found > 1:
        return (
            f"either output may be the boxes ({shapes}, num_classes {classes}): "
            "say which, as boxes= or scores="
        )
    return (
        f"the outputs are {shapes}, expected boxes [1, {rows}, 4] and scores "
        f"[1, {rows}, {classes}] or [1, {rows}, {classes + 1}] for {rows} anchors and {classes} "
        "classes, in any shape that has the anchors first"
    )
