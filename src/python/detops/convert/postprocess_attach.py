# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Ends a raw model, whose outputs are boxes and scores, in the op."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from detops.convert import inserted_nodes
from detops.convert.equivalence import check_node_results
from detops.convert.model_edit import ModelEdit, Source, indices, read_source, text_of
from detops.convert.option_values import write_option_values
from detops.convert.postprocess_node import (
    OUTPUT_NAMES,
    check_nodes,
    declare_output_shapes,
    option_values,
)
from detops.convert.raw_outputs import OutputKey, RawOutput, are_probabilities, find_roles
from detops.options import OP_NAME, Options

_TYPES = ("float32", *inserted_nodes.EIGHT_BIT)
_INTO = ("float32", "native")


def attach_postprocess(
    model: Source,
    anchors: ArrayLike,
    options: Options,
    *,
    boxes: OutputKey = None,
    scores: OutputKey = None,
    sigmoid: bool | None = None,
    into: str = "float32",
    verify: bool = True,
) -> bytes:
    """Puts `TFLite_Detection_PostProcess` behind a model that gives box encodings and scores.

    Args:
      model: a path or the bytes. Outputs float32, uint8 or int8, one row for each anchor:
        [1, N, 4], [1, N, 1, 4] or [1, N * 4], boxes y, x, h, w, and scores alike; in either order.
      anchors: [N, 4] float32, centre y, centre x, height, width.
      options: of the op; `num_classes` without the background.
      boxes: name or position of the box output, where the shapes do not tell.
      scores: the same for the scores.
      sigmoid: True: the scores have been through a sigmoid or softmax. False: they are logits, and
        a LOGISTIC is added; of 8 bits for 8-bit scores, which rounds them to multiples of 1/256.
        None: True where the file proves it, an error elsewhere.
      into: "float32" puts a DEQUANTIZE in front of 8-bit boxes and scores; every runtime runs that,
        and detops fuses it. "native" feeds them to the op as they are: int8 runs with detops only;
        of uint8 only the scores, since stock takes uint8 boxes for a sign of uint8 anchors.
      verify: run the result, where a runtime is installed, and compare its bits with those of
        `detops.postprocess` on the boxes and scores.

    Returns:
      The model with the four outputs of the op, in its order and under its usual names, in place of
      the two. Signatures are changed with them; any further outputs come behind.

    Raises:
      ValueError: an output, the anchors or the options do not fit; the message says which.
      OSError: the path cannot be read.
      ImportError: flatbuffers or the TFLite schema is not installed.
    """
    if into not in _INTO:
        raise ValueError(f"into is {into!r}, expected one of {', '.join(_INTO)}")
    if not isinstance(options, Options):
        raise TypeError(f"options is a {type(options).__name__}, expected detops.Options")
    rows = _as_anchors(anchors)
    before = read_source(model)
    edit = ModelEdit(before)
    if edit.postprocess_nodes():
        raise ValueError(f"the model has a {OP_NAME} node already")
    if not edit.graphs:
        raise ValueError("the model has no subgraph, expected one")
    graph = edit.graphs[0]
    roles = find_roles(graph, len(rows), options.num_classes, boxes, scores)
    for role, output in zip(("boxes", "scores"), roles, strict=True):
        _check_type(edit, graph, role, output)
    feeds = [
        _box_feed(edit, graph, roles[0], into),
        _score_feed(edit, graph, roles[1], sigmoid, into),
        edit.add_tensor(graph, "anchors", rows.shape, "float32", data=rows),
    ]
    node = _add_node(edit, graph, feeds, options)
    _replace_outputs(edit, graph, [role.tensor for role in roles], node)
    result = edit.save()
    check_nodes(result)
    if verify:
        check_node_results(before, result)
    return result


def _as_anchors(anchors: ArrayLike) -> NDArray[np.float32]:
    try:
        # Numbers past float32 become infinity, which is refused below.
        with np.errstate(over="ignore"):
            rows = np.asarray(anchors).astype("<f4", casting="same_kind")
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"anchors are not real numbers, expected [N, 4]: {error}") from error
    if rows.ndim != 2 or rows.shape[1] != 4 or not len(rows):
        raise ValueError(f"anchors has shape {list(rows.shape)}, expected [N, 4]")
    if not np.isfinite(rows).all() or (rows[:, 2:] < 0).any():
        raise ValueError("anchors holds NaN, infinity or a negative size, expected real boxes")
    return rows


def _check_type(edit: ModelEdit, graph: Any, role: str, output: RawOutput) -> None:
    tensor = graph.tensors[output.tensor]
    dtype = edit.dtype_of(tensor)
    where = f"output {text_of(tensor.name)!r} ({role})"
    if dtype not in _TYPES:
        raise ValueError(f"{where} is {dtype}, expected one of {', '.join(_TYPES)}")
    known = inserted_nodes.scale_and_zero_point(tensor)
    if dtype in inserted_nodes.EIGHT_BIT and known is None:
        raise ValueError(f"{where} is {dtype} without one scale for the whole tensor, expected one")


def _box_feed(edit: ModelEdit, graph: Any, boxes: RawOutput, into: str) -> int:
    dtype = edit.dtype_of(graph.tensors[boxes.tensor])
    direct = into == "native" and dtype == "int8"
    return _feed(edit, graph, boxes.tensor, boxes, direct=direct)


def _score_feed(
    edit: ModelEdit, graph: Any, scores: RawOutput, sigmoid: bool | None, into: str
) -> int:
    tensor = scores.tensor
    if sigmoid is None and not are_probabilities(edit, graph, tensor):
        raise ValueError(
            f"output {text_of(graph.tensors[tensor].name)!r} may hold probabilities or logits: "
            "say which, as sigmoid=True (they are probabilities) or sigmoid=False (add a sigmoid)"
        )
    if sigmoid is False:
        tensor = inserted_nodes.logistic(edit, graph, tensor, None)
    return _feed(edit, graph, tensor, scores, direct=into == "native")


def _feed(edit: ModelEdit, graph: Any, tensor: int, output: RawOutput, *, direct: bool) -> int:
    rows = int(np.prod(output.shape, dtype=np.int64)) // output.columns
    wanted = (1, rows, output.columns)
    if output.shape != wanted:
        tensor = inserted_nodes.reshaped(edit, graph, tensor, wanted, None)
    if edit.dtype_of(graph.tensors[tensor]) != "float32" and not direct:
        tensor = inserted_nodes.dequantized(edit, graph, tensor, None)
    return tensor


def _add_node(edit: ModelEdit, graph: Any, feeds: list[int], options: Options) -> Any:
    outputs = [edit.add_tensor(graph, name, [], "float32") for name in OUTPUT_NAMES]
    node = edit.add_operator(graph, OP_NAME, feeds, outputs)
    block = write_option_values(option_values(options))
    node.customOptions = np.frombuffer(block, np.uint8)
    declare_output_shapes(graph, node, options)
    return node


def _replace_outputs(edit: ModelEdit, graph: Any, raw: list[int], node: Any) -> None:
    outputs = indices(node.outputs)
    others = [tensor for tensor in indices(graph.outputs) if tensor not in raw]
    graph.outputs = np.asarray([*outputs, *others], np.int32)
    for signature in edit.signatures(graph):
        kept = [e for e in signature.outputs or [] if e.tensorIndex not in raw]
        signature.outputs = [*_named(edit, outputs), *kept]


def _named(edit: ModelEdit, outputs: list[int]) -> list[Any]:
    entries = []
    for name, tensor in zip(OUTPUT_NAMES, outputs, strict=True):
        entry = edit.schema.TensorMapT()
        entry.name, entry.tensorIndex = name, tensor
        entries.append(entry)
    return entries
