# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Completes the op's nodes in the file that the converter wrote.

The file is edited where it is: a new vector goes to its end and the field's offset is turned to it.
Everything else keeps its bytes and its alignment, which packing the file anew would not.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
from flatbuffers import flexbuffers  # type: ignore[import-untyped]
from tensorflow.lite.python import schema_py_generated as schema

from detops.model_file import ModelFile, Operator, Subgraph
from detops.tf.op_definition import OUTPUT_NAMES, uncarry

# Numbers of fields in the order of the public schema.
_TENSOR_SHAPE, _TENSOR_NAME = 0, 3
_OPERATOR_CUSTOM_OPTIONS = 5
_SUBGRAPH_OUTPUTS = 2

_ALIGNMENT = 16


def complete_nodes(model: bytes) -> tuple[bytes, int]:
    """Gives every post-processing node all its options, output shapes and output names, and puts
    the graph outputs that it feeds into the op's order.

    Args:
      model: a .tflite file from the converter.

    Returns:
      The completed file and the number of nodes.

    Raises:
      ValueError: a node without an option block or with other than four outputs.
    """
    nodes = ModelFile.read(model).postprocess_operators()
    edit = _FileEdit(model)
    for number, (graph, node) in enumerate(nodes):
        if not node.custom_options or len(node.outputs) != len(OUTPUT_NAMES):
            raise ValueError(
                f"node {node.index} of subgraph {graph.index} has {len(node.outputs)} outputs and "
                f"{len(node.custom_options or b'')} bytes of options, expected 4 outputs and a map"
            )
        options = uncarry(flexbuffers.Loads(node.custom_options))
        edit.replace_options(graph, node, bytes(flexbuffers.Dumps(options)))
        _complete_outputs(edit, graph, node, options, f"_{number}" if number else "")
        edit.order_outputs(graph, node)
    return bytes(edit.data), len(nodes)


def _complete_outputs(
    edit: _FileEdit, graph: Subgraph, node: Operator, options: dict[str, Any], suffix: str
) -> None:
    slots = options["max_detections"] * options["max_classes_per_detection"]
    # Empty where the converter knew nothing about the boxes.
    batch = graph.tensors[node.inputs[0]].shape[:1]
    shapes = ((*batch, slots, 4), (*batch, slots), (*batch, slots), batch)
    for index, shape, name in zip(node.outputs, shapes, OUTPUT_NAMES, strict=True):
        edit.rename(graph, index, name + suffix)
        if batch and not graph.tensors[index].shape:
            edit.reshape(graph, index, shape)


class _FileEdit:
    """A file under change. Fields that the file leaves out cannot be set; the converter writes all
    that are changed here."""

    def __init__(self, model: bytes) -> None:
        self.data = bytearray(model)

    def replace_options(self, graph: Subgraph, node: Operator, block: bytes) -> None:
        table = self._graph(graph).Operators(node.index)
        self._redirect(table, _OPERATOR_CUSTOM_OPTIONS, len(block), block)

    def rename(self, graph: Subgraph, tensor: int, name: str) -> None:
        text = name.encode()
        self._redirect(self._graph(graph).Tensors(tensor), _TENSOR_NAME, len(text), text + b"\0")

    def reshape(self, graph: Subgraph, tensor: int, shape: tuple[int, ...]) -> None:
        sizes = np.asarray(shape, "<i4")
        table = self._graph(graph).Tensors(tensor)
        self._redirect(table, _TENSOR_SHAPE, len(sizes), sizes.tobytes())

    def order_outputs(self, graph: Subgraph, node: Operator) -> None:
        """Puts the graph outputs that the node feeds in its order, into the places they have."""
        table = self._graph(graph)._tab
        outputs = [self._graph(graph).Outputs(i) for i in range(len(graph.outputs))]
        places = [i for i, index in enumerate(outputs) if index in node.outputs]
        ordered = sorted((outputs[i] for i in places), key=node.outputs.index)
        start = table.Vector(table.Offset(_slot(_SUBGRAPH_OUTPUTS)))
        for place, index in zip(places, ordered, strict=True):
            struct.pack_into("<i", self.data, start + 4 * place, index)

    def _graph(self, graph: Subgraph) -> Any:
        return schema.Model.GetRootAs(self.data, 0).Subgraphs(graph.index)

    def _redirect(self, table: Any, field: int, count: int, content: bytes) -> None:
        """Turns a vector field to a new vector of `count` elements at the end of the file."""
        offset = table._tab.Offset(_slot(field))
        if not offset:
            return
        # The elements, not the count in front of them, are aligned.
        self.data += bytes(-(len(self.data) + 4) % _ALIGNMENT)
        position = table._tab.Pos + offset
        struct.pack_into("<I", self.data, position, len(self.data) - position)
        self.data += struct.pack("<I", count) + content


def _slot(field: int) -> int:
    """Where a field's entry is in a FlatBuffers vtable, behind two sizes of two bytes."""
    return 4 + 2 * field
