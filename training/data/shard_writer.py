# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Writes a source as TFRecord shards with their label map."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import tensorflow as tf

from detops.labels import read_labels
from detops.whole_file import replacing
from training.data.source import Source
from training.data.tf_example import make_example
from training.data.tf_record import LABEL_MAP

SHARD_BYTES = 100 << 20
"""About the size of a shard where the number of shards is not given."""


def write_shards(
    source: Source,
    folder: Path,
    *,
    name: str = "train",
    shards: int = 0,
    overwrite: bool = False,
    on_image: Callable[[], None] = lambda: None,
) -> list[Path]:
    """Writes NAME-00000-of-00004.tfrecord, ... and label_map.pbtxt; reading them in order gives
    the examples in order.

    Everything is written under temporary names and renamed at the end, so an interrupted run
    leaves nothing that looks complete.

    Args:
      source: what to write.
      folder: made if it is missing.
      name: of the set.
      shards: how many files; 0 for one per 100 MiB.
      overwrite: replace the shards of this name, and the label map.
      on_image: called after each picture.

    Returns:
      The paths of the shards.

    Raises:
      ValueError: shards of this name are there, the label map there names other classes, or a
        number or name is out of range.
      OSError: a picture cannot be read, or a file not written.
    """
    count = shards or _shards_for(source)
    check_shards(len(source), name, count)
    old = prepare_folder(folder, name, source.labels, overwrite=overwrite)
    label_map = folder / LABEL_MAP
    paths = [shard_path(folder, name, number, count) for number in range(count)]
    with contextlib.ExitStack() as stack:
        temporary = [stack.enter_context(replacing(path)) for path in (*paths, label_map)]
        for number, path in enumerate(temporary[:-1]):
            first, end = (len(source) * i // count for i in (number, number + 1))
            try:
                with tf.io.TFRecordWriter(str(path)) as writer:
                    for example in source.examples[first:end]:
                        writer.write(make_example(example, source.labels))
                        on_image()
            except tf.errors.OpError as error:
                # TensorFlow's own, and no OSError: a full disk, a folder that is gone.
                raise OSError(f"{paths[number]} cannot be written: {error.message}") from error
        temporary[-1].write_text(label_map_text(source.labels), encoding="utf-8")
        # All is written. Killed from here on it leaves a set that lacks shards, which readers
        # report; of new shards among old ones, under one label map, they could not tell.
        for path in old:
            # What a link leads to is replaced: the link stays.
            Path(os.path.realpath(path) if path in paths else path).unlink()
    return paths


def shard_path(folder: Path, name: str, number: int, count: int) -> Path:
    """Where a shard of a set is."""
    return folder / f"{name}-{number:05}-of-{count:05}.tfrecord"


def prepare_folder(
    folder: Path, name: str, labels: Sequence[str], *, overwrite: bool = False
) -> list[Path]:
    """Makes a folder for a set, and gives the shards of the same name that are there.

    Raises:
      ValueError: there are some, or the label map there names other classes, and `overwrite` is
        not given.
      OSError: the folder cannot be made.
    """
    folder.mkdir(parents=True, exist_ok=True)
    old = sorted(folder.glob(f"{name}-?????-of-?????.tfrecord"))
    if old and not overwrite:
        raise ValueError(f"{old[0]} exists: give another name, or --overwrite to replace the set")
    if not overwrite:
        _check_label_map(folder / LABEL_MAP, labels)
    return old


def label_map_text(labels: Sequence[str]) -> str:
    """A StringIntLabelMap: ids from 1, as `detops.labels.read_labels` takes it."""
    items = [f'item {{\n  id: {i}\n  name: "{_escaped(n)}"\n}}\n' for i, n in enumerate(labels, 1)]
    return "\n".join(items)


def _shards_for(source: Source) -> int:
    # Not exact: what JPEG makes of a decoded picture.
    return min(max(1, math.ceil(source.decoded_bytes() / 8 / SHARD_BYTES)), len(source))


def check_shards(pictures: int, name: str, count: int) -> None:
    """Refuses a number of shards or a name that cannot be.

    Raises:
      ValueError: more shards than pictures or less than one, or a name that is no file's.
    """
    if not 1 <= count <= min(pictures, 99_999):
        raise ValueError(f"shards is {count}, expected 1 to {pictures}, the number of pictures")
    if not name or name != Path(name).name or name.startswith(".") or set(name) & set("*?["):
        raise ValueError(f"name is {name!r}, expected the beginning of a file's name")


def _check_label_map(path: Path, labels: Sequence[str]) -> None:
    if not path.exists():
        return
    there = read_labels(path)
    if there != list(labels):
        raise ValueError(
            f"{path} names {len(there)} classes, {', '.join(there[:3])}, ..., the data "
            f"{len(labels)}, {', '.join(labels[:3])}, ...: give --labels {path} or another folder"
        )


def _escaped(name: str) -> str:
    return name.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r")
