# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""A detector small enough to know every answer: it finds pixels that are red, green or blue.

The network is one RESHAPE: each pixel of its input is an anchor, and its three channels are the
scores of three classes. Anchors are the cells of the pixel grid, so a box is a cell.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from flatbuffers import flexbuffers

from model_builder import CUSTOM_CODE, OUTPUT_NAMES, GraphWriter, default_options, schema

LABELS = ["red", "green", "blue"]
SIZE = (4, 6)
"""Height and width of the picture."""
ROWS = SIZE[0] * SIZE[1]
_QUANTIZATION = {"uint8": (1 / 256, 0), "int8": (1 / 256, -128)}


@dataclass(frozen=True, kw_only=True)
class ColourModel:
    """Every field has a value that works."""

    dtype: str = "uint8"
    """Of the picture and of the scores."""
    options: Mapping[str, Any] | None = None
    output_order: Sequence[int] = (0, 1, 2, 3)
    """Which of the op's outputs the graph has, in which order."""
    then: str | None = None
    """The name of a custom op that reads the op's boxes."""
    input_shape: Sequence[int] = (1, *SIZE, 3)
    """As declared; the picture is always read as [1, 4, 6, 3]."""
    input_signature: Sequence[int] | None = None
    """-1 for dimensions left open."""

    def build(self) -> bytes:
        """The .tflite file."""
        writer = GraphWriter()
        picture = self._tensor(writer, "picture", self.input_shape)
        if self.input_signature is not None:
            signature = np.asarray(self.input_signature, np.int32)
            writer.graph.tensors[picture].shapeSignature = signature
        outputs = self._write_nodes(writer, picture)
        graph_outputs = [outputs[number] for number in self.output_order]
        if self.then is not None:
            graph_outputs.append(writer.tensor("after", [], np.dtype(np.float32)))
            custom = schema.BuiltinOperator.CUSTOM
            writer.operator(custom, outputs[:1], graph_outputs[-1:], custom_code=self.then)
        return writer.finish([picture], graph_outputs)

    def _write_nodes(self, writer: GraphWriter, picture: int) -> list[int]:
        """RESHAPE and the op; returns the op's outputs."""
        shape = np.asarray([1, ROWS, 3], np.int32)
        wanted = writer.tensor("shape", shape.shape, shape.dtype, data=shape)
        scores = self._tensor(writer, "scores", shape)
        reshape = writer.operator(schema.BuiltinOperator.RESHAPE, [picture, wanted], [scores])
        reshape.builtinOptionsType = schema.BuiltinOptions.ReshapeOptions
        reshape.builtinOptions = schema.ReshapeOptionsT()
        reshape.builtinOptions.newShape = shape

        still = np.zeros((1, ROWS, 4), np.float32)
        boxes = writer.tensor("boxes", still.shape, still.dtype, data=still)
        cells = pixel_cells()
        anchors = writer.tensor("anchors", cells.shape, cells.dtype, data=cells)
        outputs = [writer.tensor(name, [], np.dtype(np.float32)) for name in OUTPUT_NAMES]
        postprocess = writer.operator(
            schema.BuiltinOperator.CUSTOM,
            [boxes, scores, anchors],
            outputs,
            custom_code=CUSTOM_CODE,
        )
        options = {**default_options(3, max_detections=ROWS), **(self.options or {})}
        postprocess.customOptions = np.frombuffer(bytes(flexbuffers.Dumps(options)), np.uint8)
        return outputs

    def _tensor(self, writer: GraphWriter, name: str, shape: Sequence[int]) -> int:
        return writer.tensor(name, shape, np.dtype(self.dtype), _QUANTIZATION.get(self.dtype))


def pixel_cells() -> Any:
    """Anchors [rows, 4]: the cells of the pixel grid, row by row."""
    height, width = SIZE
    y, x = np.mgrid[0:height, 0:width].reshape(2, -1)
    sizes = np.broadcast_to([1 / height, 1 / width], (height * width, 2))
    centres = np.stack([(y + 0.5) / height, (x + 0.5) / width], axis=1)
    return np.concatenate([centres, sizes], axis=1).astype(np.float32)


def picture(*spots: tuple[int, int, tuple[int, int, int]]) -> Any:
    """uint8 [4, 6, 3], black but for (row, column, colour)."""
    pixels = np.zeros((*SIZE, 3), np.uint8)
    for row, column, colour in spots:
        pixels[row, column] = colour
    return pixels
