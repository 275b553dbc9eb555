# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""What is wrong with a post-processing node: detops refuses each of these when it prepares.

The library decides; only what a file alone can tell (missing tensors, constants of a wrong size) is
looked at here. Also what the stock op does in each case, measured with ai-edge-litert 2.3 and
tensorflow 2.21.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from detops import _core
from detops.model_file import ModelFile, ModelFileError, Operator, Quantization, Subgraph, Tensor
from detops.nodes.facts import INPUT_ROLES, OUTPUT_ROLES, SUPPORTED_TYPES, NodeFacts, NodeInput
from detops.options import Options

REFUSED = "refuses the model and says this"
_AT_INVOKE = "fails at invoke"
_LARGEST = 2**31 - 1
_STOCK = {
    "option_block": "crashes (SIGSEGV), or reads what is there",
    "option_value": "reads 0 or a cut value",
    "input_count": _AT_INVOKE,
    "output_count": _AT_INVOKE,
    "max_detections": "fails when it allocates or invokes",
    "detections_per_class": _AT_INVOKE,
    "num_classes": "fails at invoke, or crashes (SIGSEGV)",
    "output_size": "overflows: outputs of a wrong size, or a crash (SIGSEGV)",
    "nms_iou_threshold": _AT_INVOKE,
    "scale": "reports infinite or NaN boxes",
    "dtype": "fails at invoke, with no reason",
    "quantization": "reports garbage",
    "quantization_fields": "the runtime refuses the model, or cuts the zero point to 32 bits",
    "shape": _AT_INVOKE,
    "row_mismatch": _AT_INVOKE,
    "class_columns": _AT_INVOKE,
    "size": "overflows",
    "circle": "crashes (SIGSEGV), or refuses the model",
    "buffer": "the runtime refuses the model",
}


@dataclass(frozen=True)
class Finding:
    """One line of the report."""

    name: str
    """For programs, for instance "class_columns"."""
    place: str
    text: str
    """What, where, got, expected."""
    stock: str
    detops: str


def find_faults(node: NodeFacts) -> list[Finding]:
    """Every reason to refuse a node that its file shows."""
    found = list(node.option_faults) or _structure_faults(node)
    found = [*found, *output_faults(node.graph, node.operator), *_circle_faults(node)]
    if not found:
        found = _core.check(Options(**node.options), *_descriptions(node))
    found = [*found, *_quantization_faults(node), *_constant_faults(node)]
    return [
        Finding(name, node.place, text, _stock_text(name, text, node), REFUSED)
        for name, text in found
    ]


def find_file_faults(model: ModelFile) -> list[Finding]:
    """Reasons to refuse a file whatever its nodes are: the runtimes crash on these."""
    return [*_call_circles(model), *_missing_outputs(model)]


def _missing_outputs(model: ModelFile) -> list[Finding]:
    """Results that an operator of the runtimes would write nowhere: only inputs may be left out."""
    return [
        Finding(
            "output_count",
            f"node {op.index}"
            if graph.index == 0
            else f"node {op.index} of subgraph {graph.index}",
            f"output {op.outputs.index(-1)} of {op.name} (node {op.index}) is missing, "
            "expected a tensor",
            "crashes (SIGSEGV)",
            REFUSED,
        )
        for graph in model.subgraphs
        for op in graph.operators
        if not op.is_custom and -1 in op.outputs
    ]


def _call_circles(model: ModelFile) -> list[Finding]:
    """Subgraphs that run one another in a circle, which the runtimes follow until they crash."""
    calls = [{i for op in graph.operators for i in op.called} for graph in model.subgraphs]
    callers = Counter(index for called in calls for index in called)
    free = [index for index in range(len(calls)) if not callers[index]]
    while free:
        for index in calls[free.pop()]:
            callers[index] -= 1
            if not callers[index] and 0 <= index < len(calls):
                free.append(index)
    stuck = [index for index in range(len(calls)) if callers[index]]
    if not stuck:
        return []
    text = (
        f"subgraph {stuck[0]} is run by itself, or by subgraphs that run one another, "
        "expected subgraphs without circles"
    )
    return [Finding("circle", f"subgraph {stuck[0]}", text, _STOCK["circle"], REFUSED)]


def unchecked_inputs(node: NodeFacts) -> list[str]:
    """Roles of the inputs whose shape only run time knows."""
    return [
        item.role
        for item in node.inputs.values()
        if item.shape is None or min(item.shape, default=0) < 0
    ]


def _structure_faults(node: NodeFacts) -> list[tuple[str, str]]:
    num_inputs, num_outputs = len(node.operator.inputs), len(node.operator.outputs)
    found = []
    if num_inputs != len(INPUT_ROLES):
        found.append(
            ("input_count", f"it has {num_inputs} inputs, expected 3 ({', '.join(INPUT_ROLES)})")
        )
    if num_outputs != len(OUTPUT_ROLES):
        expected = "4 (boxes, classes, scores, count)"
        found.append(("output_count", f"it has {num_outputs} outputs, expected {expected}"))
    for number, (role, tensor) in enumerate(zip(INPUT_ROLES, node.operator.inputs, strict=False)):
        if tensor < 0:
            found.append(("input_count", f"input {number} ({role}) is missing"))
    for number, tensor in enumerate(node.operator.outputs[: len(OUTPUT_ROLES)]):
        if tensor < 0:
            found.append(("output_count", f"output {number} is missing"))
    return [*found, *_shared_outputs(node.operator.outputs[: len(OUTPUT_ROLES)])]


def output_faults(graph: Subgraph, operator: Operator) -> list[tuple[str, str]]:
    """Outputs of a post-processing node that it must not write: constants, and what it reads.

    Some runtimes crash on these before any op is asked, so who has the file looks at it first.
    """
    found = []
    for number, tensor in enumerate(operator.outputs[: len(OUTPUT_ROLES)]):
        if tensor < 0:
            continue
        if graph.tensors[tensor].is_constant:
            text = f"output {number} is tensor {tensor}, a constant, expected another"
            found.append(("output_count", text))
        for role, source in zip(INPUT_ROLES, operator.inputs, strict=False):
            if source == tensor:
                text = f"output {number} is the tensor of {role}, {tensor}, expected another"
                found.append(("output_count", text))
    return found


def _shared_outputs(outputs: tuple[int, ...]) -> list[tuple[str, str]]:
    """Outputs that are one tensor: it has the size of one of them."""
    return [
        ("output_count", f"outputs {first} and {second} are one tensor, {tensor}, expected two")
        for second, tensor in enumerate(outputs)
        for first in range(second)
        if outputs[first] == tensor >= 0
    ]


def _circle_faults(node: NodeFacts) -> list[tuple[str, str]]:
    if node.stuck is None or set(node.operator.outputs).intersection(node.operator.inputs):
        return []
    text = (
        f"node {node.stuck.index} ({node.stuck.name}) can never run, since it waits for what comes "
        "of its own outputs, expected a graph without circles"
    )
    return [("circle", text)]


def _quantization_faults(node: NodeFacts) -> list[tuple[str, str]]:
    """What the runtimes refuse while they load a file, and zero points that they cut to 32 bits."""
    found = []
    for item in node.inputs.values():
        for tensor in {
            item.tensor.index: item.tensor,
            item.quantized.index: item.quantized,
        }.values():
            for text in _quantization_texts(tensor):
                found.append(("quantization_fields", f"{item.role}: tensor {tensor.index} {text}"))
    return found


def _quantization_texts(tensor: Tensor) -> list[str]:
    quantization = tensor.quantization
    if quantization is None:
        return []
    scales, zero_points, axis = (
        len(quantization.scales),
        quantization.zero_points,
        quantization.axis,
    )
    rank = max(len(tensor.shape), 1)
    found = []
    if len(zero_points) != scales:
        found.append(f"has {scales} scales and {len(zero_points)} zero points, expected as many")
    if not 0 <= axis < rank:
        found.append(f"is quantized along dimension {axis}, expected 0 to {rank - 1}")
    elif scales not in (1, *tensor.shape[axis : axis + 1]):
        side = tensor.shape[axis] if tensor.shape else 1
        found.append(f"has {scales} scales along dimension {axis}, expected 1 or {side}")
    return [*found, *wide_zero_point(quantization)]


def wide_zero_point(quantization: Quantization) -> list[str]:
    """Says so where a zero point has more than the 32 bits that runtimes keep of it."""
    wide = [value for value in quantization.zero_points if not -_LARGEST - 1 <= value <= _LARGEST]
    return [f"has zero point {wide[0]}, expected one of 32 bits"] if wide else []


def _constant_faults(node: NodeFacts) -> list[tuple[str, str]]:
    found = []
    for item in node.inputs.values():
        if item.source.dtype not in SUPPORTED_TYPES:
            continue
        try:
            item.source.constant()
        except ModelFileError as error:
            found.append(("buffer", f"{item.role}: {error}"))
    return found


def _stock_text(name: str, text: str, node: NodeFacts) -> str:
    if name == "max_classes_per_detection":
        return "crashes (SIGSEGV)" if node.options["use_regular_nms"] else _AT_INVOKE
    if text.startswith("anchors has"):
        return _stock_on_anchors(name, node)
    if name == "input_count" and text.endswith("is missing"):
        return "fails when it allocates"
    if name == "output_count" and "are one tensor" in text:
        return "writes one output over another"
    if name == "output_count" and "expected another" in text:
        return "crashes (SIGSEGV), or overwrites what it reads"
    return _STOCK.get(name, "not known")


def _stock_on_anchors(name: str, node: NodeFacts) -> str:
    """Stock looks at the rank of the anchors, and takes everything else for granted."""
    anchors, boxes = node.inputs["anchors"].shape, node.inputs["box_encodings"].shape
    if name not in ("row_mismatch", "shape") or anchors is None or len(anchors) != 2:
        return _STOCK.get(name, "not known")
    if name == "row_mismatch" and boxes is not None and anchors[0] > boxes[1]:
        return "takes the first rows, whatever they are"
    if anchors[1] > 4:
        return "takes the wrong numbers for anchors"
    return "reads past the end of the anchors (SIGSEGV at worst)"


# ---------------------------------------------------------------------------------------------
# Shapes that the library is asked about
# ---------------------------------------------------------------------------------------------


def _descriptions(node: NodeFacts) -> list[_core.Description]:
    """The three inputs; dimensions that only run time knows are taken to fit the others."""
    boxes, scores, anchors = (node.inputs[role] for role in INPUT_ROLES)
    batch = _known(boxes, 0, 3) or _known(scores, 0, 3) or 1
    rows = _known(boxes, 1, 3) or _known(scores, 1, 3) or _known(anchors, 0, 2) or 1
    columns = max(int(node.options["num_classes"]), 1)
    return [
        _description(boxes, (batch, rows, 4)),
        _description(scores, (batch, rows, columns)),
        _description(anchors, (rows, 4)),
    ]


def _known(item: NodeInput, axis: int, rank: int) -> int | None:
    if item.shape is None or len(item.shape) != rank or item.shape[axis] < 0:
        return None
    return item.shape[axis]


def _description(item: NodeInput, likely: tuple[int, ...]) -> _core.Description:
    shape = list(likely if item.shape is None else item.shape)
    if len(shape) == len(likely):
        shape = [guess if side == -1 else side for side, guess in zip(shape, likely, strict=True)]
    # A RESHAPE may infer a side of more than 32 bits, which fits nothing whatever it is exactly.
    shape = [min(side, _LARGEST) for side in shape]
    quantization = item.source.quantization
    scales, zero_points = (
        ((), ())
        if quantization is None
        else (
            quantization.scales,
            quantization.zero_points,
        )
    )
    # The runtimes keep 32 bits.
    zero_point = min(max((*zero_points, 0)[0], -_LARGEST - 1), _LARGEST)
    return item.source.dtype, shape, list(scales), zero_point
