# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""The random crop of SSD (Liu et al. 2016, "SSD: Single Shot MultiBox Detector", section 2.2).

As in the Object Detection API the overlap is the part of the object that the crop shows, and not
the paper's IoU of crop and object, by which a crop of .9 is little more than the object itself.
"""

from __future__ import annotations

import math
from typing import Any

import tensorflow as tf

MIN_COVERED = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0)
AREA = (0.1, 1.0)
ASPECT = (0.5, 2.0)
TRIALS = 50


def random_crop(image: Any, boxes: Any, classes: Any, seed: Any) -> tuple[Any, Any, Any]:
    """Cuts out a random part that shows enough of one of the objects.

    The picture stays whole, or one of `MIN_COVERED` becomes the least fraction of at least one
    object that the part shows: with equal chance among those for which a trial succeeds. The part
    has .1 to 1 of the area and an aspect of .5 to 2. Objects whose centre is outside are dropped,
    the others are clipped.

    Args:
      image: [H, W, 3].
      boxes: float32 [M, 4] as fractions; may be empty, then every part will do.
      classes: int32 [M].
      seed: int [2], decides alone.
    """
    height, width = tf.shape(image)[0], tf.shape(image)[1]
    window = sample_window(height, width, boxes, seed)
    return crop(image, boxes, classes, window)


def sample_window(height: Any, width: Any, boxes: Any, seed: Any) -> Any:
    """Chooses the part of the picture: int32 [4] top, left, height, width in pixels.

    All trials are drawn at once; each least fraction takes the first that suits it.

    Args:
      height, width: int32 scalars, pixels.
      boxes: float32 [M, 4] as fractions.
      seed: int [2].
    """
    choice_seed, shape_seed = tf.unstack(tf.random.split(seed, 2))
    windows, fits = _candidates(height, width, shape_seed)
    suits = fits & _suits(_fractions(windows, height, width), boxes)
    choices = tf.concat(
        [
            [tf.stack([0, 0, height, width])],
            tf.gather(windows, tf.argmax(tf.cast(suits, tf.int32), axis=1)),
        ],
        axis=0,
    )
    possible = tf.concat([[True], tf.reduce_any(suits, axis=1)], axis=0)
    draws = tf.random.stateless_uniform([len(MIN_COVERED) + 1], choice_seed)
    return choices[tf.argmax(tf.where(possible, draws, -1.0))]


def crop(image: Any, boxes: Any, classes: Any, window: Any) -> tuple[Any, Any, Any]:
    """Cuts a part out of a picture.

    Args:
      image: [H, W, 3].
      boxes: float32 [M, 4] as fractions of the picture.
      classes: int32 [M].
      window: int32 [4] top, left, height, width in pixels, inside the picture.

    Returns:
      The part, and the boxes [K, 4], as fractions of the part, and classes [K] of the objects
      whose centre is in it, clipped.
    """
    top, left, height, width = tf.unstack(window)
    part = image[top : top + height, left : left + width]
    shape = tf.shape(image)
    area = _fractions(window[tf.newaxis], shape[0], shape[1])
    inside = _centres_inside(area, boxes)[0]
    size = area[:, 2:] - area[:, :2]
    moved = (boxes - tf.tile(area[:, :2], [1, 2])) / tf.tile(size, [1, 2])
    moved = tf.clip_by_value(moved, 0.0, 1.0)
    inside &= tf.reduce_all(moved[:, 2:] > moved[:, :2], axis=1)
    return part, tf.boolean_mask(moved, inside), tf.boolean_mask(classes, inside)


def covered_table(windows: Any, boxes: Any) -> Any:
    """The fraction of each box [M, 4] that each window [T, 4] shows: float32 [T, M]."""
    low = tf.maximum(windows[:, tf.newaxis, :2], boxes[tf.newaxis, :, :2])
    high = tf.minimum(windows[:, tf.newaxis, 2:], boxes[tf.newaxis, :, 2:])
    shown = tf.reduce_prod(tf.maximum(high - low, 0.0), axis=2)
    return shown / tf.reduce_prod(boxes[:, 2:] - boxes[:, :2], axis=1)


def _candidates(height: Any, width: Any, seed: Any) -> tuple[Any, Any]:
    """Windows int32 [T, 4], and bool [T]: whether they are inside the picture."""
    draws = tf.unstack(tf.random.stateless_uniform([4, TRIALS], seed))
    high, wide = tf.cast(height, tf.float32), tf.cast(width, tf.float32)
    area = (AREA[0] + (AREA[1] - AREA[0]) * draws[0]) * high * wide
    # Uniform in the logarithm: as many tall parts as wide ones.
    aspect = tf.exp(math.log(ASPECT[0]) + math.log(ASPECT[1] / ASPECT[0]) * draws[1])
    tall = tf.maximum(tf.round(tf.sqrt(area / aspect)), 1.0)
    broad = tf.maximum(tf.round(tf.sqrt(area * aspect)), 1.0)
    fits = (tall <= high) & (broad <= wide)
    top, left = tf.floor(draws[2] * (high - tall + 1)), tf.floor(draws[3] * (wide - broad + 1))
    return tf.cast(tf.stack([top, left, tall, broad], axis=1), tf.int32), fits


def _suits(windows: Any, boxes: Any) -> Any:
    """bool [len(MIN_COVERED), T]: enough of an object is shown, and the centre of one."""
    # Without objects every part will do.
    most = tf.reduce_max(tf.pad(covered_table(windows, boxes), [[0, 0], [0, 1]]), axis=1)
    # A whole object may come out a rounding below 1.
    enough = most[tf.newaxis] >= tf.constant(MIN_COVERED)[:, tf.newaxis] - 1e-5
    centres = tf.reduce_any(_centres_inside(windows, boxes), axis=1)
    return (enough & centres) | (tf.shape(boxes)[0] == 0)


def _centres_inside(windows: Any, boxes: Any) -> Any:
    """bool [T, M]."""
    centres = (boxes[tf.newaxis, :, :2] + boxes[tf.newaxis, :, 2:]) / 2
    low, high = windows[:, tf.newaxis, :2], windows[:, tf.newaxis, 2:]
    return tf.reduce_all((centres >= low) & (centres < high), axis=2)


def _fractions(windows: Any, height: Any, width: Any) -> Any:
    """Windows int32 [T, 4] top, left, height, width as corners in fractions, float32 [T, 4]."""
    corner = tf.cast(tf.concat([windows[:, :2], windows[:, :2] + windows[:, 2:]], 1), tf.float32)
    return corner / tf.cast(tf.stack([height, width, height, width]), tf.float32)
