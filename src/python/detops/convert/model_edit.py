# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""A model under change: loaded through the object API of the public TFLite schema, and saved."""

from __future__ import annotations

import os
import struct
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detops.convert.associated_files import append_archive, split_archive
from detops.convert.public_schema import flatbuffers_module, model_builder, tflite_schema
from detops.flatbuffer import FileBytes, Table
from detops.model_file import ModelFile
from detops.options import OP_NAME
from detops.whole_file import read_regular

Source = bytes | str | os.PathLike[str]

# Offsets in a flatbuffer are signed 32-bit numbers.
_MAX_BYTES = (1 << 31) - 1
# What an edit adds, in general.
_ROOM = 1 << 20
# An offset of 1 is a converter's placeholder for "inside the flatbuffer".
_INSIDE = 1
# Field of the model.
_EXTERNAL_BUFFERS = 9
# TFLite Micro's plan for the memory of each tensor, in the order of the tensors.
_PLAN = b"OfflineMemoryAllocation"
# What generated code raises on bytes it cannot follow.
_READ_ERRORS = (struct.error, IndexError, ValueError, TypeError, KeyError, OverflowError)


def read_source(model: Source) -> bytes:
    """The bytes of a model.

    Raises:
      TypeError: neither bytes nor a path.
      ValueError: too long for a flatbuffer; a pipe or a device.
      OSError: the path cannot be read.
    """
    if isinstance(model, (bytearray, memoryview)):
        model = bytes(model)
    if not isinstance(model, bytes):
        # Before it is read, since it may not fit in memory.
        _check_size(str(model), Path(model).stat().st_size)
        model = read_regular(model)
    _check_size("the model", len(model))
    return model


def _check_size(where: str, size: int) -> None:
    if size > _MAX_BYTES:
        raise ValueError(
            f"{where} has {size} bytes, expected at most {_MAX_BYTES}: larger models keep weights "
            "outside the flatbuffer, and cannot be edited"
        )


class ModelEdit:
    """A model under change. Graphs, tensors and operators are objects of the schema.

    Whatever the schema knows survives: metadata, signatures, and the files packed behind it.
    """

    def __init__(self, source: Source) -> None:
        """Loads a model.

        Raises:
          ValueError: not a readable .tflite file, weights outside the flatbuffer, or operators
            newer than the installed schema.
          OSError: the path cannot be read.
          ImportError: `flatbuffers` or the schema is not installed.
        """
        data = read_source(source)
        # First, because generated code checks nothing.
        ModelFile.read(data)
        _check_all_inside(data)
        self.schema = tflite_schema()
        self._builtin_names = _names_by_value(self.schema.BuiltinOperator)
        self._type_names = _names_by_value(self.schema.TensorType)
        # By graph and tensor; empty where it has to be made anew.
        self._producers: dict[int, dict[int, Any]] = {}
        flatbuffer, self.files = split_archive(data)
        self._num_bytes = len(flatbuffer)
        try:
            self.model = self.schema.ModelT.InitFromPackedBuf(flatbuffer)
        except _READ_ERRORS as error:
            raise ValueError(f"the model cannot be unpacked: {error}") from error
        self.model.buffers = self.model.buffers or [self.schema.BufferT()]
        for graph in self.graphs:
            graph.tensors, graph.operators = graph.tensors or [], graph.operators or []
        self._check_complete()

    @property
    def graphs(self) -> list[Any]:
        """The subgraphs; 0 is the main one."""
        return self.model.subgraphs or []

    def save(self) -> bytes:
        """The bytes of the model. Equal vectors of quantisation parameters are written once.

        Raises:
          ValueError: it has grown beyond 2 GB.
        """
        size = min(self._num_bytes + _ROOM, _MAX_BYTES)
        builder = model_builder(size, self._constants_of_the_op())
        try:
            builder.Finish(self.model.Pack(builder), file_identifier=b"TFL3")
        except flatbuffers_module("flatbuffers.builder").BuilderSizeError as error:
            raise ValueError(f"the model would have more than {_MAX_BYTES} bytes") from error
        return append_archive(bytes(builder.Output()), self.files)

    def _constants_of_the_op(self) -> list[NDArray[Any]]:
        """What LiteRT's CompiledModel hands to a custom op only at multiples of 64 bytes."""
        tensors = [
            graph.tensors[index]
            for graph, node in self.postprocess_nodes()
            for index in indices(node.inputs)
            if index >= 0
        ]
        data = [self.model.buffers[tensor.buffer].data for tensor in tensors]
        return [array for array in data if isinstance(array, np.ndarray)]

    # Operators

    def name_of(self, operator: Any) -> str:
        """Builtin name or custom code."""
        code = self.model.operatorCodes[operator.opcodeIndex]
        number = max(code.deprecatedBuiltinCode, code.builtinCode)
        if number == self.schema.BuiltinOperator.CUSTOM:
            return text_of(code.customCode).partition("\0")[0]
        return self._builtin_names.get(number, f"BUILTIN_{number}")

    def postprocess_nodes(self) -> list[tuple[Any, Any]]:
        """Every post-processing node, with its graph."""
        return [
            (graph, node)
            for graph in self.graphs
            for node in graph.operators
            if self.name_of(node) == OP_NAME
        ]

    def add_operator(
        self,
        graph: Any,
        name: str,
        inputs: Sequence[int],
        outputs: Sequence[int],
        *,
        version: int = 1,
        before: Any = None,
    ) -> Any:
        """Adds a builtin operator, or the custom op `OP_NAME`; `before` None puts it last."""
        operator = self.schema.OperatorT()
        operator.opcodeIndex = self._operator_code(name, version)
        operator.inputs = np.asarray(inputs, np.int32)
        operator.outputs = np.asarray(outputs, np.int32)
        place = len(graph.operators) if before is None else graph.operators.index(before)
        graph.operators.insert(place, operator)
        for tensor in outputs:
            self._producers_in(graph).setdefault(tensor, operator)
        return operator

    def producer(self, graph: Any, tensor: int) -> Any:
        """The operator that writes a tensor, or None."""
        return self._producers_in(graph).get(tensor)

    def _producers_in(self, graph: Any) -> dict[int, Any]:
        if id(graph) not in self._producers:
            found: dict[int, Any] = {}
            for op in graph.operators:
                for tensor in indices(op.outputs):
                    found.setdefault(tensor, op)
            self._producers[id(graph)] = found
        return self._producers[id(graph)]

    # Tensors

    def add_tensor(
        self,
        graph: Any,
        name: str,
        shape: Sequence[int],
        dtype: str,
        quantization: Any = None,
        data: NDArray[Any] | None = None,
    ) -> int:
        """Adds a tensor and returns its index; with `data` a constant."""
        tensor = self.schema.TensorT()
        tensor.name = name
        tensor.shape = np.asarray(shape, np.int32)
        tensor.hasRank = True
        tensor.type = getattr(self.schema.TensorType, dtype.upper())
        tensor.quantization = quantization
        if data is not None:
            tensor.buffer = self.add_buffer(data.tobytes())
        graph.tensors.append(tensor)
        return len(graph.tensors) - 1

    def add_buffer(self, content: bytes) -> int:
        """Adds bytes to the model and returns the number of their buffer."""
        buffer = self.schema.BufferT()
        buffer.data = np.frombuffer(content, np.uint8)
        self.model.buffers.append(buffer)
        return len(self.model.buffers) - 1

    def dtype_of(self, tensor: Any) -> str:
        """Name of a tensor's type, for instance "int8"."""
        return self._type_names.get(tensor.type, f"type_{tensor.type}").lower()

    def data_of(self, tensor: Any) -> NDArray[np.uint8] | None:
        """The bytes of a constant, or None."""
        data = self.model.buffers[tensor.buffer].data
        return None if data is None or not len(data) else np.asarray(data, np.uint8)

    def renumber_tensors(self, graph: Any, order: Sequence[int]) -> None:
        """Keeps the tensors named in `order`, in that order.

        Raises:
          ValueError: the model holds a memory plan that counts tensors.
        """
        if list(order) == list(range(len(graph.tensors))):
            return
        if any(entry.name == _PLAN for entry in self.model.metadata or []):
            raise ValueError(f"the model holds {_PLAN.decode()}, which counts its tensors")
        self._producers.clear()
        new = {old: position for position, old in enumerate(order)}
        graph.tensors = [graph.tensors[old] for old in order]
        graph.inputs, graph.outputs = (_mapped(v, new) for v in (graph.inputs, graph.outputs))
        for operator in graph.operators:
            for field in ("inputs", "outputs", "intermediates"):
                setattr(operator, field, _mapped(getattr(operator, field), new))
        for entry in self.signature_tensors(graph):
            entry.tensorIndex = new[entry.tensorIndex]

    def signature_tensors(self, graph: Any) -> list[Any]:
        """The inputs and outputs that the graph's signatures name."""
        return [
            entry
            for signature in self.signatures(graph)
            for entry in [*(signature.inputs or []), *(signature.outputs or [])]
        ]

    def signatures(self, graph: Any) -> list[Any]:
        """The signatures of a graph."""
        number = next(i for i, other in enumerate(self.graphs) if other is graph)
        return [s for s in self.model.signatureDefs or [] if s.subgraphIndex == number]

    # Metadata

    def metadata_entry(self, name: str) -> bytes | None:
        """The bytes of an entry of the metadata, or None without it."""
        for entry in self.model.metadata or []:
            if text_of(entry.name) == name:
                data = self.model.buffers[entry.buffer].data
                return b"" if data is None else bytes(bytearray(data))
        return None

    def set_metadata_entry(self, name: str, content: bytes) -> None:
        """Adds an entry to the metadata, in place of those of the same name."""
        entries = [e for e in self.model.metadata or [] if text_of(e.name) != name]
        entry = self.schema.MetadataT()
        entry.name, entry.buffer = name, self.add_buffer(content)
        self.model.metadata = [*entries, entry]
        self.sweep_buffers(lambda number: number)

    # What nothing refers to

    def sweep(self, graph: Any, candidates: Iterable[Any]) -> None:
        """Removes those operators whose results nobody needs, and then unused tensors and codes."""
        self._producers.clear()
        dead = self._without_use(graph, candidates)
        graph.operators = [op for op in graph.operators if id(op) not in dead]
        used = self._used_tensors(graph)
        self.renumber_tensors(graph, [i for i in range(len(graph.tensors)) if i in used])
        self.sweep_codes()
        self.sweep_buffers(lambda number: number)

    def sweep_codes(self) -> None:
        """Removes operator codes that no operator has."""
        operators = [op for graph in self.graphs for op in graph.operators]
        used = sorted({op.opcodeIndex for op in operators})
        new = {old: position for position, old in enumerate(used)}
        for operator in operators:
            operator.opcodeIndex = new[operator.opcodeIndex]
        self.model.operatorCodes = [self.model.operatorCodes[i] for i in used]

    def sweep_buffers(self, representative: Callable[[int], int]) -> None:
        """Replaces each buffer by its representative, and removes what nobody refers to."""
        tensors = [tensor for graph in self.graphs for tensor in graph.tensors]
        holders = [*tensors, *(self.model.metadata or [])]
        extra = indices(self.model.metadataBuffer)
        used = sorted({0, *extra, *(representative(holder.buffer) for holder in holders)})
        new = {old: position for position, old in enumerate(used)}
        for holder in holders:
            holder.buffer = new[representative(holder.buffer)]
        if extra:
            self.model.metadataBuffer = np.asarray([new[i] for i in extra], np.int32)
        self.model.buffers = [self.model.buffers[i] for i in used]

    def _used_tensors(self, graph: Any) -> set[int]:
        lists = [graph.inputs, graph.outputs]
        for op in graph.operators:
            lists += [op.inputs, op.outputs, op.intermediates]
        named = {entry.tensorIndex for entry in self.signature_tensors(graph)}
        return named.union(*(indices(values) for values in lists))

    def _without_use(self, graph: Any, candidates: Iterable[Any]) -> set[int]:
        """Identities of those candidates whose results only such candidates read, or nobody."""
        uses = Counter(indices(graph.outputs))
        uses.update(entry.tensorIndex for entry in self.signature_tensors(graph))
        for op in graph.operators:
            uses.update(indices(op.inputs))
        waiting = {id(op): op for op in candidates}
        makers = {tensor: op for op in waiting.values() for tensor in indices(op.outputs)}
        dead: set[int] = set()
        while waiting:
            _, op = waiting.popitem()
            if id(op) in dead or any(uses[tensor] for tensor in indices(op.outputs)):
                continue
            dead.add(id(op))
            for tensor in indices(op.inputs):
                uses[tensor] -= 1
                if tensor in makers:
                    waiting[id(makers[tensor])] = makers[tensor]
        return dead

    def _operator_code(self, name: str, version: int) -> int:
        number = getattr(self.schema.BuiltinOperator, "CUSTOM" if name == OP_NAME else name)
        self.model.operatorCodes = self.model.operatorCodes or []
        wanted = name if name == OP_NAME else ""
        for index, code in enumerate(self.model.operatorCodes):
            same = max(code.deprecatedBuiltinCode, code.builtinCode) == number
            if same and code.version == version and text_of(code.customCode) == wanted:
                return index
        code = self.schema.OperatorCodeT()
        # All that are added here fit the older, narrow field, which older runtimes read.
        code.builtinCode = code.deprecatedBuiltinCode = number
        code.version = version
        code.customCode = wanted or None
        self.model.operatorCodes.append(code)
        return len(self.model.operatorCodes) - 1

    def _check_complete(self) -> None:
        outside = [i for i, b in enumerate(self.model.buffers) if b.offset > _INSIDE and b.size]
        if outside:
            raise ValueError(
                f"buffer {outside[0]} is stored outside the flatbuffer, as in files above 2 GB; "
                "expected all weights inside"
            )
        self._check_references()
        for graph in self.graphs:
            for number, op in enumerate(graph.operators):
                self._check_operator(number, op)

    def _check_references(self) -> None:
        """Those that ModelFile does not read."""
        holders = [int(entry.buffer) for entry in self.model.metadata or []]
        for number in [*holders, *indices(self.model.metadataBuffer)]:
            if not 0 <= number < len(self.model.buffers):
                raise ValueError(
                    f"metadata is in buffer {number}, the file has {len(self.model.buffers)}"
                )
        for graph in self.graphs:
            named = [entry.tensorIndex for entry in self.signature_tensors(graph)]
            named += [i for op in graph.operators for i in indices(op.intermediates) if i != -1]
            for index in named:
                if not 0 <= index < len(graph.tensors):
                    raise ValueError(
                        f"a signature or operator names tensor {index}, the subgraph has "
                        f"{len(graph.tensors)} tensors"
                    )

    def _check_operator(self, number: int, operator: Any) -> None:
        where = f"node {number}, {self.name_of(operator)},"
        if operator.largeCustomOptionsOffset > _INSIDE:
            raise ValueError(f"{where} keeps its options outside the flatbuffer")
        for field in ("builtinOptions", "builtinOptions2"):
            if getattr(operator, f"{field}Type", 0) and getattr(operator, field) is None:
                raise ValueError(f"{where} has options that {self.schema.__name__} does not know")


def _check_all_inside(data: bytes) -> None:
    # Not by the schema: an older one does not know such weights, and would drop them.
    file = FileBytes(memoryview(data))
    root = Table(file, file.unpack("I", 0, "the root offset"), "the model")
    count = sum(1 for _ in root.tables(_EXTERNAL_BUFFERS, "external buffer"))
    if count:
        raise ValueError(
            f"the model keeps {count} of its buffers in other files, expected all weights inside"
        )


def indices(values: Any) -> list[int]:
    """A vector of the schema as a list; absent is empty."""
    return [] if values is None else [int(value) for value in values]


def text_of(name: Any) -> str:
    """A string of the schema: bytes where it was read, str where it was set."""
    return name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name or "")


def _mapped(values: Any, new: dict[int, int]) -> Any:
    # -1 marks an optional input left out.
    return None if values is None else np.asarray([new.get(int(i), -1) for i in values], np.int32)


def _names_by_value(enumeration: Any) -> dict[int, str]:
    """The names of an enumeration of the schema, the first one of each value."""
    found: dict[int, str] = {}
    for name, value in vars(enumeration).items():
        if isinstance(value, int):
            found.setdefault(value, name)
    return found
