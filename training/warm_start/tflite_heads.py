# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""The heads of an SSD detector in a .tflite file, found from the op backwards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from detops import Options
from detops.model_file import Operator
from training.warm_start.block_weights import BlockWeights
from training.warm_start.tflite_graph import TfliteGraph

_CODER_SCALES = (10.0, 10.0, 5.0, 5.0)
# Anchors of 8 bits are off by up to this part of the image's side.
_ANCHOR_TOLERANCE = 6e-3
_BOXES, _SCORES, _ANCHORS = range(3)


@dataclass(frozen=True)
class Head:
    """What predicts boxes, or classes, from one feature map."""

    blocks: Sequence[Any]
    """Of the model."""
    operators: tuple[Operator, ...]
    """Of the file."""
    columns: int
    """Numbers for each anchor, in the file."""
    background: bool
    """The first column is the background, which the model does not have."""

    def weights(self, graph: TfliteGraph) -> list[BlockWeights]:
        """Those of its convolutions, without the background."""
        *front, last = (graph.block_weights(operator) for operator in self.operators)
        if self.background:
            last = last.columns(np.arange(len(last.beta)) % self.columns > 0)
        return [*front, last]


@dataclass(frozen=True)
class Heads:
    """All heads of a file that ends in the op."""

    boxes: list[Head]
    classes: list[Head]
    box_range: tuple[float, float] | None
    """Of all encodings together."""
    class_range: tuple[float, float] | None
    """Of all logits together."""
    file_classes: int
    """Without the background."""

    @property
    def operators(self) -> set[int]:
        """Indices of their convolutions."""
        return {op.index for head in [*self.boxes, *self.classes] for op in head.operators}


def find_heads(model: Any, graph: TfliteGraph) -> Heads:
    """Follows the op's inputs back to the convolutions.

    Args:
      model: a detector with a `BoxPredictor`.

    Raises:
      ValueError: the heads are not concatenated as the model's are, or boxes are coded or placed
        in another way.
    """
    owner, node = graph.file.postprocess_operators()[0]
    if owner.index != 0:
        raise ValueError(
            f"{graph.path}: the op is in subgraph {owner.index}, expected the main one"
        )
    options = Options.from_bytes(node.custom_options or b"")
    scales = (options.y_scale, options.x_scale, options.h_scale, options.w_scale)
    if scales != _CODER_SCALES:
        raise ValueError(f"{graph.path} codes boxes by {scales}, expected {_CODER_SCALES}")
    _check_anchors(model, graph, node)
    columns = graph.graph.tensors[node.inputs[_SCORES]].shape[-1]
    background = columns == options.num_classes + 1
    boxes, box_range = _behind(graph, node.inputs[_BOXES], model.predictor.box_heads, 4, False)
    classes, class_range = _behind(
        graph, node.inputs[_SCORES], model.predictor.class_heads, columns, background
    )
    return Heads(boxes, classes, box_range, class_range, options.num_classes)


def _behind(
    graph: TfliteGraph, tensor: int, heads: Sequence[Any], columns: int, background: bool
) -> tuple[list[Head], tuple[float, float] | None]:
    joined = graph.before_carriers(tensor)
    concatenation = graph.producer(joined)
    if concatenation is None or concatenation.name != "CONCATENATION":
        name = "nothing" if concatenation is None else concatenation.name
        raise ValueError(f"{graph.path}: {name} makes what the op reads, expected CONCATENATION")
    if len(concatenation.inputs) != len(heads):
        raise ValueError(
            f"{graph.path} has heads on {len(concatenation.inputs)} maps, expected {len(heads)}"
        )
    found = [
        Head(blocks, _convolutions_before(graph, part, len(blocks)), columns, background)
        for blocks, part in zip(heads, concatenation.inputs, strict=True)
    ]
    return found, graph.quantized_range(joined)


def _convolutions_before(graph: TfliteGraph, tensor: int, count: int) -> tuple[Operator, ...]:
    found: list[Operator] = []
    for _ in range(count):
        operator = graph.producer(graph.before_carriers(tensor))
        if operator is None or not operator.name.endswith("CONV_2D"):
            name = "nothing" if operator is None else operator.name
            raise ValueError(f"{graph.path}: {name} makes a head, expected {count} convolutions")
        found.insert(0, operator)
        tensor = operator.inputs[0]
    return tuple(found)


def _check_anchors(model: Any, graph: TfliteGraph, node: Operator) -> None:
    anchors = graph.value(node.inputs[_ANCHORS])
    # At another image size there are others, which the heads do not care about.
    if len(anchors) != len(model.anchors):
        return
    largest = float(np.abs(anchors - model.anchors).max())
    if largest > _ANCHOR_TOLERANCE:
        raise ValueError(
            f"{graph.path} has anchors that are up to {largest:.3g} of the image off the model's, "
            f"expected at most {_ANCHOR_TOLERANCE}"
        )
