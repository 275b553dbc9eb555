# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""The packages that write flatbuffers, imported on first use."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

_SCHEMAS = ("ai_edge_litert.schema_py_generated", "tensorflow.lite.python.schema_py_generated")
_QUANTIZATION_KINDS = ("<f4", "<i8")
_ALIGNMENT = 16
_WIDE_ALIGNMENT = 64


def flatbuffers_module(name: str = "flatbuffers") -> Any:
    """A module of the package `flatbuffers`.

    Raises:
      ImportError: it is not installed; the message says what to install.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise ImportError('flatbuffers is not installed: pip install "detops[convert]"') from error


def tflite_schema() -> Any:
    """The generated classes of the public TFLite schema, from LiteRT or TensorFlow.

    Raises:
      ImportError: neither is installed; the message says what to install.
    """
    flatbuffers_module()
    for name in _SCHEMAS:
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError:
            continue
    raise ImportError('no TFLite schema is installed: pip install "detops[litert]"')


def model_builder(size: int, wide: Sequence[NDArray[Any]] = ()) -> Any:
    """A flatbuffers.Builder for models.

    The generated code forgets that the schema aligns the data of buffers to 16 bytes; this aligns
    every vector of bytes. Equal vectors of scales, zero points and ranges are written once; the
    format lets tables share a vector.

    Args:
      size: about how many bytes the model has; from there the builder grows by doubling, and not
        beyond 1 GB.
      wide: arrays among the data, told by identity, that are aligned to 64 bytes.
    """

    class ModelBuilder(flatbuffers_module().Builder):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__(size)
            self._written: dict[tuple[str, bytes], int] = {}
            self._alignment = _ALIGNMENT
            self._wide = {id(array) for array in wide}

        def StartVector(self, size: int, count: int, alignment: int) -> Any:
            return super().StartVector(size, count, self._alignment if size == 1 else alignment)

        def CreateNumpyVector(self, array: Any) -> Any:
            self._alignment = _WIDE_ALIGNMENT if id(array) in self._wide else _ALIGNMENT
            # No other vectors: a program that edits a file in place may change, say, the outputs of
            # the graph, and must not change those of a node.
            if array.dtype.str not in _QUANTIZATION_KINDS:
                return super().CreateNumpyVector(array)
            key = (array.dtype.str, array.tobytes())
            if key not in self._written:
                self._written[key] = super().CreateNumpyVector(array)
            return self._written[key]

    return ModelBuilder()
