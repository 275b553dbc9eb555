# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Tensors and nodes in words."""

from __future__ import annotations

import numpy as np

from detops.model_file import ModelFileError, Quantization, Tensor
from detops.nodes.facts import NodeFacts, NodeInput
from detops.nodes.fusion import GraphUses


def quantity(count: int, noun: str) -> str:
    """For instance "1 node" and "1,917 nodes"."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def tensor_text(tensor: Tensor) -> str:
    """Type, shape, name and quantization."""
    shape = list(tensor.shape_signature)
    text = f"{tensor.dtype} {shape} '{tensor.name}' (tensor {tensor.index})"
    if tensor.quantization is None:
        return text
    return f"{text}, {quantization_text(tensor.quantization)}"


def quantization_text(quantization: Quantization) -> str:
    """The formula of the real value, or that there is one per slice."""
    scales, zero_points = quantization.scales, quantization.zero_points
    if len(scales) > 1:
        return f"{len(scales)} scales along axis {quantization.axis}"
    zero_point = (*zero_points, 0)[0]
    if zero_point == 0:
        return f"q * {scales[0]:.6g}"
    sign = "-" if zero_point > 0 else "+"
    return f"(q {sign} {abs(zero_point)}) * {scales[0]:.6g}"


def feed_text(item: NodeInput) -> str:
    """Where an input of the op comes from."""
    if item.traced:
        path = " and ".join(f"{op.name} (node {op.index})" for op in item.traced)
        end = "fused" if item.fused else "not fused: its value is needed elsewhere"
        return f"from {path} of {tensor_text(item.quantized)}; {end}"
    if item.producer is not None:
        return f"from {item.producer.name} (node {item.producer.index})"
    try:
        constant = item.tensor.constant() is not None
    except ModelFileError as error:
        return f"malformed constant: {error}"
    return "constant" if constant else "input of the graph"


def anchors_text(item: NodeInput | None) -> str:
    """How many, and in which range."""
    if item is None:
        return "missing"
    values = item.real_constant()
    if values is None:
        return feed_text(item)
    if values.ndim != 2 or values.shape[1] != 4 or not len(values):
        return f"constant, shape {list(values.shape)}"
    low, high = np.min(values, axis=0), np.max(values, axis=0)
    ranges = [f"{name} {low[i]:.3g} to {high[i]:.3g}" for i, name in enumerate("yxhw")]
    return f"{len(values):,}, constant: {', '.join(ranges)}"


def classes_text(node: NodeFacts) -> str:
    """How many, and whether the scores have a background column."""
    count = node.options["num_classes"]
    background = {
        True: "and a background column in front",
        False: "no background column",
        None: "which the columns of scores do not fit, or not until run time",
    }
    return f"{count}, {background[node.background()]}"


def reading_place(uses: GraphUses, tensor: int) -> str:
    """Who reads a tensor that is not an output of the graph."""
    readers = dict.fromkeys(f"{op.name} (node {op.index})" for op in uses.readers[tensor])
    return f"not an output of the graph, read by {', '.join(readers) or 'nobody'}"
