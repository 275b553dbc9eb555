# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""TFLite metadata: what a model's input and outputs mean, and the names of its classes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from detops.convert.associated_files import AssociatedFile, split_archive
from detops.convert.metadata_block import METADATA_ENTRY, metadata_block
from detops.convert.model_edit import ModelEdit, Source, indices, read_source, text_of
from detops.convert.postprocess_node import block_of, only_node
from detops.flatbuffer import FileBytes, ModelFileError, Table
from detops.labels import UNKNOWN, align_labels, is_label_file, read_labels
from detops.options import Options

_IDENTIFIER = b"M001"
_LABEL_FILE = "labelmap.txt"
_HEADER_BYTES = 8
_NORMALIZATION, _BOUNDING_BOX = 1, 3
_PIXEL_RANGES = {"uint8": (0.0, 255.0), "int8": (-128.0, 127.0)}
_CHANNELS = 3


@dataclass(frozen=True)
class Metadata:
    """What the metadata of a model says."""

    name: str
    description: str
    version: str
    author: str
    license: str
    min_parser_version: str
    input_names: tuple[str, ...]
    input_mean: tuple[float, ...]
    """One per channel, or one for all; empty without a normalisation."""
    input_std: tuple[float, ...]
    output_names: tuple[str, ...]
    box_order: tuple[int, ...]
    """Positions of left, top, right and bottom in a box; empty where no output is one."""
    label_files: tuple[str, ...]
    """Names of the files that the output tensors refer to."""
    labels: tuple[str, ...]
    """Lines of the first of those that is packed; empty without one."""


def add_metadata(
    model: Source,
    *,
    labels: Sequence[str] | str | os.PathLike[str],
    description: str = "",
    input_mean: float | Sequence[float] = 127.5,
    input_std: float | Sequence[float] = 127.5,
    name: str = "Object detector",
) -> bytes:
    """Describes a detector for programs that ask for TFLite metadata, and packs its labels.

    Metadata that is there is replaced, with the files that it names and any other label file, of
    which there may be one; other files stay.

    Args:
      model: a path or the bytes: one image in, the op's four outputs out, in its order (`tidy`).
      labels: class names, or a file of them as `detops.labels.read_labels` takes it; a background
        in front is left out.
      description: what the model is for.
      input_mean: for all channels or for each of three: the network sees (pixel - mean) / std.
      input_std: likewise.
      name: of the model.

    Returns:
      The model with the entry "TFLITE_METADATA" and an archive that holds `labelmap.txt`.

    Raises:
      ValueError: the labels, the numbers, or the model's inputs or outputs do not fit.
      OSError: a file cannot be read.
      ImportError: flatbuffers or the TFLite schema is not installed.
    """
    mean, std = _per_channel("input_mean", input_mean), _per_channel("input_std", input_std)
    if min(std) <= 0:
        raise ValueError(f"input_std is {input_std}, expected positive numbers")
    data = read_source(model)
    edit = ModelEdit(data)
    graph, node = only_node(edit)
    dtype = _check_graph(edit, graph, node)
    names = _class_names(labels, Options.from_bytes(block_of(node)).num_classes)
    lowest, highest = _input_range(dtype, mean, std)
    block = metadata_block(
        name=name,
        description=description,
        mean=mean,
        std=std,
        lowest=lowest,
        highest=highest,
        label_file=_LABEL_FILE,
    )
    old = _read_block(data)
    replaced = set(() if old is None else old.label_files)
    kept = [
        file
        for file in edit.files
        if file.entry.filename not in replaced and not is_label_file(file.entry.filename)
    ]
    content = "".join(f"{label}\n" for label in names).encode()
    edit.files = [*kept, AssociatedFile.of(_LABEL_FILE, content)]
    edit.set_metadata_entry(METADATA_ENTRY, block)
    return edit.save()


def read_metadata(model: Source) -> Metadata | None:
    """The metadata of a model, or None where it has none. Needs NumPy only.

    Raises:
      ValueError: the model, its metadata or its archive is malformed.
      OSError: the path cannot be read.
    """
    data = read_source(model)
    found = _read_block(data)
    if found is None or not found.label_files:
        return found
    files = {file.entry.filename: file.content for file in split_archive(data)[1]}
    content = next((files[name] for name in found.label_files if name in files), b"")
    lines = content.decode("utf-8-sig", "replace").splitlines()
    return Metadata(**{**vars(found), "labels": tuple(line.strip() for line in lines)})


# ---------------------------------------------------------------------------------------------
# Writing
# ---------------------------------------------------------------------------------------------


def _per_channel(what: str, value: float | Sequence[float]) -> list[float]:
    values: list[float] = np.asarray(value, np.float64).ravel().tolist()
    if len(values) not in (1, _CHANNELS):
        raise ValueError(f"{what} has {len(values)} numbers, expected 1 or {_CHANNELS}")
    if any(not abs(v) < float("inf") for v in values):
        raise ValueError(f"{what} is {value}, expected finite numbers")
    return values


def _check_graph(edit: ModelEdit, graph: Any, node: Any) -> str:
    """The type of the one input."""
    if indices(graph.outputs) != indices(node.outputs):
        outputs = [text_of(graph.tensors[i].name) for i in indices(graph.outputs)]
        raise ValueError(
            f"the outputs are {', '.join(outputs)}, expected the op's four in its order: "
            "boxes, classes, scores, number of detections (see detops.convert.tidy)"
        )
    if indices(node.outputs) != sorted(indices(node.outputs)):
        raise ValueError("the output tensors are not in ascending order: see detops.convert.tidy")
    inputs = [graph.tensors[i] for i in indices(graph.inputs)]
    shapes = [indices(tensor.shape) for tensor in inputs]
    if len(shapes) != 1 or len(shapes[0]) != 4 or shapes[0][3] != _CHANNELS:
        raise ValueError(f"the inputs have shapes {shapes}, expected one image [1, H, W, 3]")
    return edit.dtype_of(inputs[0])


def _class_names(labels: Sequence[str] | str | os.PathLike[str], num_classes: int) -> list[str]:
    given = read_labels(labels) if isinstance(labels, (str, os.PathLike)) else list(labels)
    names = align_labels(given, num_classes)
    for number, label in enumerate(names):
        if len(label.splitlines()) > 1 or label != label.strip():
            raise ValueError(f"label {number} is {label!r}, expected one line without outer blanks")
    return [label or UNKNOWN for label in names]


def _input_range(
    dtype: str, mean: list[float], std: list[float]
) -> tuple[list[float], list[float]]:
    if dtype in _PIXEL_RANGES:
        low, high = _PIXEL_RANGES[dtype]
        return [low], [high]
    count = max(len(mean), len(std))
    pairs = list(zip(mean * (count // len(mean)), std * (count // len(std)), strict=True))
    return [-m / s for m, s in pairs], [(255.0 - m) / s for m, s in pairs]


# ---------------------------------------------------------------------------------------------
# Reading
# ---------------------------------------------------------------------------------------------


def _read_block(data: bytes) -> Metadata | None:
    file = FileBytes(memoryview(data))
    file.check(0, 8, "the header")
    if data[4:8] != b"TFL3":
        raise ModelFileError(f"identifier is {data[4:8]!r}, expected b'TFL3'")
    root = Table(file, file.unpack("I", 0, "the root offset"), "the model")
    numbers = [
        t.scalar(1, "I", 0) for t in root.tables(6, "metadata") if t.string(0) == METADATA_ENTRY
    ]
    if not numbers:
        return None
    buffers = list(root.tables(4, "buffer"))
    found = buffers[numbers[0]].raw(0) if numbers[0] < len(buffers) else None
    if found is None:
        raise ModelFileError(
            f"{METADATA_ENTRY} is in buffer {numbers[0]}, which the file does not have"
        )
    return _parse(FileBytes(memoryview(found[1].tobytes())))


def _parse(file: FileBytes) -> Metadata:
    file.check(0, _HEADER_BYTES, "the metadata")
    identifier = bytes(file.data[4:8])
    if identifier != _IDENTIFIER:
        raise ModelFileError(f"identifier of the metadata is {identifier!r}, expected b'M001'")
    root = Table(file, file.unpack("I", 0, "the root offset"), "the metadata")
    graph = next(root.tables(3, "subgraph metadata"), None)
    inputs = [] if graph is None else list(graph.tables(2, "input metadata"))
    outputs = [] if graph is None else list(graph.tables(3, "output metadata"))
    mean, std = _normalization(inputs)
    return Metadata(
        name=root.string(0),
        description=root.string(1),
        version=root.string(2),
        author=root.string(4),
        license=root.string(5),
        min_parser_version=root.string(7),
        input_names=tuple(table.string(0) for table in inputs),
        input_mean=mean,
        input_std=std,
        output_names=tuple(table.string(0) for table in outputs),
        box_order=_box_order(outputs),
        label_files=_file_names(outputs),
        labels=(),
    )


def _file_names(outputs: list[Table]) -> tuple[str, ...]:
    files = (file for table in outputs for file in table.tables(6, "associated file"))
    return tuple(file.string(0) for file in files)


def _normalization(inputs: list[Table]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    for table in inputs:
        for unit in table.tables(4, "process unit"):
            options = unit.table(1, "options")
            if unit.scalar(0, "B", 0) == _NORMALIZATION and options is not None:
                return options.numbers(0, "<f4") or (), options.numbers(1, "<f4") or ()
    return (), ()


def _box_order(outputs: list[Table]) -> tuple[int, ...]:
    for table in outputs:
        content = table.table(3, "content")
        if content is not None and content.scalar(0, "B", 0) == _BOUNDING_BOX:
            properties = content.table(1, "properties")
            return () if properties is None else properties.numbers(0, "<u4") or ()
    return ()
