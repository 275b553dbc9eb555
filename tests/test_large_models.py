# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Models of thousands of nodes: the work is in proportion to them, however they are wired."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pytest
from flatbuffers import flexbuffers

import detops
from detops import convert
from detops.cli import main
from detops.interpreter import runtime_module
from detops.model_file import ModelFile, Operator, Subgraph
from detops.nodes.facts import read_nodes
from detops.nodes.faults import find_faults
from detops.nodes.fusion import STUCK, GraphUses
from model_builder import CUSTOM_CODE, OUTPUT_NAMES, GraphWriter, default_options, schema

FLOAT = np.dtype(np.float32)
SHAPES = ((1, 10, 4), (1, 10), (1, 10), (1,))
LINEAR = 6
"""What four times the nodes may cost: quadratic work is sixteen times as much."""


class _Writer(GraphWriter):
    """One operator code for all operators of a kind."""

    def __init__(self) -> None:
        super().__init__()
        self._codes: dict[tuple[int, int, str | None], int] = {}

    def operator(
        self,
        builtin: int,
        inputs: Any,
        outputs: Any,
        version: int = 1,
        custom_code: str | None = None,
    ) -> Any:
        operator = super().operator(builtin, inputs, outputs, version, custom_code)
        key = (builtin, version, custom_code)
        if key in self._codes:
            self.operator_codes.pop()
        operator.opcodeIndex = self._codes.setdefault(key, operator.opcodeIndex)
        return operator


def _model(chain: int, ops: int) -> bytes:
    """RELU nodes in a row, and as many ops behind them, each with a DEQUANTIZE of its own."""
    writer = _Writer()
    boxes = writer.tensor("boxes", (1, 6, 4), FLOAT)
    scores = writer.tensor("scores", (1, 6, 4), np.dtype(np.int8), (1 / 256, -128))
    anchors = np.full((6, 4), 0.5, np.float32)
    constant = writer.tensor("anchors", anchors.shape, FLOAT, data=anchors)
    block = np.frombuffer(bytes(flexbuffers.Dumps(default_options(3))), np.uint8)
    last, outputs = boxes, []
    for number in range(chain):
        following = writer.tensor(f"relu_{number}", (1, 6, 4), FLOAT)
        writer.operator(schema.BuiltinOperator.RELU, [last], [following])
        last = following
    for number in range(ops):
        floats = writer.tensor(f"scores_{number}", (1, 6, 4), FLOAT)
        writer.operator(schema.BuiltinOperator.DEQUANTIZE, [scores], [floats], 2)
        own = [
            writer.tensor(f"{name}_{number}", shape, FLOAT)
            for name, shape in zip(OUTPUT_NAMES, SHAPES, strict=True)
        ]
        inputs = [last, floats, constant]
        node = writer.operator(schema.BuiltinOperator.CUSTOM, inputs, own, custom_code=CUSTOM_CODE)
        node.customOptions = block
        outputs += own
    return writer.finish([boxes, scores], outputs)


def _lines(action: Callable[[], Any]) -> int:
    """How many lines of the package run: time without its noise."""
    count = 0

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal count
        if "detops" not in frame.f_code.co_filename:
            return None
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        action()
    finally:
        sys.settrace(before)
    return count


WORK: dict[str, Callable[[bytes], Any]] = {
    "faults": lambda model: [find_faults(node) for node in read_nodes(ModelFile.read(model))],
    "tidy": lambda model: convert.tidy(model, verify=False),
    "rewrite into uint8": lambda model: convert.rewrite_quantized(model, "uint8", verify=False),
    "rewrite into int8": lambda model: convert.rewrite_quantized(model, "int8", verify=False),
}


@pytest.mark.fault
@pytest.mark.parametrize("name", WORK)
@pytest.mark.parametrize("kind", ["ops", "other nodes"])
def test_work_in_proportion_to_the_nodes(name: str, kind: str) -> None:
    small, large = (_model(0, n) if kind == "ops" else _model(4 * n, 1) for n in (30, 120))
    assert _lines(lambda: WORK[name](large)) < LINEAR * _lines(lambda: WORK[name](small))


@pytest.mark.parametrize("command", ["inspect", "doctor"])
def test_commands_in_proportion_to_the_nodes(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    counts = []
    for ops in (20, 80):
        path = tmp_path / f"{ops}.tflite"
        path.write_bytes(_model(10, ops))
        counts.append(_lines(lambda path=path: main([command, str(path)])))  # type: ignore[misc]
    assert counts[1] < LINEAR * counts[0]


def test_the_delegate_takes_thousands_of_nodes(runtime: str) -> None:
    interpreter = runtime_module(runtime).Interpreter(model_content=_model(100, 2000))
    registered = detops.register_ops(interpreter)
    assert (registered.nodes, len(registered.fused)) == (2000, 2000)


# ---------------------------------------------------------------------------------------------
# The order in which nodes can run
# ---------------------------------------------------------------------------------------------


def _plain_partitions(graph: Subgraph, claimed: set[int]) -> list[int]:
    """As the runtimes do it: again and again over all nodes that are left."""
    waiting = {t for op in graph.operators for t in op.outputs if t >= 0}
    partition = [STUCK] * len(graph.operators)
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


def _random_graph(rng: np.random.Generator) -> Subgraph:
    count, tensors = int(rng.integers(1, 12)), int(rng.integers(2, 16))
    operators = tuple(
        Operator(
            index=index,
            name="X",
            is_custom=False,
            inputs=tuple(rng.integers(-1, tensors, rng.integers(0, 4)).tolist()),
            outputs=tuple(rng.integers(-1, tensors, rng.integers(0, 3)).tolist()),
            custom_options=None,
        )
        for index in range(count)
    )
    return Subgraph(0, "", (), operators, (), tuple(rng.integers(0, tensors, 2).tolist()))


def test_partitions_are_those_of_the_runtimes() -> None:
    rng = np.random.default_rng(0)
    stuck = 0
    for _ in range(3000):
        graph = _random_graph(rng)
        claimed = {op.index for op in graph.operators if rng.integers(2)}
        found = GraphUses(graph).partitions(claimed)
        assert found == _plain_partitions(graph, claimed), graph
        stuck += STUCK in found
    assert 100 < stuck < 2900
