# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Real models with changes that any bytes stand for.

The packaged detector, and those of DETOPS_DATA where it is set. Bytes are changed anywhere; or the
post-processing node is wired, typed, quantised and configured anew, which leaves the network in
front as it was, so that a runtime may run it: what it makes of a broken network is not ours.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np

import detops
from model_builder import CUSTOM_CODE, schema

_ODD_NUMBERS = (0, 1, -1, 2, 3, 4, 127, 2**15, 2**31 - 1, -(2**31))
_ODD_ZERO_POINTS = (0, -128, 255, 2**31 - 1, 2**31, -(2**63))
_ODD_SCALES = (0.0, -1.0, 1e-45, 1e-3, 1.0, 3.4e38, np.inf, np.nan)


class Draws:
    """Decisions that bytes stand for; 0 when they are used up."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def __bool__(self) -> bool:
        return self._at < len(self._data)

    def below(self, limit: int) -> int:
        size = 1 if limit <= 256 else 4
        part = self._data[self._at : self._at + size]
        self._at += size
        return int.from_bytes(part, "little") % limit

    def one_of(self, values: Sequence[Any]) -> Any:
        return values[self.below(len(values))]


@functools.cache
def real_models() -> tuple[bytes, ...]:
    """The models, the packaged one first."""
    paths = [Path(str(detops.__file__)).parent / "models" / "pet_faces.tflite"]
    if "DETOPS_DATA" in os.environ:
        paths += sorted((Path(os.environ["DETOPS_DATA"]) / "models").glob("*.tflite"))
    return tuple(path.read_bytes() for path in paths)


def mutated(draws: Draws) -> tuple[bytes, bool]:
    """A model with changes, and whether the network in it is as it was."""
    content = draws.one_of(real_models())
    if draws.below(3) == 0:
        return _with_other_bytes(content, draws), False
    return _with_another_node(content, draws), True


def _with_other_bytes(content: bytes, draws: Draws) -> bytes:
    data = bytearray(content)
    if draws.below(8) == 0:
        del data[draws.below(len(data) + 1) :]
    while draws and data:
        # Tables are at both ends, weights between.
        near = draws.below(4096)
        place = draws.one_of([near, len(data) - 1 - near, draws.below(len(data))])
        data[place % len(data)] = draws.below(256)
    return bytes(data)


def _with_another_node(content: bytes, draws: Draws) -> bytes:
    model = schema.ModelT.InitFromPackedBuf(content)
    graph = model.subgraphs[0]
    node = next(op for op in graph.operators if _is_postprocess(model, op))
    while draws:
        draws.one_of(_CHANGES)(model, graph, node, draws)
    builder = flatbuffers.Builder(len(content))
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def _is_postprocess(model: Any, op: Any) -> bool:
    return bool(model.operatorCodes[op.opcodeIndex].customCode == CUSTOM_CODE.encode())


def _rewire(model: Any, graph: Any, node: Any, draws: Draws) -> None:
    field = draws.one_of(("inputs", "outputs"))
    tensors = np.array(getattr(node, field), np.int32)
    if len(tensors):
        tensors[draws.below(len(tensors))] = draws.below(len(graph.tensors) + 1) - 1
    setattr(node, field, tensors)


def _count(model: Any, graph: Any, node: Any, draws: Draws) -> None:
    field = draws.one_of(("inputs", "outputs"))
    tensors = np.resize(getattr(node, field), draws.below(7))
    setattr(node, field, tensors.astype(np.int32))


def _outputs_of_the_graph(model: Any, graph: Any, node: Any, draws: Draws) -> None:
    outputs = np.array(graph.outputs, np.int32)
    if len(outputs):
        outputs[draws.below(len(outputs))] = draws.below(len(graph.tensors))
    graph.outputs = outputs[: draws.below(len(outputs) + 1) or None]


def _block(model: Any, graph: Any, node: Any, draws: Draws) -> None:
    block = np.array([] if node.customOptions is None else node.customOptions, np.uint8)
    if len(block):
        block[draws.below(len(block))] = draws.below(256)
    node.customOptions = block[: draws.below(len(block) + 1) or None]


def _own_tensor(graph: Any, node: Any, draws: Draws) -> Any:
    """An output of the node, or its anchors: nothing of the network."""
    own = [*np.array(node.outputs).tolist(), *np.array(node.inputs).tolist()[2:3]]
    own = [index for index in own if index >= 0]
    return graph.tensors[draws.one_of(own)] if own else None


def _tensor(model: Any, graph: Any, node: Any, draws: Draws) -> None:
    tensor = _own_tensor(graph, node, draws)
    if tensor is None:
        return
    what = draws.below(4)
    if what == 0:
        tensor.type = draws.below(20)
    elif what == 1:
        sides = [draws.one_of(_ODD_NUMBERS) for _ in range(draws.below(6))]
        tensor.shape = np.array(sides, np.int32)
    elif what == 2:
        tensor.buffer = draws.below(len(model.buffers))
    else:
        tensor.quantization = schema.QuantizationParametersT()
        scales = [draws.one_of(_ODD_SCALES) for _ in range(draws.below(4))]
        zero_points = [draws.one_of(_ODD_ZERO_POINTS) for _ in range(draws.below(4))]
        tensor.quantization.scale = np.array(scales, np.float32)
        tensor.quantization.zeroPoint = np.array(zero_points, np.int64)
        tensor.quantization.quantizedDimension = draws.one_of(_ODD_NUMBERS)


_CHANGES: tuple[Callable[[Any, Any, Any, Draws], None], ...] = (
    _rewire,
    _count,
    _outputs_of_the_graph,
    _block,
    _tensor,
)


def seeds() -> list[bytes]:
    """Each kind of change alone, on the first model."""
    kinds = [bytes([0, 1, kind, 1, 2, 3, 4, 5, 6, 7]) for kind in range(len(_CHANGES))]
    return [bytes([0, 1]), bytes([0, 0, 1, *range(40)]), *kinds]
