# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Batches on their way to the devices while the step before still runs."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any

import keras

AHEAD = 2
"""Batches that wait on the devices. Each takes its bytes there: 79 MB for 64 of 640 x 640."""


def on_devices(batches: Any, ahead: int = AHEAD) -> Any:
    """The same batches, sent `ahead` of their use.

    Under JAX on one host: as Keras would lay them out, over the devices of the distribution that
    is set. Keras itself sends a batch when it is wanted there. On TensorFlow, whose data sets and
    strategies do this, and on several hosts, where each host's part has to be joined first, they
    come back as they are.

    Args:
      batches: a tf.data.Dataset, or anything that gives (images, truth).
      ahead: how many wait.

    Raises:
      ValueError: `ahead` is less than 1.
    """
    if ahead < 1:
        raise ValueError(f"ahead is {ahead}, expected at least 1")
    if keras.backend.backend() != "jax":
        return batches
    import jax

    return batches if jax.process_count() > 1 else _sent(batches, ahead)


def _sent(batches: Iterable[Any], ahead: int) -> Iterator[Any]:
    waiting: deque[Any] = deque()
    for batch in batches:
        waiting.append(keras.tree.map_structure(_send, batch))
        if len(waiting) > ahead:
            yield waiting.popleft()
    yield from waiting


def _send(values: Any) -> Any:
    """Begins to copy; JAX does not wait for the end."""
    import jax
    import numpy as np

    array = np.asarray(values)
    distribution = keras.distribution.distribution()
    if distribution is None:
        return jax.device_put(array)
    layout = distribution.get_data_layout(array.shape)
    return jax.device_put(array, layout.backend_layout)
