# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Which nodes in front of the op the delegate will take in, foretold from the graph.

A value that something else needs has to exist, so its node stays: one with another reader, one that
is an output of the graph, and one that ends up in another partition than the op. The last is up to
the runtime, which lets a run of claimed nodes start as early as it can: a DEQUANTIZE of constants
goes in front of the whole network. Source: PartitionGraphIntoIndependentNodeSubsets of TFLite.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from detops.model_file import Operator, Subgraph

Traces = Mapping[int, Sequence[Operator]]
"""By input tensor of the op: the DEQUANTIZE, or that and the RESHAPE, in front of it."""


def fused_tensors(
    graph: Subgraph, ops: Sequence[Operator], num_inputs: int, traces: Traces
) -> set[int]:
    """The input tensors of the op whose traces disappear into it.

    Args:
      graph: the graph.
      ops: its post-processing nodes.
      num_inputs: how many inputs of those count.
      traces: what may be fused; tensors without a trace are absent.
    """
    if not traces:
        return set()
    uses = Counter(t for op in graph.operators for t in op.inputs)
    op_uses = Counter(t for op in ops for t in op.inputs[:num_inputs])
    fused = {
        tensor for tensor, trace in traces.items() if _is_private(tensor, trace, uses, op_uses)
    }
    while True:
        claimed = {op.index for op in ops} | {op.index for t in fused for op in traces[t]}
        partition = _partitions(graph, claimed)
        split = {
            tensor
            for op in ops
            for tensor in fused.intersection(op.inputs[:num_inputs])
            if _leaves(graph, traces[tensor], partition[op.index], partition)
        }
        if not split:
            return fused
        fused -= split


def _is_private(
    tensor: int, trace: Sequence[Operator], uses: Counter[int], op_uses: Counter[int]
) -> bool:
    inner = [op.outputs[0] for op in trace[:-1]]
    return uses[tensor] == op_uses[tensor] and all(uses[value] == 1 for value in inner)


def _leaves(
    graph: Subgraph, trace: Sequence[Operator], place: int, partition: Sequence[int]
) -> bool:
    """Whether a value of the trace is computed, or needed, outside the op's partition."""
    values = {op.outputs[0] for op in trace}
    if any(partition[op.index] != place for op in trace) or values.intersection(graph.outputs):
        return True
    readers = (op.index for op in graph.operators if values.intersection(op.inputs))
    return any(partition[reader] != place for reader in readers)


def _partitions(graph: Subgraph, claimed: set[int]) -> list[int]:
    """The number of each node's partition, all of a partition's nodes being claimed or none.

    A partition takes every node of its kind that can run after the ones before it. Nodes that can
    never run, in a malformed graph, have -1.
    """
    waiting = {t for op in graph.operators for t in op.outputs if t >= 0}
    partition = [-1] * len(graph.operators)
    left, number = list(graph.operators), 0
    while True:
        kind: bool | None = None
        before = -1
        while before != len(left):
            before, later = len(left), []
            for op in left:
                if waiting.intersection(op.inputs) or kind not in (None, op.index in claimed):
                    later.append(op)
                    continue
                kind = op.index in claimed
                partition[op.index] = number
                waiting.difference_update(op.outputs)
            left = later
        if kind is None:
            return partition
        number += 1
