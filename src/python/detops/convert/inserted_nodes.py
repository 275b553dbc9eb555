# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""The builtin operators that are put in front of the op. Each returns the tensor that it writes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from detops.convert.model_edit import ModelEdit, indices, text_of

EIGHT_BIT = ("uint8", "int8")
# LOGISTIC of 8 bits has this output and no other.
PROBABILITY_SCALE = 1.0 / 256.0
LOWEST = {"uint8": 0, "int8": -128}
# The first version that takes the type.
_DEQUANTIZE_VERSION = {"uint8": 1, "int8": 2}
_LOGISTIC_VERSION = {"float32": 1, "uint8": 1, "int8": 2}


def scale_and_zero_point(tensor: Any) -> tuple[float, int] | None:
    """The quantisation of a whole tensor; None without one, or with one for each slice.

    Raises:
      ValueError: its zero point has more than 32 bits.
    """
    quantization = tensor.quantization
    if quantization is None or quantization.scale is None or len(quantization.scale) != 1:
        return None
    zero_point = (*indices(quantization.zeroPoint), 0)[0]
    if not -(1 << 31) <= zero_point < 1 << 31:
        name = text_of(tensor.name)
        raise ValueError(f"tensor {name!r} has zero point {zero_point}, expected one of 32 bits")
    return float(quantization.scale[0]), zero_point


def quantization_of(edit: ModelEdit, scale: float, zero_point: int) -> Any:
    """Quantisation parameters of a whole tensor."""
    quantization = edit.schema.QuantizationParametersT()
    quantization.scale = np.asarray([scale], np.float32)
    quantization.zeroPoint = np.asarray([zero_point], np.int64)
    return quantization


def dequantized(edit: ModelEdit, graph: Any, tensor: int, before: Any) -> int:
    """DEQUANTIZE: an 8-bit tensor as float32."""
    source = graph.tensors[tensor]
    version = _DEQUANTIZE_VERSION[edit.dtype_of(source)]
    output = _like(edit, graph, tensor, "dequantized", "float32", None)
    edit.add_operator(graph, "DEQUANTIZE", [tensor], [output], version=version, before=before)
    return output


def requantized(edit: ModelEdit, graph: Any, tensor: int, before: Any) -> int:
    """QUANTIZE between int8 and uint8: the same scale, zero points 128 apart. Loses nothing."""
    source = graph.tensors[tensor]
    given = scale_and_zero_point(source)
    assert given is not None
    wanted = "uint8" if edit.dtype_of(source) == "int8" else "int8"
    zero_point = given[1] + (128 if wanted == "uint8" else -128)
    quantization = quantization_of(edit, given[0], zero_point)
    output = _like(edit, graph, tensor, wanted, wanted, quantization)
    edit.add_operator(graph, "QUANTIZE", [tensor], [output], before=before)
    return output


def logistic(edit: ModelEdit, graph: Any, tensor: int, before: Any) -> int:
    """LOGISTIC, in the type of the tensor; 8-bit results are multiples of 1/256."""
    dtype = edit.dtype_of(graph.tensors[tensor])
    quantization = None
    if dtype in EIGHT_BIT:
        quantization = quantization_of(edit, PROBABILITY_SCALE, LOWEST[dtype])
    output = _like(edit, graph, tensor, "sigmoid", dtype, quantization)
    version = _LOGISTIC_VERSION[dtype]
    edit.add_operator(graph, "LOGISTIC", [tensor], [output], version=version, before=before)
    return output


def reshaped(
    edit: ModelEdit, graph: Any, tensor: int, shape: Sequence[int], before: Any, wanted: int = -1
) -> int:
    """RESHAPE.

    Args:
      shape: of the result.
      wanted: a constant tensor that holds the shape; -1 to write one.
    """
    source = graph.tensors[tensor]
    sizes = np.asarray(shape, np.int32)
    if wanted < 0:
        name = f"{text_of(source.name)}_shape"
        wanted = edit.add_tensor(graph, name, sizes.shape, "int32", data=sizes)
    dtype = edit.dtype_of(source)
    output = _like(edit, graph, tensor, "reshaped", dtype, source.quantization)
    graph.tensors[output].shape = sizes
    graph.tensors[output].shapeSignature = None
    operator = edit.add_operator(graph, "RESHAPE", [tensor, wanted], [output], before=before)
    operator.builtinOptionsType = edit.schema.BuiltinOptions.ReshapeOptions
    operator.builtinOptions = edit.schema.ReshapeOptionsT()
    operator.builtinOptions.newShape = sizes
    return output


def _like(
    edit: ModelEdit, graph: Any, tensor: int, suffix: str, dtype: str, quantization: Any
) -> int:
    source = graph.tensors[tensor]
    name = f"{text_of(source.name)}_{suffix}"
    output = edit.add_tensor(graph, name, indices(source.shape), dtype, quantization)
    graph.tensors[output].shapeSignature = source.shapeSignature
    return output
