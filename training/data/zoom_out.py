# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""SSD's zoom-out, for small objects (Liu et al. 2016, section 3.6: the "expansion trick")."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

MAX_RATIO = 4.0
PROBABILITY = 0.5
# The mean colour of ImageNet.
FILL = (124, 116, 104)


def random_zoom_out(image: Any, boxes: Any, seed: Any) -> tuple[Any, Any]:
    """With probability 1/2 puts a picture somewhere on a canvas of 1 to 4 times its sides.

    Args:
      image: uint8 [H, W, 3].
      boxes: float32 [M, 4] as fractions.
      seed: int [2], decides alone.
    """
    draws = tf.random.stateless_uniform([4], seed)
    ratio = 1 + (MAX_RATIO - 1) * draws[1]
    shape = tf.cast(tf.shape(image)[:2], tf.float32)
    canvas = tf.round(shape * ratio)
    place = tf.floor(draws[2:] * (canvas - shape + 1))

    def zoomed() -> tuple[Any, Any]:
        return put_on_canvas(image, boxes, tf.cast(place, tf.int32), tf.cast(canvas, tf.int32))

    return tf.cond(draws[0] < PROBABILITY, zoomed, lambda: (image, boxes))  # type: ignore[no-any-return]


def put_on_canvas(image: Any, boxes: Any, place: Any, canvas: Any) -> tuple[Any, Any]:
    """Puts a picture on a larger one of the colour `FILL`.

    Args:
      image: uint8 [H, W, 3].
      boxes: float32 [M, 4] as fractions of the picture.
      place: int32 [2] top, left of the picture on the canvas, in pixels.
      canvas: int32 [2] height, width.
    """
    shape = tf.shape(image)[:2]
    margins = tf.stack([place, canvas - shape - place], axis=1)
    # Zeros are what padding adds: shifted by the fill, they become it.
    shifted = tf.cast(image, tf.int16) - tf.constant(FILL, tf.int16)
    padded = tf.pad(shifted, tf.concat([margins, [[0, 0]]], axis=0))
    filled = tf.cast(padded + tf.constant(FILL, tf.int16), tf.uint8)
    scale = tf.tile(tf.cast(shape, tf.float32), [2])
    moved = boxes * scale + tf.tile(tf.cast(place, tf.float32), [2])
    return filled, moved / tf.tile(tf.cast(canvas, tf.float32), [2])
