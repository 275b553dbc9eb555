# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Makes a file what readers expect of one with the op, and smaller."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from detops.convert.equivalence import check_same_detections
from detops.convert.metadata_block import METADATA_ENTRY, reordered_outputs
from detops.convert.model_edit import ModelEdit, Source, indices, read_source
from detops.convert.postprocess_node import (
    OUTPUT_NAMES,
    block_of,
    check_nodes,
    declare_output_shapes,
    nodes_of,
)
from detops.options import OP_NAME, Options


def tidy(model: Source, *, verify: bool = True) -> bytes:
    """Gives the op's outputs their usual order, names and shapes, and drops what is stored twice.

    * The graph outputs that a node feeds are in its order (boxes, classes, scores, count), in the
      places they have, and named `detection_boxes`, `detection_classes`, `detection_scores` and
      `num_detections` (`_1` and so on for further nodes). Signatures keep their names.
      TFLite metadata follows.
    * Their shapes are static, where the file tells the size of the batch.
    * Their tensors ascend, as some clients ask.
    * Equal buffers and equal vectors of quantisation parameters are stored once; tensors,
      operator codes and buffers that nothing refers to are gone.
    * Constants of the op, in practice its anchors, lie at multiples of 64 bytes, without which
      LiteRT's CompiledModel does not give them to a custom op.

    Not a bit of the detections changes.

    Args:
      model: a path or the bytes.
      verify: run the model before and after, where a runtime is installed, and compare.

    Returns:
      The tidy model.

    Raises:
      ValueError: no post-processing node, or a malformed one.
      OSError: the path cannot be read.
      ImportError: flatbuffers or the TFLite schema is not installed.
    """
    before = read_source(model)
    edit = ModelEdit(before)
    nodes = nodes_of(edit)
    for number, (graph, node) in enumerate(nodes):
        options = Options.from_bytes(block_of(node))
        _name_outputs(graph, node, f"_{number}" if number else "")
        declare_output_shapes(graph, node, options)
    for graph in edit.graphs:
        own = [node for other, node in nodes if other is graph]
        order = _order_outputs(graph, own)
        if graph is edit.graphs[0]:
            _order_descriptions(edit, order)
        _ascend(edit, graph, own)
    for graph in edit.graphs:
        edit.sweep(graph, [])
    _merge_buffers(edit)
    result = edit.save()
    check_nodes(result)
    if verify:
        check_same_detections(before, result)
    return result


def _name_outputs(graph: Any, node: Any, suffix: str) -> None:
    for index, name in zip(indices(node.outputs), OUTPUT_NAMES, strict=True):
        graph.tensors[index].name = name + suffix


def _order_outputs(graph: Any, nodes: Sequence[Any]) -> list[int]:
    """Which output each output was."""
    outputs = indices(graph.outputs)
    order = list(range(len(outputs)))
    places_of: dict[int, list[int]] = {}
    for place, tensor in enumerate(outputs):
        places_of.setdefault(tensor, []).append(place)
    for node in nodes:
        # In the node's order; a tensor may be several outputs.
        old = [place for tensor in indices(node.outputs) for place in places_of.get(tensor, [])]
        for place, before in zip(sorted(old), old, strict=True):
            order[place] = before
    graph.outputs = np.asarray([outputs[old] for old in order], np.int32)
    return order


def _order_descriptions(edit: ModelEdit, order: list[int]) -> None:
    """The metadata describes outputs by their places."""
    block = edit.metadata_entry(METADATA_ENTRY)
    if block is not None and order != sorted(order):
        edit.set_metadata_entry(METADATA_ENTRY, reordered_outputs(block, order))


def _ascend(edit: ModelEdit, graph: Any, nodes: Sequence[Any]) -> None:
    order = list(range(len(graph.tensors)))
    for node in nodes:
        own = indices(node.outputs)
        for place, index in zip(sorted(own), own, strict=True):
            order[place] = index
    if len(set(order)) != len(order):
        raise ValueError(f"two outputs of {OP_NAME} nodes are one tensor, expected one for each")
    edit.renumber_tensors(graph, order)


def _merge_buffers(edit: ModelEdit) -> None:
    first: dict[tuple[bytes | None, int, int], int] = {}
    merged = []
    for number, buffer in enumerate(edit.model.buffers):
        # A buffer without data and one of no bytes differ: the second is a constant.
        content = None if buffer.data is None else bytes(bytearray(buffer.data))
        merged.append(first.setdefault((content, buffer.offset, buffer.size), number))
    edit.sweep_buffers(lambda number: merged[number])
