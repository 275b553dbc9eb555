# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Rewrites what the op reads: int8, uint8 or float32."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detops.convert import inserted_nodes
from detops.convert.equivalence import check_same_detections
from detops.convert.inserted_nodes import EIGHT_BIT, scale_and_zero_point
from detops.convert.model_edit import ModelEdit, Source, indices, read_source, text_of
from detops.convert.postprocess_node import check_nodes, nodes_of

_INTO = ("int8", "uint8", "float32")
_BOXES, _SCORES, _ANCHORS = range(3)
_ROLES = ("box_encodings", "scores", "anchors")


def rewrite_quantized(model: Source, into: str = "int8", *, verify: bool = True) -> bytes:
    """Changes the type in which boxes and scores reach the op, without changing a detection.

    * "int8": no DEQUANTIZE; the op reads the network's int8 tensors. For detops; the stock op fails
      when invoked. uint8 tensors pass a QUANTIZE, which moves the zero point by 128.
    * "uint8": scores reach the op as uint8, through a QUANTIZE where they are int8. Every stock
      runtime runs that. Boxes stay float32, through a DEQUANTIZE, because the stock op reads uint8
      boxes only with uint8 anchors; with 8-bit anchors boxes and anchors become uint8 too.
    * "float32": a DEQUANTIZE in front of 8-bit boxes and scores; 8-bit anchors become float32
      constants. Every runtime runs that.

    All of it is lossless: the scale stays, (q, zero point) move together, and what would round
    otherwise in the last bit is refused: scores whose zero point is not the lowest number and whose
    scale is no power of two, which the stock op and DEQUANTIZE round apart as uint8. Anchors are
    never rounded to 8 bits, since that costs accuracy.

    Args:
      model: a path or the bytes of a model with the op.
      into: "int8", "uint8" or "float32".
      verify: run the model before and after, where a runtime is installed, and compare bits.

    Returns:
      The rewritten model. A RESHAPE between DEQUANTIZE and the op is kept, in the new type; nodes
      and tensors that are left without use are removed.

    Raises:
      ValueError: no post-processing node; boxes or scores of a float model, for an 8-bit type;
        scores as above; a tensor with a scale for each slice.
      OSError: the path cannot be read.
      ImportError: flatbuffers or the TFLite schema is not installed.
    """
    if into not in _INTO:
        raise ValueError(f"into is {into!r}, expected one of {', '.join(_INTO)}")
    before = read_source(model)
    edit = ModelEdit(before)
    graphs: dict[int, Any] = {}
    passed: dict[int, list[Any]] = {}
    for graph, node in nodes_of(edit):
        graphs[id(graph)] = graph
        passed.setdefault(id(graph), []).extend(_rewrite(edit, graph, node, into))
    for key, graph in graphs.items():
        edit.sweep(graph, passed[key])
    result = edit.save()
    check_nodes(result)
    if verify:
        check_same_detections(before, result)
    return result


@dataclass(frozen=True)
class _Feed:
    """An input of the op, and the 8-bit tensor that it stands for, if any."""

    role: int
    dtype: str
    """Of the op's input."""
    origin: int
    """The 8-bit tensor, where the op's input is one or a DEQUANTIZE makes it of one; else -1."""
    origin_dtype: str
    shape: list[int]
    """Of the op's input."""
    reshape_input: int
    """The constant of a RESHAPE that lies between; -1 for none."""
    passed: tuple[Any, ...]
    """The operators between the origin and the op."""


def _rewrite(edit: ModelEdit, graph: Any, node: Any, into: str) -> list[Any]:
    """Gives the node its new inputs; returns the operators that may be left without use."""
    boxes, scores, anchors = (_feed(edit, graph, node, role) for role in range(3))
    for feed in (boxes, scores, anchors):
        _check_quantization(edit, graph, feed)
    narrow_anchors = anchors.dtype in EIGHT_BIT
    if into == "int8":
        if boxes.origin < 0 and scores.origin < 0:
            raise ValueError(_nothing_narrow(edit, graph, boxes, scores))
        wanted = ["int8" if feed.origin >= 0 else "float32" for feed in (boxes, scores)]
    elif into == "uint8":
        if scores.origin < 0:
            raise ValueError(_nothing_narrow(edit, graph, scores))
        wanted = ["uint8" if narrow_anchors and boxes.origin >= 0 else "float32", "uint8"]
    else:
        wanted = ["float32", "float32"]
    _check_rounding(edit, graph, scores, wanted[_SCORES])
    for feed, dtype in zip((boxes, scores), wanted, strict=True):
        node.inputs[feed.role] = _as_type(edit, graph, node, feed, dtype)
    if narrow_anchors and into != "int8":
        node.inputs[_ANCHORS] = _converted_anchors(edit, graph, node, anchors, wanted[_BOXES])
    return [op for feed in (boxes, scores, anchors) for op in feed.passed]


def _feed(edit: ModelEdit, graph: Any, node: Any, role: int) -> _Feed:
    # The vector that was read is a view of the file.
    node.inputs = np.array(node.inputs, np.int32)
    tensor = int(node.inputs[role])
    dtype = edit.dtype_of(graph.tensors[tensor])
    shape = indices(graph.tensors[tensor].shape)
    origin, reshape_input, passed = tensor, -1, []
    reshape = _builtin(edit, graph, tensor, "RESHAPE")
    if reshape is not None:
        reshape_input = _constant_input(edit, graph, reshape)
        if reshape_input >= 0:
            origin, passed = int(reshape.inputs[0]), [reshape]
    origin, converters = _before_converters(edit, graph, origin, role)
    if dtype in EIGHT_BIT and not converters:
        # Nothing to leave out: a RESHAPE, if any, is 8-bit already and stays.
        return _Feed(role, dtype, tensor, dtype, shape, -1, ())
    origin_dtype = edit.dtype_of(graph.tensors[origin])
    if origin_dtype not in EIGHT_BIT:
        return _Feed(role, dtype, -1, origin_dtype, shape, -1, ())
    return _Feed(role, dtype, origin, origin_dtype, shape, reshape_input, (*passed, *converters))


def _before_converters(
    edit: ModelEdit, graph: Any, tensor: int, role: int
) -> tuple[int, list[Any]]:
    """Steps back over a DEQUANTIZE and a lossless QUANTIZE."""
    found = []
    dequantize = _builtin(edit, graph, tensor, "DEQUANTIZE")
    if dequantize is not None:
        tensor = int(dequantize.inputs[0])
        found.append(dequantize)
    if role == _ANCHORS:
        return tensor, found
    tensor, quantize = _before_requantization(edit, graph, tensor)
    return tensor, [*found, *quantize]


def _builtin(edit: ModelEdit, graph: Any, tensor: int, name: str) -> Any:
    producer = edit.producer(graph, tensor)
    if producer is None or edit.name_of(producer) != name:
        return None
    return producer if min(indices(producer.inputs), default=-1) >= 0 else None


def _constant_input(edit: ModelEdit, graph: Any, reshape: Any) -> int:
    inputs = indices(reshape.inputs)
    if len(inputs) != 2 or min(inputs) < 0 or edit.data_of(graph.tensors[inputs[1]]) is None:
        return -1
    return inputs[1]


def _before_requantization(edit: ModelEdit, graph: Any, tensor: int) -> tuple[int, list[Any]]:
    """Steps back over a lossless QUANTIZE, so that rewriting back and forth adds none."""
    quantize = _builtin(edit, graph, tensor, "QUANTIZE")
    if quantize is None:
        return tensor, []
    source = int(quantize.inputs[0])
    narrow, wide = (scale_and_zero_point(graph.tensors[i]) for i in (source, tensor))
    types = {edit.dtype_of(graph.tensors[i]) for i in (source, tensor)}
    if types != set(EIGHT_BIT) or narrow is None or wide is None or narrow[0] != wide[0]:
        return tensor, []
    moved = 128 if edit.dtype_of(graph.tensors[source]) == "int8" else -128
    return (source, [quantize]) if narrow[1] + moved == wide[1] else (tensor, [])


def _check_quantization(edit: ModelEdit, graph: Any, feed: _Feed) -> None:
    if feed.origin >= 0 and scale_and_zero_point(graph.tensors[feed.origin]) is None:
        name = text_of(graph.tensors[feed.origin].name)
        raise ValueError(
            f"{_ROLES[feed.role]} come from {name!r}, {feed.origin_dtype} without one scale for "
            "the whole tensor"
        )


def _check_rounding(edit: ModelEdit, graph: Any, scores: _Feed, wanted: str) -> None:
    """The stock op and detops round uint8 scores in the way of the op, all others in the usual."""
    if scores.origin < 0 or (scores.dtype == "uint8") == (wanted == "uint8"):
        return
    given = scale_and_zero_point(graph.tensors[scores.origin])
    assert given is not None
    scale, zero_point = given
    lowest = inserted_nodes.LOWEST[scores.origin_dtype]
    if zero_point != lowest and math.frexp(scale)[0] != 0.5:
        raise ValueError(
            f"scores have scale {scale:.9g} and zero point {zero_point}: as uint8 the op rounds "
            "them in another way, so the last bit would change; expected zero point "
            f"{lowest} or a scale that is a power of two"
        )


def _nothing_narrow(edit: ModelEdit, graph: Any, *feeds: _Feed) -> str:
    roles = " and ".join(_ROLES[feed.role] for feed in feeds)
    return (
        f"{roles} reach the op as {feeds[-1].dtype}, not through a DEQUANTIZE of an 8-bit tensor; "
        "expected a quantised model"
    )


def _as_type(edit: ModelEdit, graph: Any, node: Any, feed: _Feed, wanted: str) -> int:
    tensor = int(node.inputs[feed.role])
    if feed.dtype == wanted or feed.origin < 0:
        return tensor
    tensor = feed.origin
    if wanted != "float32" and feed.origin_dtype != wanted:
        tensor = inserted_nodes.requantized(edit, graph, tensor, node)
    if feed.reshape_input >= 0:
        tensor = inserted_nodes.reshaped(edit, graph, tensor, feed.shape, node, feed.reshape_input)
    if wanted == "float32":
        tensor = inserted_nodes.dequantized(edit, graph, tensor, node)
    return tensor


def _converted_anchors(edit: ModelEdit, graph: Any, node: Any, anchors: _Feed, wanted: str) -> int:
    """8-bit anchors in the type of the boxes. Constants are converted here: the runtimes round a
    constant that passes a DEQUANTIZE in a way of its own."""
    if anchors.dtype == wanted:
        return int(node.inputs[_ANCHORS])
    tensor = graph.tensors[anchors.origin]
    data = edit.data_of(tensor)
    given = scale_and_zero_point(tensor)
    assert given is not None
    if data is None:
        insert = inserted_nodes.dequantized if wanted == "float32" else inserted_nodes.requantized
        return insert(edit, graph, anchors.origin, node)
    name = text_of(tensor.name)
    if wanted == "float32":
        values = _real(data.view(anchors.dtype), *given)
        return edit.add_tensor(graph, name, anchors.shape, "float32", data=values)
    quantization = inserted_nodes.quantization_of(edit, given[0], given[1] + 128)
    # Turning the highest bit adds 128.
    return edit.add_tensor(graph, name, anchors.shape, "uint8", quantization, data ^ np.uint8(128))


def _real(values: NDArray[Any], scale: float, zero_point: int) -> NDArray[Any]:
    differences = (values.astype(np.int64) - zero_point).astype(np.float32)
    # As in the runtimes, scales near the end of the floats give infinity.
    with np.errstate(over="ignore"):
        real: NDArray[Any] = (differences * np.float32(scale)).astype("<f4")
    return real
