# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Reads and decodes pictures with TensorFlow's ops alone.

No Python runs while it reads, so as many cores as there are read at once, and another process can:
a worker of tf.data's service.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from training.data.example import RECORD_FRAME_BYTES, RecordImage
from training.data.picture import decode_content
from training.data.source import Source

_FILE, _RECORD, _EMBEDDED = range(3)


class GraphReader:
    """The pictures and boxes of a source by index, in graphs.

    Pictures that had to be re-encoded are constants of the graph; the others are read from where
    they are when they are asked for.

    Args:
      source: as `open_source` returns it.

    Raises:
      OSError: a file of records is gone.
    """

    def __init__(self, source: Source) -> None:
        images = [example.image for example in source.examples]
        # The file's name, or the content itself.
        texts: list[bytes] = []
        rows = np.zeros((len(images), 4), np.int64)
        sizes: dict[Path, int] = {}
        for row, image in zip(rows, images, strict=True):
            if isinstance(image, RecordImage):
                size = sizes.setdefault(image.path, image.path.stat().st_size)
                before = image.offset + RECORD_FRAME_BYTES
                row[:] = _RECORD, before, image.length, size - before - image.length
                texts.append(os.fsencode(image.path))
            elif isinstance(image, Path):
                row[0] = _FILE
                texts.append(os.fsencode(image))
            else:
                row[0] = _EMBEDDED
                texts.append(image)
        self._kinds = sorted(set(rows[:, 0].tolist()))
        self._texts, self._rows = tf.constant(texts), tf.constant(rows)
        self._names = tf.constant([os.fsencode(example.image_id) for example in source.examples])
        self._sizes = tf.constant([(e.height, e.width) for e in source.examples], tf.int32)
        targets = [example.targets() for example in source.examples]
        self._boxes = tf.constant(np.concatenate([boxes for boxes, _ in targets]), tf.float32)
        self._classes = tf.constant(np.concatenate([numbers for _, numbers in targets]), tf.int32)
        self._ends = tf.constant(np.cumsum([0, *(len(boxes) for boxes, _ in targets)]))

    def read(self, index: Any) -> tuple[Any, Any, Any]:
        """The picture uint8 [H, W, 3], its boxes float32 [M, 4] and classes int32 [M].

        Args:
          index: int64 scalar.

        Raises:
          tf.errors.OpError: when it runs: the picture is gone, damaged, or of another size.
        """
        pixels = decode_content(self._content(index))
        expected = self._sizes[index]
        check = tf.debugging.assert_equal(
            tf.shape(pixels)[:2],
            expected,
            message=tf.strings.join([self._names[index], " has not the pixels it had before"]),
            summarize=2,
        )
        with tf.control_dependencies([check]):
            pixels = tf.identity(pixels)
        first, end = self._ends[index], self._ends[index + 1]
        return pixels, self._boxes[first:end], self._classes[first:end]

    def _content(self, index: Any) -> Any:
        text, row = self._texts[index], self._rows[index]
        readers = {
            _FILE: lambda: tf.io.read_file(text),
            _RECORD: lambda: _record_image(text, row),
            _EMBEDDED: lambda: text,
        }
        if len(self._kinds) == 1:
            return readers[self._kinds[0]]()
        return tf.switch_case(tf.cast(row[0], tf.int32), readers)


def _record_image(path: Any, row: Any) -> Any:
    """image/encoded of the one record that is left between what comes before and after it."""
    records = tf.data.FixedLengthRecordDataset(
        path, row[2], header_bytes=row[1], footer_bytes=row[3]
    )
    key = "image/encoded"
    features = {key: tf.io.FixedLenFeature([], tf.string)}
    return tf.io.parse_single_example(records.get_single_element(), features)[key]
