# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""A model may keep some of the op's outputs to itself; the runtime gives those no memory.

Another node may read them nevertheless.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from flatbuffers import flexbuffers

import detops
import stock
from colour_model import ColourModel
from model_builder import OUTPUT_NAMES, GraphWriter, default_options, run, schema


@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_any_choice_of_outputs_in_any_order_equals_all_four(runtime: str, size: int) -> None:
    picture = np.random.default_rng(size).integers(0, 255, (1, 2, 2, 3), np.uint8)
    full = _run(ColourModel(), runtime, picture)
    for order in itertools.permutations(range(4), size):
        found = _run(ColourModel(output_order=order), runtime, picture)
        for got, index in zip(found, order, strict=True):
            np.testing.assert_array_equal(got, full[index])


def _run(model: ColourModel, runtime: str, picture: np.ndarray) -> list[np.ndarray]:
    interpreter = detops.Interpreter(model_content=model.build(), runtime=runtime)
    interpreter.allocate_tensors()
    entrance = interpreter.get_input_details()[0]
    values = np.resize(picture, entrance["shape"]).astype(entrance["dtype"])
    interpreter.set_tensor(entrance["index"], values)
    interpreter.invoke()
    return [interpreter.get_tensor(d["index"]) for d in interpreter.get_output_details()]


ROWS, SLOTS = 20, 10
FLOAT = np.dtype(np.float32)


@pytest.mark.parametrize("after", [False, True])
def test_a_node_that_reads_what_another_gives(runtime: str, after: bool) -> None:
    """Not where the tensor lay while the stock op ran: others may have that memory now."""
    content = _two_nodes_in_a_row()
    plain = stock.make(runtime, content)
    ours = stock.make(runtime, content)
    if after:
        run(ours, _inputs(0, ROWS))
    assert detops.register_ops(ours).nodes == 2
    for seed, rows in enumerate((ROWS, 50_000)):
        for interpreter in (plain, ours):
            for detail in interpreter.get_input_details()[:3]:
                shape = [rows if size in (ROWS, 50_000) else size for size in detail["shape"]]
                interpreter.resize_tensor_input(detail["index"], shape)
        expected, found = (run(each, _inputs(seed, rows)) for each in (plain, ours))
        for name in expected:
            assert found[name].tobytes() == expected[name].tobytes(), (rows, name)


def _two_nodes_in_a_row() -> bytes:
    """The second takes its boxes from the first, whose outputs are none of the graph."""
    writer = GraphWriter()
    inputs = [writer.tensor(f"in_{i}", shape, FLOAT) for i, shape in enumerate(_shapes(ROWS))]
    first = _write_node(writer, inputs[:3], "_1")
    second = _write_node(writer, [first[0], *inputs[3:]], "")
    return writer.finish(inputs, second)


def _shapes(rows: int) -> list[tuple[int, ...]]:
    return [(1, rows, 4), (1, rows, 2), (rows, 4), (1, SLOTS, 2), (SLOTS, 4)]


def _inputs(seed: int, rows: int) -> list[np.ndarray[Any, Any]]:
    rng = np.random.default_rng(seed)
    return [rng.random(shape, np.float32) for shape in _shapes(rows)]


def _write_node(writer: GraphWriter, inputs: list[int], suffix: str) -> list[int]:
    shapes = ((1, SLOTS, 4), (1, SLOTS), (1, SLOTS), (1,))
    named = zip(OUTPUT_NAMES, shapes, strict=True)
    outputs = [writer.tensor(f"{name}{suffix}", shape, FLOAT) for name, shape in named]
    custom = schema.BuiltinOperator.CUSTOM
    node = writer.operator(custom, inputs, outputs, custom_code="TFLite_Detection_PostProcess")
    # Stock fills all slots in this mode alone.
    options = default_options(1, max_detections=SLOTS, use_regular_nms=True)
    node.customOptions = np.frombuffer(bytes(flexbuffers.Dumps(options)), np.uint8)
    return outputs
