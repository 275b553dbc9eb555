# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Mean and variance of a batch that one device or several share."""

from __future__ import annotations

from typing import Any

from keras import ops

from training import replicas

Statistics = tuple[Any, Any]
"""Mean and variance, float32."""


def batch_statistics(values: Any, *, synchronized: bool) -> tuple[Statistics, Statistics]:
    """What a batch is normalised with, and what the long-term statistics follow.

    Args:
      values: float32 [B, H, W, C].
      synchronized: over the whole batch; else each replica normalises with its own rows, which
        needs no communication within the layer.

    Returns:
      The first of shape [C], or [B, 1, 1, C] where one program has several replicas that are not
      synchronised; the second, equal on all replicas, [C].
    """
    if synchronized:
        found = _of_all_replicas(values)
        return found, found
    parts = replicas.devices_of_program()
    if parts > 1:
        return _of_each_part(values, parts)
    own = ops.moments(values, axes=(0, 1, 2))
    return own, (replicas.mean(own[0]), replicas.mean(own[1]))


def _of_all_replicas(values: Any) -> Statistics:
    axes = (0, 1, 2)
    if replicas.programs() == 1:
        mean, variance = ops.moments(values, axes=axes)
        return mean, variance
    mean = replicas.mean(ops.mean(values, axis=axes))
    # Not the mean square less the squared mean: the difference of two large numbers.
    return mean, replicas.mean(ops.mean(ops.square(values - mean), axis=axes))


def _of_each_part(values: Any, parts: int) -> tuple[Statistics, Statistics]:
    rows, *cell = values.shape
    grouped = ops.reshape(values, (parts, rows // parts, *cell))
    mean, variance = ops.moments(grouped, axes=(1, 2, 3))

    def for_each_row(of_parts: Any) -> Any:
        return ops.expand_dims(ops.repeat(of_parts, rows // parts, axis=0), (1, 2))

    return (
        (for_each_row(mean), for_each_row(variance)),
        (ops.mean(mean, axis=0), ops.mean(variance, axis=0)),
    )
