# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Reads what a .tflite file says about its tensors and operators, without a runtime.

Source of the layout: the public TFLite schema (schema.fbs, identifier "TFL3") and the FlatBuffers
binary format. Any bytes give either a `ModelFile` or a `ModelFileError`, in time bounded by the
size of the file.
"""

from __future__ import annotations

import math
import mmap
import os
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detops.flatbuffer import FileBytes, ModelFileError, Table
from detops.options import OP_NAME
from detops.whole_file import open_regular, read_regular

__all__ = ["ModelFile", "ModelFileError", "Operator", "Quantization", "Subgraph", "Tensor"]

# Reading what is mapped ends the process when somebody truncates the file, so that is for files
# that memory may not hold.
_LARGEST_READ = 1 << 30
_CUSTOM = 32
# The operators that run subgraphs: the kind of their options, which hold so many numbers of them.
_CALLERS = {"IF": (92, 2), "WHILE": (93, 2), "CALL_ONCE": (103, 1)}
_BUILTINS_BY_CODE = """
ADD AVERAGE_POOL_2D CONCATENATION CONV_2D DEPTHWISE_CONV_2D DEPTH_TO_SPACE DEQUANTIZE
EMBEDDING_LOOKUP FLOOR FULLY_CONNECTED HASHTABLE_LOOKUP L2_NORMALIZATION L2_POOL_2D
LOCAL_RESPONSE_NORMALIZATION LOGISTIC LSH_PROJECTION LSTM MAX_POOL_2D MUL RELU RELU_N1_TO_1 RELU6
RESHAPE RESIZE_BILINEAR RNN SOFTMAX SPACE_TO_DEPTH SVDF TANH CONCAT_EMBEDDINGS SKIP_GRAM CALL
CUSTOM EMBEDDING_LOOKUP_SPARSE PAD UNIDIRECTIONAL_SEQUENCE_RNN GATHER BATCH_TO_SPACE_ND
SPACE_TO_BATCH_ND TRANSPOSE MEAN SUB DIV SQUEEZE UNIDIRECTIONAL_SEQUENCE_LSTM STRIDED_SLICE
BIDIRECTIONAL_SEQUENCE_RNN EXP TOPK_V2 SPLIT LOG_SOFTMAX DELEGATE BIDIRECTIONAL_SEQUENCE_LSTM CAST
PRELU MAXIMUM ARG_MAX MINIMUM LESS NEG PADV2 GREATER GREATER_EQUAL LESS_EQUAL SELECT SLICE SIN
TRANSPOSE_CONV SPARSE_TO_DENSE TILE EXPAND_DIMS EQUAL NOT_EQUAL LOG SUM SQRT RSQRT SHAPE POW
ARG_MIN FAKE_QUANT REDUCE_PROD REDUCE_MAX PACK LOGICAL_OR ONE_HOT LOGICAL_AND LOGICAL_NOT UNPACK
REDUCE_MIN FLOOR_DIV REDUCE_ANY SQUARE ZEROS_LIKE FILL FLOOR_MOD RANGE RESIZE_NEAREST_NEIGHBOR
LEAKY_RELU SQUARED_DIFFERENCE MIRROR_PAD ABS SPLIT_V UNIQUE CEIL REVERSE_V2 ADD_N GATHER_ND COS
WHERE RANK ELU REVERSE_SEQUENCE MATRIX_DIAG QUANTIZE MATRIX_SET_DIAG ROUND HARD_SWISH IF WHILE
NON_MAX_SUPPRESSION_V4 NON_MAX_SUPPRESSION_V5 SCATTER_ND SELECT_V2 DENSIFY SEGMENT_SUM BATCH_MATMUL
PLACEHOLDER_FOR_GREATER_OP_CODES CUMSUM CALL_ONCE BROADCAST_TO RFFT2D CONV_3D IMAG REAL COMPLEX_ABS
HASHTABLE HASHTABLE_FIND HASHTABLE_IMPORT HASHTABLE_SIZE REDUCE_ALL CONV_3D_TRANSPOSE VAR_HANDLE
READ_VARIABLE ASSIGN_VARIABLE BROADCAST_ARGS RANDOM_STANDARD_NORMAL BUCKETIZE RANDOM_UNIFORM
MULTINOMIAL GELU DYNAMIC_UPDATE_SLICE RELU_0_TO_1
"""
_BUILTIN_NAMES = _BUILTINS_BY_CODE.split()
_TYPES_BY_CODE = (
    "float32 float16 int32 uint8 int64 string bool int16 complex64 int8 float64 complex128 uint64 "
    "resource variant uint32 uint16 int4 bfloat16 int2 uint4 float8_e4m3fn float8_e5m2"
)
_TENSOR_TYPES = _TYPES_BY_CODE.split()
_NUMPY_LACKS = {"string", "resource", "variant", "int4", "bfloat16", "int2", "uint4"}


@dataclass(frozen=True)
class Quantization:
    """Affine quantisation of a tensor: real = (q - zero_point) * scale."""

    scales: tuple[float, ...]
    """One value, or one per slice along `axis`; float32 values."""
    zero_points: tuple[int, ...]
    axis: int


@dataclass(frozen=True, eq=False)
class Tensor:
    """One tensor of a subgraph."""

    index: int
    name: str
    shape: tuple[int, ...]
    shape_signature: tuple[int, ...]
    """As `shape`, with -1 for dimensions that are unknown until run time."""
    dtype: str
    """Name of the type, for instance "float32", "int8", "string"; "type_<n>" if unknown."""
    quantization: Quantization | None
    _data: NDArray[np.uint8] | None = field(repr=False, default=None)

    @property
    def is_constant(self) -> bool:
        """The file stores bytes for it, whether or not they fit."""
        return self._data is not None and self._data.size > 0

    def constant(self) -> NDArray[Any] | None:
        """The tensor's value stored in the file, or None where the file stores none.

        The array is a read-only view of the file, of the tensor's shape and dtype, and need not be
        aligned. Raises ModelFileError where the buffer's size does not fit the shape, or NumPy has
        no such type.
        """
        where = f"tensor {self.index} {self.name!r}"
        if self._data is None:
            return None
        if self.dtype in _NUMPY_LACKS or self.dtype.startswith(("float8", "type_")):
            raise ModelFileError(f"{where} is {self.dtype}, which NumPy cannot hold")
        dtype = np.dtype(self.dtype).newbyteorder("<")
        expected = math.prod(self.shape) * dtype.itemsize
        if self._data.size == 0 and expected != 0:
            return None
        if min(self.shape, default=0) < 0 or self._data.size != expected:
            raise ModelFileError(
                f"buffer of {where} has {self._data.size} bytes, "
                f"shape {list(self.shape)} of {self.dtype} needs {expected}"
            )
        try:
            value: NDArray[Any] = self._data.view(dtype).reshape(self.shape)
        except ValueError as error:
            raise ModelFileError(f"{where} has unusable shape {list(self.shape)}") from error
        return value


@dataclass(frozen=True)
class Operator:
    """One node of a subgraph."""

    index: int
    name: str
    """Builtin name, "BUILTIN_<n>" where the number is not known here, or the custom code."""
    is_custom: bool
    inputs: tuple[int, ...]
    """Tensor indices; -1 marks an optional input left out."""
    outputs: tuple[int, ...]
    custom_options: bytes | None
    called: tuple[int, ...] = ()
    """The subgraphs that an IF, WHILE or CALL_ONCE runs; they need not be there."""


@dataclass(frozen=True, eq=False)
class Subgraph:
    """Tensors and operators; `inputs` and `outputs` are tensor indices."""

    index: int
    name: str
    tensors: tuple[Tensor, ...]
    operators: tuple[Operator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class ModelFile:
    """Contents of a .tflite file."""

    version: int
    description: str
    metadata_names: tuple[str, ...]
    subgraphs: tuple[Subgraph, ...]

    @staticmethod
    def read(source: str | os.PathLike[str] | bytes | bytearray | memoryview) -> ModelFile:
        """Reads a path or the bytes themselves. Files above 1 GB are mapped into memory: do not
        truncate them while the model is in use.

        Raises ModelFileError for bytes that are not a TFLite model and OSError for a path that
        cannot be opened. ValueError for a pipe or a device.
        """
        if isinstance(source, (bytes, bytearray, memoryview)):
            return _read_model(FileBytes(memoryview(source).cast("B").toreadonly()))
        content = _content(source)
        if not content:
            raise ModelFileError(f"{os.fspath(source)} is empty")
        try:
            return _read_model(FileBytes(memoryview(content)))
        except ModelFileError as error:
            raise ModelFileError(f"{os.fspath(source)}: {error}") from None

    def postprocess_operators(self) -> list[tuple[Subgraph, Operator]]:
        """Every TFLite_Detection_PostProcess node, with the subgraph that holds it."""
        return [
            (graph, operator)
            for graph in self.subgraphs
            for operator in graph.operators
            if operator.is_custom and operator.name == OP_NAME
        ]


def _content(path: str | os.PathLike[str]) -> bytes | mmap.mmap:
    size = os.stat(path).st_size  # noqa: PTH116 - its errors name the path as it was given
    if size <= _LARGEST_READ:
        return read_regular(path)
    with open_regular(path) as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def _read_model(file: FileBytes) -> ModelFile:
    file.check(0, 8, "the header")
    identifier = bytes(file.data[4:8])
    if identifier != b"TFL3":
        raise ModelFileError(f"identifier is {identifier!r}, expected b'TFL3'")
    root = Table(file, file.unpack("I", 0, "the root offset"), "the model")
    codes = [_read_code(table) for table in root.tables(1, "operator code")]
    buffers = [_read_buffer(table) for table in root.tables(4, "buffer")]
    return ModelFile(
        version=root.scalar(0, "I", 0),
        description=root.string(3),
        metadata_names=tuple(table.string(0) for table in root.tables(6, "metadata")),
        subgraphs=tuple(
            _read_subgraph(index, table, codes, buffers)
            for index, table in enumerate(root.tables(2, "subgraph"))
        ),
    )


def _read_code(table: Table) -> tuple[str, bool]:
    # Files older than builtin_code have only the 8-bit field; newer ones cap that field at 127.
    code = max(table.scalar(0, "b", 0), table.scalar(3, "i", 0))
    if code == _CUSTOM:
        # To the runtimes, which look the op up by it, it ends at a NUL.
        return table.string(1).partition("\0")[0], True
    return _BUILTIN_NAMES[code] if 0 <= code < len(_BUILTIN_NAMES) else f"BUILTIN_{code}", False


def _read_buffer(table: Table) -> NDArray[np.uint8] | None:
    # Inside the flatbuffer or behind it; where a file says both, runtimes take what is inside.
    # An offset of 0 or 1 means "inside" as well; 1 is a converter's placeholder.
    found = table.raw(0)
    if found is not None:
        return found[1]
    offset, size = table.scalar(1, "Q", 0), table.scalar(2, "Q", 0)
    if offset > 1 and size:
        return table.file.view(offset, size, f"data of {table.where}")
    return None


def _read_subgraph(
    index: int,
    table: Table,
    codes: list[tuple[str, bool]],
    buffers: list[NDArray[np.uint8] | None],
) -> Subgraph:
    tensors = tuple(
        _read_tensor(i, t, buffers) for i, t in enumerate(table.tables(0, f"{table.where}, tensor"))
    )
    operators = table.tables(3, f"{table.where}, operator")
    return Subgraph(
        index=index,
        name=table.string(4),
        tensors=tensors,
        operators=tuple(_read_operator(i, t, codes, len(tensors)) for i, t in enumerate(operators)),
        inputs=_tensor_indices(table, 1, "input", len(tensors), lowest=0),
        outputs=_tensor_indices(table, 2, "output", len(tensors), lowest=0),
    )


def _read_tensor(index: int, table: Table, buffers: list[NDArray[np.uint8] | None]) -> Tensor:
    buffer = table.scalar(2, "I", 0)
    if buffer >= max(len(buffers), 1):
        raise ModelFileError(f"{table.where} has buffer {buffer}, the file has {len(buffers)}")
    kind = table.scalar(1, "b", 0)
    shape = table.numbers(0, "<i4") or ()
    return Tensor(
        index=index,
        name=table.string(3),
        shape=shape,
        shape_signature=_signature(shape, table.numbers(7, "<i4") or ()),
        dtype=_TENSOR_TYPES[kind] if 0 <= kind < len(_TENSOR_TYPES) else f"type_{kind}",
        quantization=_read_quantization(table.table(4, "quantization")),
        _data=buffers[buffer] if buffers else None,
    )


def _signature(shape: tuple[int, ...], signature: tuple[int, ...]) -> tuple[int, ...]:
    # Runtimes go by the shape, so a signature tells no more than which sides are open.
    if len(signature) != len(shape):
        return shape
    return tuple(-1 if mark == -1 else side for side, mark in zip(shape, signature, strict=True))


def _read_quantization(table: Table | None) -> Quantization | None:
    scales = None if table is None else table.numbers(2, "<f4")
    if table is None or not scales:
        return None
    return Quantization(scales, table.numbers(3, "<i8") or (), table.scalar(6, "i", 0))


def _read_operator(
    index: int, table: Table, codes: list[tuple[str, bool]], num_tensors: int
) -> Operator:
    code = table.scalar(0, "I", 0)
    if code >= len(codes):
        raise ModelFileError(f"{table.where} has code {code}, the file has {len(codes)}")
    name, is_custom = codes[code]
    return Operator(
        index=index,
        name=name,
        is_custom=is_custom,
        inputs=_tensor_indices(table, 1, "input", num_tensors, lowest=-1),
        outputs=_tensor_indices(table, 2, "output", num_tensors, lowest=-1),
        custom_options=_read_custom_options(table),
        called=() if is_custom else _read_called(name, table),
    )


def _read_called(name: str, table: Table) -> tuple[int, ...]:
    if name not in _CALLERS:
        return ()
    kind, count = _CALLERS[name]
    options = table.table(4, "options") if table.scalar(3, "B", 0) == kind else None
    # To the runtimes options that are not there are zeros.
    return tuple(options.scalar(slot, "i", 0) if options else 0 for slot in range(count))


def _read_custom_options(table: Table) -> bytes | None:
    # As the data of a buffer: inside or behind.
    found = table.raw(5)
    offset, size = table.scalar(9, "Q", 0), table.scalar(10, "Q", 0)
    if found is not None:
        options = found[1]
    elif offset > 1 and size:
        options = table.file.view(offset, size, f"large custom options of {table.where}")
    else:
        return None
    table.file.spend(options.size, table.where)
    return options.tobytes()


def _tensor_indices(
    table: Table, slot: int, what: str, num_tensors: int, lowest: int
) -> tuple[int, ...]:
    indices = table.numbers(slot, "<i4") or ()
    for position, index in enumerate(indices):
        if not lowest <= index < num_tensors:
            raise ModelFileError(
                f"{what} {position} of {table.where} is tensor {index}, "
                f"the subgraph has {num_tensors} tensors"
            )
    return indices
