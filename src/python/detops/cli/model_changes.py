# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""What differs between two models, in words."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from detops.cli.describe import quantity, tensor_text
from detops.labels import labels_in_model
from detops.model_file import ModelFile
from detops.nodes.facts import OUTPUT_ROLES, NodeFacts, read_nodes

ABSENT = "none"


@dataclass(frozen=True)
class Change:
    """One thing, before and after."""

    what: str
    before: str
    after: str


def changes_between(before: Path, after: Path) -> list[Change]:
    """The facts that differ: sizes, nodes, the op's inputs, options and outputs, metadata."""
    old, new = _facts(before), _facts(after)
    return [
        Change(what, old.get(what, ABSENT), new.get(what, ABSENT))
        for what in {**old, **new}
        if old.get(what, ABSENT) != new.get(what, ABSENT)
    ]


def _facts(path: Path) -> dict[str, str]:
    model = ModelFile.read(path)
    operators = [op for graph in model.subgraphs for op in graph.operators]
    facts = {
        "bytes": f"{path.stat().st_size:,}",
        "nodes": f"{len(operators):,}",
        "tensors": f"{sum(len(graph.tensors) for graph in model.subgraphs):,}",
    }
    for graph in model.subgraphs[:1]:
        names = [graph.tensors[index].name for index in graph.outputs]
        facts["outputs"] = ", ".join(names)
    for number, node in enumerate(read_nodes(model)):
        facts.update(_node_facts(node, f" {number}" if number else ""))
    facts["metadata"] = ", ".join(model.metadata_names) or ABSENT
    facts["labels"] = _packed_labels(path)
    return facts


def _packed_labels(path: Path) -> str:
    try:
        return quantity(len(labels_in_model(path) or ()), "packed label")
    except ValueError as error:
        return f"unreadable: {error}"


def _node_facts(node: NodeFacts, suffix: str) -> dict[str, str]:
    facts = {f"op{suffix} {role}": tensor_text(item.tensor) for role, item in node.inputs.items()}
    for name, value in node.options.items():
        # The op's floats have 32 bits: 0.6 and not 0.600000024.
        text = str(np.float32(value)) if isinstance(value, float) else str(value).lower()
        facts[f"op{suffix} {name}"] = text
    for role, index in zip(OUTPUT_ROLES, node.operator.outputs, strict=False):
        if index >= 0:
            facts[f"op{suffix} output {role}"] = tensor_text(node.graph.tensors[index])
    return facts
