# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""What a file says about a post-processing node: its inputs, what feeds them, its options.

Reads the graph as the delegate does: through a RESHAPE of constant shape up to a DEQUANTIZE of an
8-bit tensor.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detops import _core
from detops.model_file import ModelFile, ModelFileError, Operator, Subgraph, Tensor
from detops.nodes.fusion import GraphUses, fused_tensors
from detops.nodes.option_block import option_keys
from detops.options import OP_NAME

INPUT_ROLES = ("box_encodings", "scores", "anchors")
OUTPUT_ROLES = ("boxes", "classes", "scores", "num_detections")
SUPPORTED_TYPES = ("float32", "uint8", "int8")
_UNKNOWN = -1


@dataclass(frozen=True, eq=False)
class NodeInput:
    """One of the op's three inputs."""

    role: str
    tensor: Tensor
    """The op's own input."""
    source: Tensor
    """What detops reads: the 8-bit tensor in front of what it fuses, else `tensor`."""
    shape: tuple[int, ...] | None
    """As detops sees it; -1 where only run time knows, None where even the rank is unknown."""
    traced: tuple[Operator, ...]
    """DEQUANTIZE, or DEQUANTIZE and RESHAPE, between an 8-bit tensor and the op."""
    quantized: Tensor
    """The tensor in front of `traced`; `tensor` itself without."""
    fused: bool
    """detops takes `traced` in."""
    producer: Operator | None
    """The node that writes `tensor`."""

    def constant(self) -> NDArray[Any] | None:
        """The value in the file, of `source`; None where there is none or it is malformed."""
        try:
            return self.source.constant()
        except ModelFileError:
            return None

    def real_constant(self) -> NDArray[np.float64] | None:
        """The constant as real numbers."""
        value = self.constant()
        if value is None or self.source.dtype not in SUPPORTED_TYPES:
            return None
        # Files may hold any numbers; a NaN is no reason to warn.
        with np.errstate(all="ignore"):
            if self.source.dtype == "float32":
                return value.astype(np.float64)
            quantization = self.source.quantization
            if quantization is None or len(quantization.scales) != 1:
                return None
            zero_point = (*quantization.zero_points, 0)[0]
            return (value.astype(np.float64) - zero_point) * quantization.scales[0]


@dataclass(frozen=True, eq=False)
class NodeFacts:
    """One post-processing node."""

    graph: Subgraph
    uses: GraphUses
    """Of the graph's tensors."""
    stuck: Operator | None
    """The first node of the graph that waits for its own result, if any."""
    operator: Operator
    inputs: dict[str, NodeInput]
    """By role; one that the node does not have is absent."""
    options: dict[str, Any]
    """With the op's values for absent keys."""
    option_faults: tuple[tuple[str, str], ...]
    absent: tuple[str, ...]
    """Options without a key in the file."""
    unused_keys: tuple[str, ...]
    """Keys in the file that the op does not read."""

    @property
    def place(self) -> str:
        """For instance "node 63", with the subgraph unless it is the main one."""
        where = f"node {self.operator.index}"
        return where if self.graph.index == 0 else f"{where} of subgraph {self.graph.index}"

    @property
    def fused(self) -> tuple[str, ...]:
        """The names of the nodes that detops takes in."""
        taken = {op.index: op.name for i in self.inputs.values() if i.fused for op in i.traced}
        return tuple(sorted(taken.values()))

    def background(self) -> bool | None:
        """Whether scores has a background column; None where the file does not say or fit."""
        scores = self.inputs.get("scores")
        if scores is None or scores.shape is None or len(scores.shape) != 3:
            return None
        if scores.shape[2] == _UNKNOWN:
            return None
        return {0: False, 1: True}.get(scores.shape[2] - int(self.options["num_classes"]))


def read_nodes(model: ModelFile) -> list[NodeFacts]:
    """The facts of every post-processing node of a file."""
    nodes = model.postprocess_operators()
    graphs = {graph.index: graph for graph, _ in nodes}
    readers = {index: _GraphReader(graph) for index, graph in graphs.items()}
    return [_read_node(readers[graph.index], graph, operator) for graph, operator in nodes]


def _read_node(reader: _GraphReader, graph: Subgraph, operator: Operator) -> NodeFacts:
    block = operator.custom_options or b""
    options, faults = _core.read_options(block)
    keys = [] if any(name == "option_block" for name, _ in faults) else option_keys(block)
    return NodeFacts(
        graph=graph,
        uses=reader.uses,
        stuck=reader.stuck,
        operator=operator,
        inputs={
            role: reader.input(role, index)
            for role, index in zip(INPUT_ROLES, operator.inputs, strict=False)
            if index >= 0
        },
        options=options,
        option_faults=tuple(faults),
        absent=tuple(name for name in options if name not in keys),
        unused_keys=tuple(key for key in keys if key not in options),
    )


class _GraphReader:
    def __init__(self, graph: Subgraph) -> None:
        self._graph = graph
        self.uses = GraphUses(graph)
        self.stuck = self.uses.stuck_node()
        ops = [op for op in graph.operators if op.is_custom and op.name == OP_NAME]
        tensors = {t for op in ops for t in op.inputs[: len(INPUT_ROLES)] if t >= 0}
        traces = {t: self._trace(graph.tensors[t])[0] for t in tensors}
        traces = {t: trace for t, trace in traces.items() if trace}
        self._fused = fused_tensors(self.uses, ops, len(INPUT_ROLES), traces)

    def input(self, role: str, index: int) -> NodeInput:
        tensor = self._graph.tensors[index]
        traced, quantized, wanted = self._trace(tensor)
        fused = index in self._fused
        source = quantized if fused else tensor
        shape = self._shape(source)
        if fused and wanted is not None:
            shape = _reshaped(shape, wanted)
        return NodeInput(
            role=role,
            tensor=tensor,
            source=source,
            shape=shape,
            traced=traced,
            quantized=quantized,
            fused=fused,
            producer=self.uses.producers.get(index),
        )

    def _trace(self, tensor: Tensor) -> tuple[tuple[Operator, ...], Tensor, list[int] | None]:
        """The nodes up to an 8-bit tensor, that tensor, and the shape of a RESHAPE between."""
        dequantized, wanted = tensor, None
        reshape = self._builtin_before(tensor.index, "RESHAPE", 2)
        if reshape is not None:
            wanted = _constant_shape(self._graph.tensors[reshape.inputs[1]])
            if wanted is None:
                return (), tensor, None
            dequantized = self._graph.tensors[reshape.inputs[0]]
        dequantize = self._builtin_before(dequantized.index, "DEQUANTIZE", 1)
        if dequantize is None:
            return (), tensor, None
        source = self._graph.tensors[dequantize.inputs[0]]
        scales = () if source.quantization is None else source.quantization.scales
        if source.dtype not in ("uint8", "int8") or len(scales) > 1:
            return (), tensor, None
        return ((dequantize, reshape) if reshape else (dequantize,)), source, wanted

    def _builtin_before(self, index: int, name: str, num_inputs: int) -> Operator | None:
        op = self.uses.producers.get(index)
        if op is None or op.is_custom or op.name != name or len(op.outputs) != 1:
            return None
        return op if len(op.inputs) == num_inputs and min(op.inputs) >= 0 else None

    def _shape(self, tensor: Tensor) -> tuple[int, ...] | None:
        # Converters write [] for results whose rank they do not know.
        if not tensor.shape_signature and tensor.index in self.uses.producers:
            return None
        return tensor.shape_signature


def _constant_shape(tensor: Tensor) -> list[int] | None:
    if tensor.dtype != "int32" or len(tensor.shape) != 1:
        return None
    try:
        value = tensor.constant()
    except ModelFileError:
        return None
    return None if value is None else [int(side) for side in value]


def _reshaped(shape: tuple[int, ...] | None, wanted: list[int]) -> tuple[int, ...]:
    if -1 not in wanted or shape is None or min(shape, default=0) < 0:
        return tuple(wanted)
    known = math.prod(side for side in wanted if side != -1)
    inferred = math.prod(shape) // known if known else 0
    return tuple(inferred if side == -1 else side for side in wanted)
