# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""The op's node in a file: its option block, its outputs, and whether it is sound."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from detops.convert.model_edit import ModelEdit, indices
from detops.model_file import ModelFile
from detops.nodes.facts import read_nodes
from detops.nodes.faults import find_faults
from detops.options import OP_NAME, Options

OUTPUT_NAMES = ("detection_boxes", "detection_classes", "detection_scores", "num_detections")
_NUM_INPUTS = 3
_LARGEST_SIDE = (1 << 31) - 1


def option_values(options: Options) -> dict[str, Any]:
    """The options as plain numbers: NumPy's are unknown to flexbuffers."""
    types = {"int": int, "bool": bool, "float": float}
    return {
        field.name: types[str(field.type)](getattr(options, field.name))
        for field in dataclasses.fields(options)
    }


def block_of(node: Any) -> bytes:
    """The option block of a node."""
    return b"" if node.customOptions is None else bytes(bytearray(node.customOptions))


def nodes_of(edit: ModelEdit) -> list[tuple[Any, Any]]:
    """Every post-processing node with its graph.

    Raises:
      ValueError: there is none, or one with the wrong number of inputs or outputs.
    """
    nodes = edit.postprocess_nodes()
    if not nodes:
        raise ValueError(f"the model has no {OP_NAME} node, expected at least one")
    for _, node in nodes:
        counts = (len(indices(node.inputs)), len(indices(node.outputs)))
        if counts != (_NUM_INPUTS, len(OUTPUT_NAMES)) or min(_tensors(node)) < 0:
            raise ValueError(
                f"{OP_NAME} has {counts[0]} inputs and {counts[1]} outputs, expected 3 and 4, "
                "none of them missing"
            )
    return nodes


def _tensors(node: Any) -> list[int]:
    return [*indices(node.inputs), *indices(node.outputs)]


def only_node(edit: ModelEdit) -> tuple[Any, Any]:
    """The one post-processing node.

    Raises:
      ValueError: there are others.
    """
    nodes = nodes_of(edit)
    if len(nodes) != 1:
        raise ValueError(f"the model has {len(nodes)} {OP_NAME} nodes, expected one")
    return nodes[0]


def declare_output_shapes(graph: Any, node: Any, options: Options) -> bool:
    """Gives the outputs static shapes; False where the file does not say how large the batch is, or
    a shape would not fit in 32 bits."""
    shape = indices(graph.tensors[int(node.inputs[0])].shape)
    if len(shape) != 3 or shape[0] < 1:
        return False
    slots = options.max_detections * options.max_classes_per_detection
    batch = shape[0]
    if not 0 <= slots <= _LARGEST_SIDE:
        return False
    shapes = ([batch, slots, 4], [batch, slots], [batch, slots], [batch])
    for index, declared in zip(indices(node.outputs), shapes, strict=True):
        graph.tensors[index].shape = np.asarray(declared, np.int32)
        graph.tensors[index].shapeSignature = None
        graph.tensors[index].hasRank = True
    return True


def check_nodes(model: bytes) -> None:
    """Raises ValueError when detops would refuse a post-processing node of the file."""
    nodes = read_nodes(ModelFile.read(model))
    faults = [fault for node in nodes for fault in find_faults(node)]
    if faults:
        raise ValueError("; ".join(f"{fault.place}: {fault.text}" for fault in faults))
