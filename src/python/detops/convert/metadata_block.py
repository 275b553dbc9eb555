# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Writes the metadata of a detector: the flatbuffer that the public metadata_schema.fbs describes.

Source of the numbers: the order of the fields in that schema (identifier "M001").
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from detops.convert.public_schema import flatbuffers_module
from detops.flatbuffer import FileBytes, ModelFileError, Table

METADATA_ENTRY = "TFLITE_METADATA"
OUTPUT_NAMES = ("location", "category", "score", "number of detections")
_OUTPUT_TEXTS = (
    "The boxes of the detected objects: top, left, bottom, right, as fractions of the image.",
    "The classes of the detected objects.",
    "The scores of the detected objects.",
    "The number of detected objects.",
)
_GROUP_NAME = "detection_result"
_LABELS_TEXT = "The names of the classes, one on each line."
# The first version that knows groups of output tensors.
_MIN_PARSER_VERSION = "1.2.0"

# Members of the unions ContentProperties and ProcessUnitOptions, and of the enums.
_FEATURE, _IMAGE, _BOUNDING_BOX = 1, 2, 3
_NORMALIZATION = 1
_RGB = 1
_BOUNDARIES, _RATIO = 1, 0
_TENSOR_VALUE_LABELS = 3
# The op writes top, left, bottom, right; the default is left, top, right, bottom.
_BOX_ORDER = (1, 0, 3, 2)
# The dimension that holds the four numbers of a box, or one number of each detection.
_CONTENT_DIMENSION = 2
# Fields of the metadata, and of the metadata of a subgraph.
_SUBGRAPH_METADATA, _OUTPUT_METADATA = 3, 3


def metadata_block(
    *,
    name: str,
    description: str,
    mean: Sequence[float],
    std: Sequence[float],
    lowest: Sequence[float],
    highest: Sequence[float],
    label_file: str,
) -> bytes:
    """The metadata of a model that turns an RGB image into the op's four outputs.

    Args:
      name: of the model; likewise its description.
      mean: subtracted from each channel; likewise the divisor `std`.
      lowest: the smallest number of each channel in the input; likewise `highest`.
      label_file: name of the packed file that names the classes.
    """
    writer = _Writer()
    image = writer.image_tensor(mean, std, lowest, highest)
    outputs = [
        writer.output_tensor(number, label_file if number == 1 else None)
        for number in range(len(OUTPUT_NAMES))
    ]
    members = writer.tables([writer.text(member) for member in OUTPUT_NAMES[:3]])
    group = writer.table((0, writer.text(_GROUP_NAME)), (1, members))
    graph = writer.table(
        (2, writer.tables([image])), (3, writer.tables(outputs)), (8, writer.tables([group]))
    )
    root = writer.table(
        (0, writer.text(name)),
        (1, writer.text(description)),
        (3, writer.tables([graph])),
        (7, writer.text(_MIN_PARSER_VERSION)),
    )
    return writer.finish(root)


def reordered_outputs(block: bytes, order: Sequence[int]) -> bytes:
    """Metadata whose description of output i is the one that output `order[i]` had.

    As it was, where it does not describe each output once.

    Raises:
      ModelFileError: the metadata is malformed.
    """
    file = FileBytes(memoryview(block))
    root = Table(file, file.unpack("I", 0, "the root offset"), "the metadata")
    graph = next(root.tables(_SUBGRAPH_METADATA, "subgraph metadata"), None)
    found = None if graph is None else graph.raw(_OUTPUT_METADATA, 4)
    if found is None or len(found[1]) != 4 * len(order):
        return block
    # Each entry is the distance from itself to a table.
    places = found[0] + 4 * np.arange(len(order))
    targets = places + found[1].view("<u4")
    distances = targets[list(order)] - places
    if (distances <= 0).any():
        raise ModelFileError("the metadata describes outputs by tables in front of their list")
    result = bytearray(block)
    result[found[0] : found[0] + 4 * len(order)] = distances.astype("<u4").tobytes()
    return bytes(result)


class _Byte(int):
    """A field of one byte, in place of an offset."""


class _Int(int):
    """A field of four bytes, in place of an offset."""


class _Writer:
    def __init__(self) -> None:
        self._builder = flatbuffers_module().Builder(1024)

    def text(self, value: str) -> int:
        return int(self._builder.CreateString(value))

    def tables(self, offsets: Sequence[int]) -> int:
        self._builder.StartVector(4, len(offsets), 4)
        for offset in reversed(offsets):
            self._builder.PrependUOffsetTRelative(offset)
        return int(self._builder.EndVector())

    def floats(self, values: Sequence[float]) -> int:
        self._builder.StartVector(4, len(values), 4)
        for value in reversed(values):
            self._builder.PrependFloat32(value)
        return int(self._builder.EndVector())

    def numbers(self, values: Sequence[int]) -> int:
        self._builder.StartVector(4, len(values), 4)
        for value in reversed(values):
            self._builder.PrependUint32(value)
        return int(self._builder.EndVector())

    def table(self, *fields: tuple[int, int]) -> int:
        """A table of (slot, value): offsets, or a _Byte or _Int."""
        self._builder.StartObject(max((slot for slot, _ in fields), default=-1) + 1)
        for slot, value in fields:
            if isinstance(value, _Byte):
                # A default that no field has, so that each is written.
                self._builder.PrependUint8Slot(slot, int(value), 255)
            elif isinstance(value, _Int):
                self._builder.PrependInt32Slot(slot, int(value), -1)
            else:
                self._builder.PrependUOffsetTRelativeSlot(slot, value, 0)
        return int(self._builder.EndObject())

    def image_tensor(
        self,
        mean: Sequence[float],
        std: Sequence[float],
        lowest: Sequence[float],
        highest: Sequence[float],
    ) -> int:
        content = self.table((0, _Byte(_IMAGE)), (1, self.table((0, _Byte(_RGB)))))
        options = self.table((0, self.floats(mean)), (1, self.floats(std)))
        unit = self.table((0, _Byte(_NORMALIZATION)), (1, options))
        stats = self.table((0, self.floats(highest)), (1, self.floats(lowest)))
        return self.table(
            (0, self.text("image")),
            (1, self.text("The image to search, RGB.")),
            (3, content),
            (4, self.tables([unit])),
            (5, stats),
        )

    def output_tensor(self, number: int, label_file: str | None) -> int:
        fields: list[tuple[int, int]] = [
            (0, self.text(OUTPUT_NAMES[number])),
            (1, self.text(_OUTPUT_TEXTS[number])),
            (3, self._content(number)),
        ]
        if label_file is not None:
            file = self.table(
                (0, self.text(label_file)),
                (1, self.text(_LABELS_TEXT)),
                (2, _Byte(_TENSOR_VALUE_LABELS)),
            )
            fields.append((6, self.tables([file])))
        return self.table(*fields)

    def _content(self, number: int) -> int:
        if number == 0:
            kind = _BOUNDING_BOX
            properties = self.table(
                (0, self.numbers(_BOX_ORDER)), (1, _Byte(_BOUNDARIES)), (2, _Byte(_RATIO))
            )
        else:
            kind, properties = _FEATURE, self.table()
        fields: list[tuple[int, int]] = [(0, _Byte(kind)), (1, properties)]
        if number < len(OUTPUT_NAMES) - 1:
            side = _Int(_CONTENT_DIMENSION)
            fields.append((2, self.table((0, side), (1, side))))
        return self.table(*fields)

    def finish(self, root: int) -> bytes:
        self._builder.Finish(root, file_identifier=b"M001")
        return bytes(self._builder.Output())
