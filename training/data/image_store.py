# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""The decoded pictures of a source, kept in memory where all of them have room."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from training.data.picture import decode_rgb
from training.data.source import Source


class ImageStore:
    """Decodes pictures by index, each of them once if the whole source fits.

    Pictures may be asked for in any order, so unlike `Dataset.cache` it does not stand between the
    shuffling and an exact resume. For use from several threads at once.
    """

    def __init__(self, source: Source, cache_bytes: int) -> None:
        self._examples = source.examples
        self._keep = source.decoded_bytes() <= cache_bytes
        self._kept: dict[int, NDArray[np.uint8]] = {}

    def pixels(self, index: int) -> NDArray[np.uint8]:
        """uint8 [height, width, 3].

        Raises:
          ValueError: the picture is damaged or not of the size it had when it was opened.
          OSError: it cannot be read any more.
        """
        kept = self._kept.get(index)
        if kept is not None:
            return kept
        example = self._examples[index]
        try:
            pixels = decode_rgb(example.encoded())
        except ValueError as error:
            raise ValueError(f"{example.image_id}: {error}") from error
        if pixels.shape[:2] != (example.height, example.width):
            got = f"{pixels.shape[1]} x {pixels.shape[0]}"
            expected = f"{example.width} x {example.height}"
            raise ValueError(f"{example.image_id} has {got} pixels, expected {expected} as before")
        if self._keep:
            self._kept[index] = pixels
        return pixels
