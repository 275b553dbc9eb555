# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Reads TFRecord shards and remembers where in them each picture is."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import tensorflow as tf

from detops.cli.ending import without_graph_nodes
from detops.evaluation import Skipped
from detops.labels import read_labels
from detops.whole_file import open_regular
from training.data.annotation import AnnotatedImage, Annotations
from training.data.example import RecordImage
from training.data.problems import Problems
from training.data.tf_example import (
    annotated_boxes,
    class_names,
    encoded_image,
    image_name,
    parse_example,
)

LABEL_MAP = "label_map.pbtxt"
SHARD = re.compile(r"(?P<set>.+?)[-.](?P<number>\d{5})-of-(?P<count>\d{5})(\.(tf)?records?)?")
"""Both name-00000-of-00004.tfrecord and name.tfrecord-00000-of-00004."""
_PLAIN = re.compile(r".+\.(tf)?records?")
_GZIP = b"\x1f\x8b"


def find_shards(folder: Path) -> list[Path]:
    """The TFRecord files of a folder in the order of their names.

    Raises:
      ValueError: they belong to more than one set, such as train and val.
    """
    names = sorted(path.name for path in folder.iterdir() if is_shard(path.name))
    sets = sorted({_set_name(name) for name in names})
    if len(sets) > 1:
        raise ValueError(
            f"{folder} holds the shards of {len(sets)} sets, {', '.join(sets)}, expected a "
            f"pattern for one of them, such as {folder / (sets[0] + '-*')}"
        )
    return [folder / name for name in names]


def is_shard(name: str) -> bool:
    """Whether a file of this name is a TFRecord."""
    return bool(SHARD.fullmatch(name) or _PLAIN.fullmatch(name)) and not name.startswith(".")


def read_tf_records(shards: Sequence[Path], *, complete: bool = True) -> Annotations:
    """Reads the shards in order; the pictures stay in the files.

    A label map beside them, label_map.pbtxt, names the classes; without one they are those that
    occur, in the order of their numbers.

    Args:
      shards: the files.
      complete: report shards of their sets that are missing.

    Raises:
      ValueError: the label map is malformed.
      OSError: the label map cannot be read.
    """
    label_map = shards[0].parent / LABEL_MAP
    labels = tuple(read_labels(label_map)) if label_map.is_file() else ()
    found = Annotations([], labels, Problems())
    seen: dict[str, int] = {}
    if complete:
        check_complete(shards, found.problems)
    for shard in shards:
        for place, record in _records(shard, found.problems):
            _add(found, f"{shard.name}, byte {place.offset}", place, record, seen)
    if labels:
        return found
    in_order = sorted((name for name in seen if name), key=lambda name: (seen[name], name))
    return Annotations(found.images, tuple(in_order), found.problems)


def _add(
    found: Annotations, where: str, place: RecordImage, record: bytes, seen: dict[str, int]
) -> None:
    try:
        features = parse_example(record)
        encoded_image(features)
        name = image_name(features) or where
        boxes = annotated_boxes(features, found.labels)
        seen.update(class_names(features))
    except ValueError as error:
        found.problems.skipped_images.append(Skipped(where, "record not readable", str(error)))
        return
    found.images.append(AnnotatedImage(name, place, tuple(boxes), in_pixels=False))


def _records(shard: Path, problems: Problems) -> Iterator[tuple[RecordImage, bytes]]:
    """Each record and its place. TensorFlow checks the checksums; after a wrong one the places of
    the others are not known, so the rest of the file is left out."""
    try:
        whole, rest = _whole_records(shard)
    except (OSError, ValueError) as error:
        problems.skipped_images.append(Skipped(shard.name, "shard not readable", str(error)))
        return
    offset, count = 0, 0
    try:
        for record in tf.data.TFRecordDataset(str(shard)).take(whole).as_numpy_iterator():
            place = RecordImage(shard, offset, len(record))
            offset, count = place.end, count + 1
            yield place, record
    except tf.errors.OpError as error:
        rest = without_graph_nodes(error.message)
    if rest:
        detail = f"after {count} records, at byte {offset}: {rest}"
        problems.skipped_images.append(Skipped(shard.name, "rest of a damaged shard", detail))


def _whole_records(shard: Path) -> tuple[int, str]:
    """How many records have their end in the file, and what is wrong behind them, or "".

    TensorFlow takes a length for granted, asks for as much memory, and ends the process when it
    gets none; a few bytes at the end it takes for the end.

    Raises:
      ValueError: it is no file, or a compressed one.
      OSError: it cannot be read.
    """
    size, offset, count = shard.stat().st_size, 0, 0
    with open_regular(shard) as file:
        if file.read(len(_GZIP)) == _GZIP:
            raise ValueError("it is compressed, expected it plain")
        while offset < size:
            file.seek(offset)
            length = int.from_bytes(file.read(8), "little")
            end = RecordImage(shard, offset, length).end
            if end > size:
                return count, f"a record of {end - offset} bytes where {size - offset} are left"
            offset, count = end, count + 1
    return count, ""


def check_complete(shards: Sequence[Path], problems: Problems) -> None:
    """Reports the shards that are missing of the sets that others belong to."""
    matches = [match for shard in shards if (match := SHARD.fullmatch(shard.name))]
    for name, count in sorted({(match["set"], match["count"]) for match in matches}):
        present = {int(m["number"]) for m in matches if (m["set"], m["count"]) == (name, count)}
        for number in sorted(set(range(int(count))) - present):
            shard = f"{name}-{number:05}-of-{count}"
            problems.skipped_images.append(Skipped(shard, "shard missing"))


def _set_name(name: str) -> str:
    match = SHARD.fullmatch(name)
    stem = match["set"] if match else name
    return re.sub(r"\.(tf)?records?$", "", stem)
