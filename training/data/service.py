# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Batches made by other machines: tf.data's service, with the order kept.

    python -m training.data dispatch --port 5000            on one machine
    python -m training.data work grpc://HOST:5000           on as many as are needed

The service hands out steps, one to a worker at a time, and batches come back as they are done.
They are put into order here: what a step trains on does not depend on how many workers there are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import tensorflow as tf

from training.data.order import FOREVER

_MOST_WAITING = 64
"""Batches of later steps that are held before one counts as lost."""


def served_batches(make_batch: Callable[[Any], Any], service: str, start_step: int) -> Any:
    """An endless tf.data.Dataset of the batches from `start_step` on, in order.

    Args:
      make_batch: an int64 step to its batch, in TensorFlow's ops alone.
      service: address of the dispatcher, "grpc://host:port".
      start_step: the first step.

    Raises:
      ValueError: the address is not of this form.
      tf.errors.OpError: when it runs: a worker was lost with a batch, or the dispatcher is gone.
    """
    if not service.startswith("grpc://") or ":" not in service.removeprefix("grpc://"):
        raise ValueError(f"data_service is {service!r}, expected grpc://HOST:PORT")
    made = tf.data.Dataset.range(start_step, FOREVER).map(
        lambda step: (step, make_batch(step)), num_parallel_calls=tf.data.AUTOTUNE
    )
    served = made.apply(
        tf.data.experimental.service.distribute(
            processing_mode=tf.data.experimental.service.ShardingPolicy.DYNAMIC, service=service
        )
    )
    _, spec = made.element_spec
    ordered = tf.data.Dataset.from_generator(
        lambda: _in_order(served, start_step), output_signature=spec
    )
    return ordered.prefetch(tf.data.AUTOTUNE)


def _in_order(served: Any, start_step: int) -> Iterator[Any]:
    waiting: dict[int, Any] = {}
    step = start_step
    for number, batch in served:
        waiting[int(number)] = batch
        while step in waiting:
            yield waiting.pop(step)
            step += 1
        if len(waiting) > _MOST_WAITING:
            raise RuntimeError(
                f"the batch of step {step} has not come, {len(waiting)} later ones have: a worker "
                "of the data service was lost; start again from the last checkpoint"
            )


def run_dispatcher(port: int) -> Any:
    """A running tf.data DispatchServer; port 0 takes a free one."""
    config = tf.data.experimental.service.DispatcherConfig(port=port)
    return tf.data.experimental.service.DispatchServer(config)


def run_worker(service: str, port: int = 0, address: str = "") -> Any:
    """A running tf.data WorkerServer.

    Args:
      service: the dispatcher's address.
      port: of the worker; 0 takes a free one.
      address: "host:port" by which those who train reach it; "" for localhost.
    """
    config = tf.data.experimental.service.WorkerConfig(
        dispatcher_address=service.removeprefix("grpc://"),
        port=port,
        worker_address=address or None,
    )
    return tf.data.experimental.service.WorkerServer(config)
