# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Batch norm's statistics for weights that came without them.

A published file has batch norm folded into its kernels. Put in front of a batch norm that changes
nothing they compute the same, but a step with live batch norm would normalise their results anew
and destroy the function. So the statistics are measured, and gamma and beta set against them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import keras
import numpy as np
from keras import ops

from training.models.conv_block import EPSILON


def calibrate_batch_norm(model: Any, images: Any, keep: Iterable[Any] = ()) -> None:
    """Sets the moving statistics to those of some images, layer by layer in one pass.

    Args:
      model: a `training.models.Detector`.
      images: uint8 or float [B, S, S, 3], 0 to 255, at once: 32 images of 300 pixels through a
        MobileNet of full depth take half a gigabyte.
      keep: the blocks whose function stays exactly: their gamma and beta change with the
        statistics. The others get statistics only, which is a start that suits the data.

    Raises:
      ValueError: there are no images.
    """
    if not len(images):
        raise ValueError("images is empty, expected at least one")
    kept = {id(block) for block in keep}

    def measure(block: Any, convolved: Any) -> None:
        mean, variance = (
            np.asarray(ops.convert_to_numpy(values), np.float64)
            for values in ops.moments(ops.cast(convolved, "float32"), axes=(0, 1, 2))
        )
        if id(block) in kept:
            gamma, beta, old_mean, old_variance = (
                np.asarray(ops.convert_to_numpy(weight), np.float64)
                for weight in (block.gamma, block.beta, block.moving_mean, block.moving_variance)
            )
            factor = gamma / np.sqrt(old_variance + EPSILON)
            block.gamma.assign((factor * np.sqrt(variance + EPSILON)).astype(np.float32))
            block.beta.assign((beta + (mean - old_mean) * factor).astype(np.float32))
        block.moving_mean.assign(mean.astype(np.float32))
        block.moving_variance.assign(variance.astype(np.float32))

    with model.phase.in_mode("float"):
        model.phase.measure = measure
        try:
            # Called and not predicted: the blocks have to see values.
            model(keras.ops.convert_to_tensor(images), training=False)
        finally:
            model.phase.measure = None
