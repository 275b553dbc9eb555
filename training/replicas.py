# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""The replicas that share the batch of a step, seen from within the step.

JAX has one program for all devices: a sum over the batch is the sum over all replicas already.
Under TensorFlow each replica has a program and its rows of the batch, and must ask the others.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops


def count() -> int:
    """How many devices share a batch."""
    return devices_of_program() * programs()


def devices_of_program() -> int:
    """How many devices run this program, each on its rows: under JAX all, else one."""
    distribution = keras.distribution.distribution()
    return 1 if distribution is None else int(np.prod(distribution.device_mesh.shape))


def programs() -> int:
    """How many replicas of this program there are: under TensorFlow all, else one."""
    if keras.backend.backend() != "tensorflow":
        return 1
    import tensorflow as tf

    return int(tf.distribute.get_strategy().num_replicas_in_sync)


def total(values: Any) -> Any:
    """The sums over all replicas of a tensor or a list of them; gradients flow through."""
    if programs() == 1:
        return values
    import tensorflow as tf

    return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, values)


def mean(value: Any) -> Any:
    """The mean over all replicas of a float tensor."""
    return total(value) / programs()


def largest(value: Any) -> Any:
    """The elementwise maximum over all replicas of a float32 tensor."""
    if programs() == 1:
        return value
    import tensorflow as tf

    # tf.distribute has sums alone: every replica fills its own row of a table.
    number = tf.distribute.get_replica_context().replica_id_in_sync_group
    row = ops.reshape(ops.arange(programs()) == number, (-1, *[1] * len(value.shape)))
    return ops.max(total(ops.where(row, ops.expand_dims(value, 0), 0.0)), axis=0)
