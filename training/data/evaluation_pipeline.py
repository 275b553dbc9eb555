# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""From a source to batches for scoring: the very pixels that `detops.Detector` sees."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from training.data.pipeline import CACHE_BYTES
from training.data.source import Source


def evaluation_batches(source: Source, *, image_size: int, batch_size: int) -> Any:
    """A finite tf.data.Dataset of the pictures in order, decoded and resized with Pillow.

    Where they take less than 1 GiB, a second pass over the same data set object finds them in
    memory.

    Args:
      source: as `open_source` returns it.
      image_size: of the square pictures, in pixels.
      batch_size: pictures a batch; the last picture is repeated to fill the last one.

    Returns:
      (images uint8 [B, S, S, 3], index int64 [B]), index being the place in the source.

    Raises:
      ValueError: the source is empty, or a number is out of range.
    """
    for name, value in (
        ("the number of pictures", len(source)),
        ("image_size", image_size),
        ("batch_size", batch_size),
    ):
        if value < 1:
            raise ValueError(f"{name} is {value}, expected at least 1")

    def read(index: NDArray[np.int64]) -> NDArray[np.uint8]:
        example = source.examples[int(index)]
        try:
            return resized_rgb(example.encoded(), image_size)
        # It was looked at when the source was opened; Pillow raises whatever it stumbles over.
        except Exception as error:
            raise ValueError(f"{example.image_id} can no longer be read: {error}") from error

    def sample(index: Any) -> tuple[Any, Any]:
        pixels = tf.numpy_function(read, [index], tf.uint8, stateful=False)
        return tf.ensure_shape(pixels, [image_size, image_size, 3]), index

    whole = -(-len(source) // batch_size) * batch_size
    indices = np.minimum(np.arange(whole, dtype=np.int64), len(source) - 1)
    samples = tf.data.Dataset.from_tensor_slices(indices)
    samples = samples.map(sample, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    if whole * image_size**2 * 3 <= CACHE_BYTES:
        samples = samples.cache()
    return samples.batch(batch_size, drop_remainder=True).prefetch(tf.data.AUTOTUNE)


def resized_rgb(content: bytes, size: int) -> NDArray[np.uint8]:
    """uint8 [size, size, 3] of a checked picture, as `detops.Detector` prepares it.

    Raises:
      OSError: the picture is damaged.
    """
    from PIL import Image

    with Image.open(io.BytesIO(content)) as picture:
        upright = picture.convert("RGB")
    return np.asarray(upright.resize((size, size), Image.Resampling.BILINEAR))
