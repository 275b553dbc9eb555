# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""From a source to batches for training."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from training.data.flip import random_flip
from training.data.image_store import ImageStore
from training.data.order import shuffled_order
from training.data.padding import pad_boxes
from training.data.photometric import random_photometric
from training.data.random_crop import random_crop
from training.data.resize import resize, to_uint8
from training.data.source import Source
from training.data.zoom_out import random_zoom_out

CACHE_BYTES = 1 << 30


def training_batches(
    source: Source,
    *,
    image_size: int,
    batch_size: int,
    max_boxes: int = 100,
    seed: int = 0,
    start_step: int = 0,
    rows: slice = slice(None),
    flip: bool = True,
    random_crop: bool = True,
    photometric: bool = True,
    zoom_out: bool = False,
    cache_bytes: int = CACHE_BYTES,
) -> Any:
    """An endless tf.data.Dataset of shuffled, augmented batches.

    A sample depends on the seed and its position (step * batch_size + row) alone: `start_step=k`
    gives what step k of an uninterrupted run got, and a batch holds what batches of one would.
    Every picture is seen once before any is seen again; a batch may span two such epochs. The
    source is read in this process.

    Args:
      source: as `open_source` returns it.
      image_size: of the square pictures, in pixels.
      batch_size: pictures a step.
      max_boxes: rows of ground truth for each picture; of more than that the largest stay.
      seed: of order and augmentation.
      start_step: the step to begin with.
      rows: of each batch, those that are wanted; the others are not read.
      flip: mirror half of the pictures.
      random_crop: SSD's random crop.
      photometric: change brightness, contrast, saturation and hue.
      zoom_out: SSD's zoom-out, before the crop.
      cache_bytes: decoded pictures are kept in memory if all of them take no more than this.

    Returns:
      (images uint8 [B, S, S, 3], {"boxes": float32 [B, max_boxes, 4] ymin, xmin, ymax, xmax as
      fractions, "classes": int32 [B, max_boxes], "valid": bool [B, max_boxes]}), zeros and False
      in the rows that are not used. Crowds are left out.

    Raises:
      ValueError: the source is empty, or a number is out of range.
    """
    _check(source, image_size, batch_size, max_boxes, start_step)
    store = ImageStore(source, cache_bytes)

    def read(index: NDArray[np.int64]) -> tuple[Any, Any, Any]:
        number = int(index)
        return store.pixels(number), *source.examples[number].targets()

    def sample(position: Any, index: Any) -> tuple[Any, dict[str, Any]]:
        image, boxes, classes = tf.numpy_function(
            read, [index], (tf.uint8, tf.float32, tf.int32), stateful=False
        )
        image = tf.ensure_shape(image, [None, None, 3])
        boxes, classes = tf.ensure_shape(boxes, [None, 4]), tf.ensure_shape(classes, [None])
        image, boxes, classes = augment(
            image,
            boxes,
            classes,
            tf.stack([tf.cast(seed, tf.int64), position]),
            image_size=image_size,
            flip=flip,
            crop=random_crop,
            photometric=photometric,
            zoom_out=zoom_out,
        )
        return image, pad_boxes(boxes, classes, max_boxes)

    order = shuffled_order(len(source), seed=seed, start=start_step * batch_size)
    if len(range(batch_size)[rows]) < batch_size:
        steps = order.batch(batch_size, drop_remainder=True)
        order = steps.map(lambda *step: tuple(part[rows] for part in step)).unbatch()
    samples = order.map(sample, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    samples = samples.batch(len(range(batch_size)[rows]), drop_remainder=True)
    return samples.prefetch(tf.data.AUTOTUNE)


def augment(
    image: Any,
    boxes: Any,
    classes: Any,
    seed: Any,
    *,
    image_size: int,
    flip: bool,
    crop: bool,
    photometric: bool,
    zoom_out: bool,
) -> tuple[Any, Any, Any]:
    """One picture through all that was asked for, and to the network's size.

    Each operation has its own draws: switching one off leaves the others as they were. Colours
    are changed last, where the picture is smallest.

    Args:
      image: uint8 [H, W, 3].
      boxes: float32 [M, 4].
      classes: int32 [M].
      seed: int64 [2].

    Returns:
      uint8 [image_size, image_size, 3], float32 [K, 4], int32 [K].
    """
    zoom_seed, crop_seed, flip_seed, colour_seed = tf.unstack(tf.random.split(seed, 4))
    if zoom_out:
        image, boxes = random_zoom_out(image, boxes, zoom_seed)
    if crop:
        image, boxes, classes = random_crop(image, boxes, classes, crop_seed)
    pixels = resize(image, image_size)
    if flip:
        pixels, boxes = random_flip(pixels, boxes, flip_seed)
    if photometric:
        pixels = random_photometric(pixels, colour_seed)
    return to_uint8(pixels), boxes, classes


def _check(
    source: Source, image_size: int, batch_size: int, max_boxes: int, start_step: int
) -> None:
    if not len(source):
        raise ValueError("the source has no pictures, expected at least 1")
    for name, value, least in (
        ("image_size", image_size, 1),
        ("batch_size", batch_size, 1),
        ("max_boxes", max_boxes, 1),
        ("start_step", start_step, 0),
    ):
        if value < least:
            raise ValueError(f"{name} is {value}, expected at least {least}")
