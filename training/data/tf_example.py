# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""tf.train.Example with the feature keys of the TensorFlow Object Detection API.

| key | content |
|---|---|
| image/encoded, image/format | the JPEG or PNG file, "jpeg" or "png" |
| image/height, image/width | pixels |
| image/filename, image/source_id | names |
| image/key/sha256 | of image/encoded, hexadecimal |
| image/object/bbox/ymin, xmin, ymax, xmax | fractions of the picture |
| image/object/class/label, class/text | number from 1, and name |
| image/object/is_crowd, difficult | 0 or 1 |
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from training.data.annotation import AnnotatedBox
from training.data.example import Example

_CORNERS = ("ymin", "xmin", "ymax", "xmax")
_PNG = b"\x89PNG"


def make_example(example: Example, labels: Sequence[str]) -> bytes:
    """The record of an example, as TFRecord files hold it."""
    content = example.encoded()
    # The bytes of the file's name, whatever they are.
    name = os.fsencode(example.image_id)
    numbers = example.classes.tolist()
    features = {
        "image/encoded": _bytes([content]),
        "image/format": _bytes([b"png" if content.startswith(_PNG) else b"jpeg"]),
        "image/key/sha256": _bytes([hashlib.sha256(content).hexdigest().encode()]),
        "image/filename": _bytes([name]),
        "image/source_id": _bytes([name]),
        "image/height": _integers([example.height]),
        "image/width": _integers([example.width]),
        "image/object/class/label": _integers([number + 1 for number in numbers]),
        "image/object/class/text": _bytes([labels[number].encode() for number in numbers]),
        "image/object/is_crowd": _integers(example.crowd.astype(int).tolist()),
        "image/object/difficult": _integers([0] * len(numbers)),
    }
    for column, corner in enumerate(_CORNERS):
        features[f"image/object/bbox/{corner}"] = _floats(example.boxes[:, column].tolist())
    record: bytes = tf.train.Example(
        features=tf.train.Features(feature=features)
    ).SerializeToString()
    return record


def parse_example(record: bytes) -> Mapping[str, Any]:
    """The features of a record by key.

    Raises:
      ValueError: the record is not a tf.train.Example.
    """
    # The error of the protocol buffers library is a class of its own, not a ValueError.
    from google.protobuf.message import DecodeError

    try:
        features: Mapping[str, Any] = tf.train.Example.FromString(record).features.feature
    except DecodeError as error:
        raise ValueError(f"a record is not a tf.train.Example: {error}") from error
    return features


def encoded_image(features: Mapping[str, Any]) -> bytes:
    """The picture of a record.

    Raises:
      ValueError: it has none.
    """
    content = next(iter(_values(features, "image/encoded", "bytes_list")), b"")
    if not content:
        raise ValueError("the record has no image/encoded")
    return content


def image_name(features: Mapping[str, Any]) -> str:
    """image/filename, else image/source_id, else nothing.

    Raises:
      ValueError: it is no text.
    """
    for key in ("image/filename", "image/source_id"):
        name: bytes = next(iter(_values(features, key, "bytes_list")), b"")
        if name:
            return name.decode(errors="replace")
    return ""


def annotated_boxes(features: Mapping[str, Any], labels: Sequence[str]) -> list[AnnotatedBox]:
    """The boxes of a record, corners as fractions; a class that has no name is "".

    Args:
      features: as `parse_example` returns them.
      labels: the label map; it counts more than class/text. Without one (empty), class/text names
        the classes, and "class <number>" those that have none.

    Raises:
      ValueError: the columns have different lengths, or one is of another kind; the message says
        which.
    """
    columns = [_values(features, f"image/object/bbox/{key}", "float_list") for key in _CORNERS]
    numbers, texts = _classes(features)
    count = max([len(numbers), len(texts), *map(len, columns)])
    flags = [
        _values(features, f"image/object/{key}", "int64_list") for key in ("is_crowd", "difficult")
    ]
    lengths = {len(column) for column in columns}
    lengths |= {len(column) for column in (numbers, texts, *flags) if column}
    if lengths - {count}:
        found = ", ".join(map(str, sorted(lengths)))
        raise ValueError(f"the columns of its boxes have {found} entries, expected as many in each")
    names = [_name(numbers, texts, row, labels) for row in range(count)]
    crowds = [any(flag and flag[row] for flag in flags) for row in range(count)]
    corners = [tuple(float(column[row]) for column in columns) for row in range(count)]
    return [
        AnnotatedBox(name, corner, crowd)  # type: ignore[arg-type]  # four columns
        for name, corner, crowd in zip(names, corners, crowds, strict=True)
    ]


def class_names(features: Mapping[str, Any]) -> dict[str, int]:
    """The number from 1 (0: none) of each class name in a record."""
    numbers, texts = _classes(features)
    rows = range(max(len(numbers), len(texts)))
    return {
        _name(numbers, texts, row, ()): int(numbers[row]) if row < len(numbers) else 0
        for row in rows
    }


def _classes(features: Mapping[str, Any]) -> tuple[Sequence[int], Sequence[bytes]]:
    """Numbers and names of the classes of the boxes; either may be empty."""
    return (
        _values(features, "image/object/class/label", "int64_list"),
        _values(features, "image/object/class/text", "bytes_list"),
    )


def _name(numbers: Sequence[int], texts: Sequence[bytes], row: int, labels: Sequence[str]) -> str:
    if labels and numbers:
        return labels[numbers[row] - 1] if 1 <= numbers[row] <= len(labels) else ""
    if row < len(texts):
        return texts[row].decode(errors="replace").strip()
    return f"class {numbers[row]}" if row < len(numbers) and numbers[row] >= 1 else ""


def _values(features: Mapping[str, Any], key: str, expected: str) -> Sequence[Any]:
    # Asking for a key that is not there would add it.
    if key not in features:
        return ()
    kind = features[key].WhichOneof("kind")
    values: Sequence[Any] = () if kind is None else getattr(features[key], kind).value
    # An empty list has whatever kind its writer took for nothing.
    if values and kind != expected:
        raise ValueError(f"{key} is a {kind}, expected a {expected}")
    return values


def _bytes(values: list[bytes]) -> Any:
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))


def _integers(values: list[int]) -> Any:
    return tf.train.Feature(int64_list=tf.train.Int64List(value=values))


def _floats(values: list[float]) -> Any:
    return tf.train.Feature(float_list=tf.train.FloatList(value=values))
