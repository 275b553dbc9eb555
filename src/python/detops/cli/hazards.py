# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""What detops runs and the stock op gets wrong, as far as a file shows it."""

from __future__ import annotations

import numpy as np

from detops.nodes.facts import INPUT_ROLES, NodeFacts, NodeInput
from detops.nodes.faults import Finding

THREADS = "threads"
HEAP = "threads_heap"


def find_hazards(node: NodeFacts) -> list[Finding]:
    """Hazards of a node without faults."""
    return [
        *_type_hazards(node),
        *_option_hazards(node),
        *_shape_hazards(node),
        *_anchor_hazards(node),
    ]


def _finding(node: NodeFacts, name: str, text: str, stock: str, detops: str) -> Finding:
    return Finding(name, node.place, text, stock, detops)


def _type_hazards(node: NodeFacts) -> list[Finding]:
    found = []
    types = {role: item.tensor.dtype for role, item in node.inputs.items()}
    direct = [role for role in INPUT_ROLES if types.get(role) == "int8"]
    if direct:
        text = f"{' and '.join(direct)} reach the op as int8, stock knows float32 and uint8"
        found.append(
            _finding(node, "int8", text, "fails at invoke, with no reason", "reads the integers")
        )
    boxes, anchors = types.get("box_encodings"), types.get("anchors")
    if boxes == "uint8" and anchors in ("float32", "int8"):
        text = f"box_encodings are uint8 but anchors {anchors}, stock expects both uint8"
        found.append(
            _finding(node, "anchor_type", text, "takes the anchors' bytes for uint8", "reads both")
        )
    if boxes == "float32" and anchors == "uint8":
        text = "box_encodings are float32 but anchors uint8, stock expects both float32"
        found.append(_finding(node, "anchor_type", text, "fails at invoke", "reads both"))
    return found


def _option_hazards(node: NodeFacts) -> list[Finding]:
    options = node.options
    regular = options["use_regular_nms"]
    found = _thread_hazards(node) if regular else []
    if not regular and options["max_detections"] > 0:
        text = "use_regular_nms is false: an answer may have fewer detections than slots"
        stock = "leaves old or uninitialised numbers in the slots past the count"
        found.append(_finding(node, "stale_slots", text, stock, "fills them with zeros"))
    if regular and options["max_detections"] == 0:
        text = "option max_detections is 0 with use_regular_nms"
        found.append(
            _finding(node, "no_detections", text, "fails at invoke", "returns no detections")
        )
    per_anchor, classes = options["max_classes_per_detection"], options["num_classes"]
    if not regular and per_anchor > classes > 0:
        text = f"option max_classes_per_detection is {per_anchor}, but num_classes {classes}"
        stock = "leaves the slots of the classes that do not exist unset"
        found.append(_finding(node, "class_slots", text, stock, "fills them with zeros"))
    return found


def _thread_hazards(node: NodeFacts) -> list[Finding]:
    found = []
    if node.options["num_classes"] > 1:
        found.append(
            _finding(
                node,
                THREADS,
                "use_regular_nms is true: with num_threads T > 1 stock splits the classes",
                "never looks at class T; the order of ties changes from run to run",
                "gives the same answer for any num_threads",
            )
        )
    per_class, limit = node.options["detections_per_class"], node.options["max_detections"]
    if per_class < limit:
        text = f"detections_per_class {per_class} is less than max_detections {limit}"
        stock = "can write past the end of its memory with num_threads > 1"
        found.append(_finding(node, HEAP, text, stock, "does not"))
    return found


def _shape_hazards(node: NodeFacts) -> list[Finding]:
    boxes = node.inputs.get("box_encodings")
    if boxes is None or boxes.shape is None or len(boxes.shape) != 3 or boxes.shape[0] < 2:
        return []
    text = f"box_encodings have batch {boxes.shape[0]}, stock expects 1"
    return [_finding(node, "batch", text, "fails at invoke", "detects in each picture")]


def _anchor_hazards(node: NodeFacts) -> list[Finding]:
    anchors = node.inputs.get("anchors")
    values = None if anchors is None else anchors.real_constant()
    if anchors is None or values is None or values.ndim != 2 or values.shape[1] != 4:
        return []
    found = _alignment_hazards(node, anchors)
    negative = np.flatnonzero((values[:, 2:] < 0).any(axis=1))
    if len(negative):
        text = (
            f"{len(negative)} of {len(values)} anchors with a negative height or width, "
            f"the first is row {negative[0]}"
        )
        found.append(
            _finding(node, "negative_anchor", text, "fails the whole invoke", "skips those boxes")
        )
    broken = np.flatnonzero(~np.isfinite(values).all(axis=1))
    if len(broken):
        text = (
            f"{len(broken)} of {len(values)} anchors with numbers that are not finite, "
            f"the first is row {broken[0]}"
        )
        what = "reports NaN or infinite boxes there"
        found.append(_finding(node, "anchor_not_finite", text, what, f"{what} too"))
    return found


def _alignment_hazards(node: NodeFacts, anchors: NodeInput) -> list[Finding]:
    value = anchors.constant()
    if value is None or value.flags.aligned:
        return []
    text = f"anchors are {anchors.source.dtype} at an address that is no multiple of its size"
    stock = "crashes (SIGBUS) on processors that need aligned data"
    return [_finding(node, "unaligned", text, stock, "reads them at any address")]
