# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""SSD's photometric distortion (Liu et al. 2016, section 2.2, after Howard 2013), with the limits
of the authors' code."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

BRIGHTNESS = 32.0
"""Added to pixels of 0 to 255, at most."""
CONTRAST = (0.5, 1.5)
SATURATION = (0.5, 1.5)
HUE = 18 / 360
"""Of a turn, at most."""


def random_photometric(image: Any, seed: Any) -> Any:
    """Changes brightness, contrast, saturation and hue, each with probability 1/2; contrast before
    or after the colours with equal chance.

    Args:
      image: float32 [H, W, 3], 0 to 255.
      seed: int [2], decides alone.

    Returns:
      float32 [H, W, 3], 0 to 255.
    """
    happens, early, amounts = tf.split(tf.random.stateless_uniform([9], seed), [4, 1, 4])
    happens = happens < 0.5
    neutral = tf.constant([0.0, 1.0, 1.0, 0.0])
    low = tf.constant([-BRIGHTNESS, CONTRAST[0], SATURATION[0], -HUE])
    high = tf.constant([BRIGHTNESS, CONTRAST[1], SATURATION[1], HUE])
    brightness, contrast, saturation, hue = tf.unstack(
        tf.where(happens, low + (high - low) * amounts, neutral)
    )
    first = tf.where(early[0] < 0.5, contrast, 1.0)
    image = _clip((image + brightness) * first)
    # Both cost more than all the rest, so they run only where they change something.
    image = tf.cond(happens[2], lambda: adjust_saturation(image, saturation), lambda: image)
    image = tf.cond(happens[3], lambda: adjust_hue(image, hue), lambda: image)
    return _clip(image * tf.where(early[0] < 0.5, 1.0, contrast))


def adjust_saturation(image: Any, factor: Any) -> Any:
    """Multiplies the saturation (of HSV) of float32 [..., 3] RGB, 0 to 255, by a factor."""
    return tf.image.adjust_saturation(image / 255, factor) * 255


def adjust_hue(image: Any, turn: Any) -> Any:
    """Turns the hue (of HSV) of float32 [..., 3] RGB, 0 to 255, by a part of a turn, -1 to 1."""
    return tf.image.adjust_hue(image / 255, turn) * 255


def _clip(image: Any) -> Any:
    return tf.clip_by_value(image, 0.0, 255.0)
