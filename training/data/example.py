# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""One picture with its boxes, and where its bytes are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detops.whole_file import read_regular

RECORD_FRAME_BYTES = 12
"""Before the content of a TFRecord: its length (8 bytes) and that length's checksum (4 bytes)."""


@dataclass(frozen=True)
class RecordImage:
    """The picture in a record of a TFRecord file, read when it is asked for."""

    path: Path
    offset: int
    """Of the record's frame in the file, in bytes."""
    length: int
    """Of the record's content, in bytes."""

    def read(self) -> bytes:
        """The encoded picture.

        Raises:
          ValueError: the record changed and is no tf.train.Example with a picture.
          OSError: the file cannot be read.
        """
        from training.data.tf_example import encoded_image, parse_example

        with self.path.open("rb") as file:
            file.seek(self.offset + RECORD_FRAME_BYTES)
            return encoded_image(parse_example(file.read(self.length)))

    @property
    def end(self) -> int:
        """The offset of the next record: a checksum of 4 bytes follows the content."""
        return self.offset + RECORD_FRAME_BYTES + self.length + 4


ImageContent = Path | bytes | RecordImage


def read_content(image: ImageContent) -> bytes:
    """The encoded picture (JPEG, PNG, ...)."""
    if isinstance(image, bytes):
        return image
    return read_regular(image) if isinstance(image, Path) else image.read()


@dataclass(frozen=True, eq=False)
class Example:
    """A picture that TensorFlow can decode to upright RGB, and what is on it."""

    image: ImageContent
    """A file, a record, or the encoded picture itself where it had to be re-encoded."""
    image_id: str
    """The name of the file, relative to the folder of pictures."""
    height: int
    """In pixels, upright."""
    width: int
    boxes: NDArray[np.float32]
    """[M, 4] ymin, xmin, ymax, xmax as fractions of the picture, inside it, with an area."""
    classes: NDArray[np.int32]
    """[M], from 0."""
    crowd: NDArray[np.bool_]
    """[M], a group of objects or one marked as difficult: neither trained on nor scored."""

    def encoded(self) -> bytes:
        """The picture's bytes, JPEG or PNG.

        Raises:
          OSError: the file cannot be read any more.
        """
        return read_content(self.image)

    def targets(self) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
        """Boxes [K, 4] and classes [K] to train on: all but the crowds."""
        return self.boxes[~self.crowd], self.classes[~self.crowd]

    def pixel_boxes(self) -> NDArray[np.float64]:
        """[M, 4] ymin, xmin, ymax, xmax in pixels of the picture."""
        sides: Any = (self.height, self.width, self.height, self.width)
        return self.boxes.astype(np.float64) * np.asarray(sides, np.float64)
