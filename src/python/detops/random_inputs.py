# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Something to run a model on."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detops.model_file import Subgraph

_MOST = 1 << 27
"""Numbers in an input: shapes come from files, and 8000 x 4000 pixels have fewer."""


def random_inputs(graph: Subgraph, seed: int = 0) -> list[NDArray[Any]]:
    """Inputs for a graph: any byte, or floats in [0, 1).

    Raises:
      ValueError: an input has a type without random numbers, such as string, or a shape that no
        picture has.
    """
    rng = np.random.default_rng(seed)
    arrays: list[NDArray[Any]] = []
    for tensor in (graph.tensors[index] for index in graph.inputs):
        if min(tensor.shape, default=0) < 0 or math.prod(tensor.shape) > _MOST:
            raise ValueError(
                f"input {tensor.name!r} has shape {list(tensor.shape)}, expected known sides and "
                f"at most {_MOST} numbers"
            )
        if tensor.dtype.startswith("float") and hasattr(np, tensor.dtype):
            arrays.append(rng.random(tensor.shape).astype(tensor.dtype))
        elif tensor.dtype in ("uint8", "int8", "int16", "int32", "int64"):
            narrow = np.iinfo("int8" if tensor.dtype != "uint8" else "uint8")
            values = rng.integers(narrow.min, narrow.max + 1, tensor.shape)
            arrays.append(values.astype(tensor.dtype))
        else:
            raise ValueError(f"input {tensor.name!r} has type {tensor.dtype}, expected numbers")
    return arrays
