# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""`detops inspect`: what a file says about its post-processing nodes. Needs no runtime."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from detops.cli import arguments
from detops.cli.describe import (
    anchors_text,
    classes_text,
    feed_text,
    quantity,
    reading_place,
    tensor_text,
)
from detops.cli.json_output import print_document
from detops.cli.table import column_widths, format_row, printable
from detops.cli.trial import registration_of
from detops.labels import labels_in_model
from detops.model_file import ModelFile, Tensor
from detops.nodes.facts import OUTPUT_ROLES, NodeFacts, NodeInput, read_nodes
from detops.options import OP_NAME


def add_command(commands: Any) -> None:
    """Adds the command to the parser."""
    parser = arguments.new_command(
        commands,
        "inspect",
        summary="show what a model's post-processing is",
        description="Prints the inputs, anchors, classes, options and outputs of each\n"
        f"{OP_NAME} node, and what detops would fuse into it.\n"
        "Needs no runtime, and reads malformed models as far as they can be read.",
        example="detops inspect model.tflite",
    )
    arguments.add_runtime(parser, "also register detops there, and show what it really fuses")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Runs the command."""
    model = ModelFile.read(args.model)
    nodes = read_nodes(model)
    registered = None
    if args.runtime is not None:
        registered = registration_of(args.model, args.runtime)
    document = {
        **_model_document(args.model, model),
        "nodes": [_node_document(node) for node in nodes],
        "registered": registered,
    }
    if args.json:
        print_document("inspect", document)
        return 0
    _print_model(document, model)
    for node in nodes:
        _print_node(node)
    if not nodes:
        print(f"\nno {OP_NAME} node")
    if registered is not None:
        print(f"\n{args.runtime}: {registered}")
    return 0


# ---------------------------------------------------------------------------------------------
# The document
# ---------------------------------------------------------------------------------------------


def _model_document(path: str, model: ModelFile) -> dict[str, Any]:
    main = model.subgraphs[0] if model.subgraphs else None
    packed, damage = _packed_labels(path)
    return {
        "model": path,
        "bytes": Path(path).stat().st_size,
        "schema_version": model.version,
        "description": model.description,
        "subgraphs": len(model.subgraphs),
        "operators": sum(len(graph.operators) for graph in model.subgraphs),
        "metadata": model.metadata_names,
        "labels_packed": packed,
        "labels_error": damage,
        "inputs": [_tensor_document(main.tensors[i]) for i in main.inputs] if main else [],
        "outputs": [_tensor_document(main.tensors[i]) for i in main.outputs] if main else [],
    }


def _packed_labels(path: str) -> tuple[int, str | None]:
    try:
        return len(labels_in_model(path) or ()), None
    except ValueError as error:
        return 0, str(error)


def _node_document(node: NodeFacts) -> dict[str, Any]:
    return {
        "subgraph": node.graph.index,
        "node": node.operator.index,
        "of_nodes": len(node.graph.operators),
        "inputs": {role: _input_document(item) for role, item in node.inputs.items()},
        "anchors": _anchors_document(node.inputs.get("anchors")),
        "num_classes": node.options["num_classes"],
        "background_column": node.background(),
        "options": node.options,
        "absent_options": node.absent,
        "unused_options": node.unused_keys,
        "option_faults": [message for _, message in node.option_faults],
        "outputs": [
            {
                "role": role,
                "tensor": _tensor_document(node.graph.tensors[index]) if index >= 0 else None,
                "graph_output": _position(node, index),
            }
            for role, index in zip(OUTPUT_ROLES, node.operator.outputs, strict=False)
        ],
        "fuses": node.fused,
    }


def _input_document(item: NodeInput) -> dict[str, Any]:
    return {
        "tensor": _tensor_document(item.tensor),
        "from": feed_text(item),
        "read_by_detops": _tensor_document(item.source),
        "fused": [op.name for op in item.traced] if item.fused else [],
    }


def _anchors_document(item: NodeInput | None) -> dict[str, Any] | None:
    if item is None:
        return None
    values = item.real_constant()
    document: dict[str, Any] = {"constant": item.constant() is not None}
    if values is not None and values.ndim == 2:
        document["count"] = values.shape[0]
        if values.size and values.shape[1] == 4:
            document["min"] = np.min(values, axis=0).tolist()
            document["max"] = np.max(values, axis=0).tolist()
    return document


def _tensor_document(tensor: Tensor) -> dict[str, Any]:
    quantization = tensor.quantization
    return {
        "index": tensor.index,
        "name": tensor.name,
        "dtype": tensor.dtype,
        "shape": tensor.shape,
        "shape_signature": tensor.shape_signature,
        "quantization": None
        if quantization is None
        else {
            "scales": quantization.scales,
            "zero_points": quantization.zero_points,
            "axis": quantization.axis,
        },
    }


def _position(node: NodeFacts, tensor: int) -> int | None:
    return node.uses.outputs.get(tensor)


# ---------------------------------------------------------------------------------------------
# The text
# ---------------------------------------------------------------------------------------------


def _print_model(document: dict[str, Any], model: ModelFile) -> None:
    labels = f"{document['labels_packed']} packed" if document["labels_packed"] else "not packed"
    if document["labels_error"] is not None:
        labels = f"unreadable: {document['labels_error']}"
    rows = [
        ["size", f"{document['bytes']:,} bytes"],
        ["schema", f"version {model.version}"],
        ["description", model.description or "none"],
        [
            "graph",
            quantity(document["operators"], "node")
            + f" in {quantity(len(model.subgraphs), 'subgraph')}",
        ],
        ["metadata", ", ".join(model.metadata_names) or "none"],
        ["labels", labels],
    ]
    for graph in model.subgraphs[:1]:
        for number, index in enumerate(graph.inputs):
            rows.append([f"input {number}", tensor_text(graph.tensors[index])])
    print(printable(document["model"]))
    _print_rows(rows)


def _print_node(node: NodeFacts) -> None:
    print(f"\n{OP_NAME}, {node.place} of {len(node.graph.operators)}")
    rows = []
    for item in node.inputs.values():
        rows.append([item.role, tensor_text(item.tensor)])
        rows.append(["", feed_text(item)])
    rows.append(["anchors are", anchors_text(node.inputs.get("anchors"))])
    rows.append(["classes", classes_text(node)])
    rows.append(["detops fuses", ", ".join(node.fused) or "nothing"])
    _print_rows(rows)
    print("  options")
    for _, message in node.option_faults:
        print(f"    ! {printable(message)}")
    _print_rows([[name, *_option_cells(node, name)] for name in node.options], indent=4)
    if node.unused_keys:
        print(f"    not read by the op: {printable(', '.join(node.unused_keys))}")
    print("  outputs")
    _print_rows([_output_cells(node, i) for i in range(len(node.operator.outputs))], indent=4)


def _option_cells(node: NodeFacts, name: str) -> tuple[str, str]:
    value = node.options[name]
    # The op's floats have 32 bits: 0.6 and not 0.600000024.
    text = str(np.float32(value)) if isinstance(value, float) else str(value).lower()
    return text, "absent" if name in node.absent else ""


def _output_cells(node: NodeFacts, number: int) -> list[str]:
    role = OUTPUT_ROLES[number] if number < len(OUTPUT_ROLES) else f"extra {number}"
    index = node.operator.outputs[number]
    if index < 0:
        return [role, "missing", ""]
    position = _position(node, index)
    where = f"output {position} of the graph"
    if position is None:
        where = reading_place(node.uses, index)
    return [role, tensor_text(node.graph.tensors[index]), where]


def _print_rows(rows: list[list[str]], indent: int = 2) -> None:
    if not rows:
        return
    cells = [[printable(cell) for cell in row] for row in rows]
    widths = column_widths(*cells)
    for row in cells:
        print(" " * indent + format_row(row, widths))
