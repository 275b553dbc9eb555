# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""The decoded pictures of a source, kept in memory or in a folder."""

from __future__ import annotations

import contextlib
import hashlib
import threading
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from detops.whole_file import replacing
from training.data.example import Example, RecordImage
from training.data.picture import decode_rgb
from training.data.source import Source

_CHECKSUM_BYTES = 4


class ImageStore:
    """Decodes pictures by index, each of them once if it may keep them.

    Pictures may be asked for in any order, so unlike `Dataset.cache` it does not stand between the
    shuffling and an exact resume. For use from several threads at once, and a folder from several
    processes.

    Args:
      source: whose pictures.
      cache_bytes: they are kept in memory if all of them take no more than this.
      folder: else they are kept there, as files of 3 bytes a pixel; "" to keep none.

    Raises:
      OSError: the folder cannot be made.
    """

    def __init__(self, source: Source, cache_bytes: int, folder: str = "") -> None:
        self._examples = source.examples
        self._keep = source.decoded_bytes() <= cache_bytes
        self._kept: dict[int, NDArray[np.uint8]] = {}
        self._folder = Path(folder) if folder and not self._keep else None
        if self._folder is not None:
            self._folder.mkdir(parents=True, exist_ok=True)

    def pixels(self, index: int) -> NDArray[np.uint8]:
        """uint8 [height, width, 3].

        Raises:
          ValueError: the picture is damaged or not of the size it had when it was opened.
          OSError: it cannot be read any more.
        """
        kept = self._kept.get(index)
        if kept is not None:
            return kept
        if self._folder is not None:
            return _through_folder(self._folder, self._examples[index])
        pixels = _decoded(self._examples[index])
        if self._keep:
            self._kept[index] = pixels
        return pixels


def _through_folder(folder: Path, example: Example) -> NDArray[np.uint8]:
    path = folder / f"{_key(example)}.rgb"
    shape = (example.height, example.width, 3)
    kept = _kept(path, shape)
    if kept is not None:
        return kept
    pixels = _decoded(example)
    # A small data set is asked for the same picture by two threads at once.
    own = path.with_name(f"{threading.get_ident()}.{path.name}")
    # The folder only saves time: a full disk, or one that is gone, stops nothing.
    with contextlib.suppress(OSError):
        with replacing(own) as unfinished:
            unfinished.write_bytes(pixels.tobytes() + _checksum(pixels))
        own.replace(path)
    return pixels


def _kept(path: Path, shape: tuple[int, int, int]) -> NDArray[np.uint8] | None:
    """The pixels in a file, which are followed by their checksum; None if it is not as written."""
    # The source knows the shape, and a file of another size is not this one.
    size = int(np.prod(shape))
    try:
        if not path.is_file() or path.stat().st_size != size + _CHECKSUM_BYTES:
            return None
        content = np.fromfile(path, np.uint8)
    except OSError:
        return None
    pixels, checksum = content[:size], content[size:]
    return pixels.reshape(shape) if checksum.tobytes() == _checksum(pixels) else None


def _checksum(pixels: NDArray[np.uint8]) -> bytes:
    return zlib.crc32(pixels.data).to_bytes(_CHECKSUM_BYTES, "little")


def _key(example: Example) -> str:
    """Of the picture's content, without reading it: a file that changes gets another key."""
    image = example.image
    if isinstance(image, bytes):
        return hashlib.sha256(image).hexdigest()
    path, place = (image.path, image.offset) if isinstance(image, RecordImage) else (image, 0)
    status = path.stat()
    parts = (path.resolve(), place, status.st_size, status.st_mtime_ns)
    return hashlib.sha256("|".join(map(str, parts)).encode()).hexdigest()


def _decoded(example: Example) -> NDArray[np.uint8]:
    try:
        pixels = decode_rgb(example.encoded())
    except ValueError as error:
        raise ValueError(f"{example.image_id}: {error}") from error
    if pixels.shape[:2] != (example.height, example.width):
        got = f"{pixels.shape[1]} x {pixels.shape[0]}"
        expected = f"{example.width} x {example.height}"
        raise ValueError(f"{example.image_id} has {got} pixels, expected {expected} as before")
    return pixels
