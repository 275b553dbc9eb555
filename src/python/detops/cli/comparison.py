# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Whether two interpreters of one model gave the same detections, to the bit."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from detops.nodes.facts import OUTPUT_ROLES, NodeFacts

_Answers = dict[str, NDArray[np.float32]]


def check_comparable(nodes: list[NodeFacts]) -> None:
    """Raises ValueError where the model does not output all that a node reports."""
    for node in nodes:
        hidden = [i for i in node.operator.outputs if i not in node.uses.outputs]
        if hidden:
            raise ValueError(
                f"{node.place}: {len(hidden)} of its outputs are not outputs of the model, so the "
                "answers cannot be compared"
            )


def compare_answers(nodes: list[NodeFacts], stock: Any, ours: Any) -> list[str]:
    """Differences between the outputs of the nodes, in words; slots past the count do not matter.

    Args:
      nodes: nodes for which `check_comparable` holds.
      stock, ours: interpreters after an invoke.
    """
    return [
        difference
        for node in nodes
        for difference in _node_differences(node, _read(node, stock), _read(node, ours))
    ]


def _read(node: NodeFacts, interpreter: Any) -> _Answers:
    return {
        role: interpreter.get_tensor(index)
        for role, index in zip(OUTPUT_ROLES, node.operator.outputs, strict=True)
    }


def _node_differences(node: NodeFacts, stock: _Answers, ours: _Answers) -> list[str]:
    counts = [answers["num_detections"].ravel() for answers in (stock, ours)]
    if not _same_bits(*counts).all():
        return [f"{node.place}: stock counts {_text(counts[0])}, detops {_text(counts[1])}"]
    found = []
    for role in OUTPUT_ROLES[:3]:
        if stock[role].shape != ours[role].shape:
            found.append(
                f"{node.place}: {role} of stock have shape {list(stock[role].shape)}, those of "
                f"detops {list(ours[role].shape)}"
            )
            continue
        for picture, count in enumerate(counts[0]):
            slots = _filled_slots(node, int(count))
            pair = (stock[role][picture, slots], ours[role][picture, slots])
            different = np.argwhere(~_same_bits(*pair))
            if len(different):
                first = tuple(different[0])
                found.append(
                    f"{node.place}: {role} differ in {len(different)} of {pair[0].size} values, "
                    f"first in slot {slots[first[0]]}: stock {pair[0][first]:.9g}, "
                    f"detops {pair[1][first]:.9g}"
                )
    return found


def _filled_slots(node: NodeFacts, count: int) -> NDArray[np.intp]:
    """The slots that a count covers: in fast mode each kept anchor has one per class rank."""
    if node.options["use_regular_nms"]:
        return np.arange(count)
    stride = node.options["max_classes_per_detection"]
    filled = np.arange(min(stride, node.options["num_classes"]))
    slots: NDArray[np.intp] = np.add.outer(np.arange(count) * stride, filled).ravel()
    return slots


def _same_bits(one: NDArray[Any], two: NDArray[Any]) -> NDArray[np.bool_]:
    bits = [np.ascontiguousarray(array).view(np.uint32) for array in (one, two)]
    same: NDArray[np.bool_] = np.equal(*bits)
    return same


def _text(counts: NDArray[Any]) -> str:
    return ", ".join(f"{count:g}" for count in counts)
