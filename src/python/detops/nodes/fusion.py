# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Which nodes in front of the op the delegate will take in, foretold from the graph.

A value that something else needs has to exist, so its node stays: one with another reader, one that
is an output of the graph, and one that ends up in another partition than the op. The last is up to
the runtime, which lets a run of claimed nodes start as early as it can: a DEQUANTIZE of constants
goes in front of the whole network. Source: PartitionGraphIntoIndependentNodeSubsets of TFLite.
"""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from detops.model_file import Operator, Subgraph

Traces = Mapping[int, Sequence[Operator]]
"""By input tensor of the op: the DEQUANTIZE, or that and the RESHAPE, in front of it."""


# As many as the delegate tries before it fuses nothing.
_MAX_ROUNDS = 8
STUCK = -1
"""In place of a partition: the node can never run, since it waits for what comes of its own
outputs."""


class GraphUses:
    """Who reads and writes the tensors of a graph, looked up rather than searched for."""

    def __init__(self, graph: Subgraph) -> None:
        self.graph = graph
        self.outputs: dict[int, int] = {}
        """The first place of each tensor among the outputs of the graph."""
        for place, tensor in enumerate(graph.outputs):
            self.outputs.setdefault(tensor, place)
        self.readers: dict[int, list[Operator]] = defaultdict(list)
        self.producers: dict[int, Operator] = {}
        for op in graph.operators:
            for tensor in op.inputs:
                self.readers[tensor].append(op)
            for tensor in op.outputs:
                if tensor >= 0:
                    self.producers[tensor] = op

    def stuck_node(self) -> Operator | None:
        """The first node that can never run, on which a runtime may crash; None in sound graphs."""
        partition = self.partitions(set())
        return next((op for op in self.graph.operators if partition[op.index] == STUCK), None)

    def partitions(self, claimed: set[int]) -> list[int]:
        """The number of each node's partition, all of a partition's nodes being claimed or none.

        A partition takes every node of its kind that can run after the ones before it. Nodes that
        can never run, in a malformed graph, have `STUCK`.
        """
        operators = self.graph.operators
        waits_for = [sum(t in self.producers for t in op.inputs) for op in operators]
        # What can run now, of either kind; the smallest begins a partition.
        ready: dict[bool, list[int]] = {False: [], True: []}
        for op in operators:
            if waits_for[op.index] == 0:
                ready[op.index in claimed].append(op.index)
        partition, written, number = [STUCK] * len(operators), set[int](), 0
        while ready[False] or ready[True]:
            first = min(heap[0] for heap in ready.values() if heap)
            kind = first in claimed
            while ready[kind]:
                op = operators[heapq.heappop(ready[kind])]
                partition[op.index] = number
                for tensor in op.outputs:
                    if tensor < 0 or tensor in written:
                        continue
                    written.add(tensor)
                    for reader in self.readers[tensor]:
                        waits_for[reader.index] -= 1
                        if waits_for[reader.index] == 0:
                            heapq.heappush(ready[reader.index in claimed], reader.index)
            number += 1
        return partition


def fused_tensors(
    uses: GraphUses, ops: Sequence[Operator], num_inputs: int, traces: Traces
) -> set[int]:
    """The input tensors of the op whose traces disappear into it.

    Args:
      uses: of the tensors of the graph.
      ops: its post-processing nodes.
      num_inputs: how many inputs of those count.
      traces: what may be fused; tensors without a trace are absent.
    """
    if not traces:
        return set()
    op_uses = Counter(t for op in ops for t in op.inputs[:num_inputs])
    fused = {
        tensor for tensor, trace in traces.items() if _is_private(uses, tensor, trace, op_uses)
    }
    for _ in range(_MAX_ROUNDS):
        claimed = {op.index for op in ops} | {op.index for t in fused for op in traces[t]}
        partition = uses.partitions(claimed)
        split = {
            tensor
            for op in ops
            for tensor in fused.intersection(op.inputs[:num_inputs])
            if _leaves(uses, traces[tensor], partition[op.index], partition)
        }
        if not split:
            return fused
        fused -= split
    return set()


def _is_private(
    uses: GraphUses, tensor: int, trace: Sequence[Operator], op_uses: Counter[int]
) -> bool:
    inner = [op.outputs[0] for op in trace[:-1]]
    return len(uses.readers[tensor]) == op_uses[tensor] and all(
        len(uses.readers[value]) == 1 for value in inner
    )


def _leaves(
    uses: GraphUses, trace: Sequence[Operator], place: int, partition: Sequence[int]
) -> bool:
    """Whether a value of the trace is computed, or needed, outside the op's partition."""
    values = {op.outputs[0] for op in trace}
    if any(partition[op.index] != place for op in trace) or any(
        value in uses.outputs for value in values
    ):
        return True
    return any(
        partition[reader.index] != place for value in values for reader in uses.readers[value]
    )
