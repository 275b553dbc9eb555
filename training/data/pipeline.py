# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""From a source to batches for training."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from training.data.flip import random_flip
from training.data.graph_reader import GraphReader
from training.data.image_store import ImageStore
from training.data.order import BatchOrder
from training.data.padding import pad_boxes
from training.data.photometric import random_photometric
from training.data.random_crop import random_crop
from training.data.resize import resize, to_uint8
from training.data.service import served_batches
from training.data.share import WHOLE, Share
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
    flip: bool = True,
    random_crop: bool = True,
    photometric: bool = True,
    zoom_out: bool = False,
    cache_bytes: int = CACHE_BYTES,
    cache_folder: str = "",
    share: Share = WHOLE,
    data_service: str = "",
) -> Any:
    """An endless tf.data.Dataset of shuffled, augmented batches.

    A sample depends on the seed and its position (step * batch_size + row) alone: `start_step=k`
    gives what step k of an uninterrupted run got, and a batch holds what batches of one would.
    Every picture is seen once before any is seen again; a batch may span two such epochs.

    Args:
      source: as `open_source` returns it.
      image_size: of the square pictures, in pixels.
      batch_size: pictures a step, of all hosts together.
      max_boxes: rows of ground truth for each picture; of more than that the largest stay.
      seed: of order and augmentation.
      start_step: the step to begin with.
      flip: mirror half of the pictures.
      random_crop: SSD's random crop.
      photometric: change brightness, contrast, saturation and hue.
      zoom_out: SSD's zoom-out, before the crop.
      cache_bytes: decoded pictures are kept in memory if all of them take no more than this.
      cache_folder: else they are kept there, 3 bytes a pixel; "" to decode each time.
      share: of the batch: B below is batch_size / share.count. Each host has its rows of the batch
        of one host; if `source` is the same share of the data, it has pictures of that.
      data_service: "grpc://host:port" of a tf.data service (`training.data.service`) whose workers
        make the batches. They read the files of `source` under the same names.

    Returns:
      (images uint8 [B, S, S, 3], {"boxes": float32 [B, max_boxes, 4] ymin, xmin, ymax, xmax as
      fractions, "classes": int32 [B, max_boxes], "valid": bool [B, max_boxes]}), zeros and False
      in the rows that are not used. Crowds are left out.

    Raises:
      ValueError: the source is empty, a number is out of range, or shares do not fit together.
    """
    _check(source, image_size, batch_size, max_boxes, start_step)
    order = BatchOrder(source, batch_size, seed, share)
    keep = not data_service and (cache_folder or source.decoded_bytes() <= cache_bytes)
    read = _kept(source, cache_bytes, cache_folder) if keep else GraphReader(source).read

    def sample(position: Any, index: Any) -> tuple[Any, dict[str, Any]]:
        image, boxes, classes = read(index)
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

    def from_step(step: Any) -> Any:
        samples = order.from_step(step).map(
            sample, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True
        )
        return samples.batch(order.rows, drop_remainder=True)

    if data_service:
        return served_batches(
            lambda step: from_step(step).take(1).get_single_element(), data_service, start_step
        )
    return from_step(start_step).prefetch(tf.data.AUTOTUNE)


def _kept(source: Source, cache_bytes: int, cache_folder: str) -> Callable[[Any], Any]:
    """Reads through a store of decoded pictures, in this process."""
    store = ImageStore(source, cache_bytes, cache_folder)

    def read(index: NDArray[np.int64]) -> tuple[Any, Any, Any]:
        number = int(index)
        return store.pixels(number), *source.examples[number].targets()

    return lambda index: tf.numpy_function(
        read, [index], (tf.uint8, tf.float32, tf.int32), stateful=False
    )


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
    are changed where the picture is smallest, and it is mirrored as bytes, which are the least.

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
    if photometric:
        pixels = random_photometric(pixels, colour_seed)
    pixels = to_uint8(pixels)
    if flip:
        pixels, boxes = random_flip(pixels, boxes, flip_seed)
    return pixels, boxes, classes


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
