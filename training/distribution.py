# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""On which devices a run computes: one, all of this host, or all of several hosts.

Keras's, TensorFlow's and JAX's engines do the work; here they are chosen and started.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import re
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from detops.cli.ending import without_graph_nodes
from training import replicas
from training.config import Config
from training.data.share import Share

_STATUS = re.compile(r"(UNKNOWN|UNAVAILABLE|INTERNAL|ABORTED|CANCELLED|DEADLINE_EXCEEDED): ")


class HostLost(RuntimeError):
    """Another host does not answer; a step needs them all."""


@contextlib.contextmanager
def distributed(config: Config) -> Iterator[None]:
    """Within it models are made and trained on the devices that `config.distribute` names.

    Raises:
      HostLost: another host ended or was cut off while this one trained.
      ValueError: there are no such devices, hosts are not described, the replicas do not divide
        the batch, or the engine has no XLA for them.
    """
    with _engine(config):
        number = replicas.count()
        if config.batch_size % number:
            raise ValueError(
                f"batch_size is {config.batch_size}, which the {number} replicas do not divide"
            )
        if config.jit_compile and replicas.programs() > 1 and config.distribute != "tpu":
            raise ValueError(
                f"jit_compile is true with {number} replicas of TensorFlow, which compiles for one "
                "device; expected false, or the JAX backend"
            )
        try:
            yield
        except _engine_errors() as error:
            # One host's own trouble stays what it is.
            if hosts() == 1 or not _is_of_the_network(error):
                raise
            text = without_graph_nodes(str(error))
            first_line = next(iter(text.splitlines()), "no reason given")
            raise HostLost(
                f"host {host()} lost touch with another ({first_line}); stop what still runs and "
                "start all hosts again: the same command goes on from the last checkpoint"
            ) from error


def hosts() -> int:
    """How many processes train together, one on each host."""
    if keras.backend.backend() == "jax":
        import jax

        return int(jax.process_count())
    return max(1, len(_tensorflow_workers()))


def host() -> int:
    """The number of this one; 0 writes what a run leaves."""
    if keras.backend.backend() == "jax":
        import jax

        return int(jax.process_index())
    if len(_tensorflow_workers()) < 2:
        return 0
    import tensorflow as tf

    return int(tf.distribute.get_strategy().cluster_resolver.task_id)


def from_all_hosts(number: int) -> list[int]:
    """What every host gives; all have to call it, in the same order."""
    if hosts() == 1:
        return [number]
    if keras.backend.backend() == "jax":
        from jax.experimental import multihost_utils

        gathered = multihost_utils.process_allgather(np.int32(number))
    else:
        import tensorflow as tf

        gathered = _gatherer(tf.distribute.get_strategy())(tf.constant([number], tf.int32))
    return [int(value) for value in np.asarray(gathered)]


def from_first_host(values: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The pictures that the first host gives, as many as all have; all have to call it."""
    if hosts() == 1:
        return values
    common = values[: min(from_all_hosts(len(values)))]
    if keras.backend.backend() == "jax":
        from jax.experimental import multihost_utils

        return np.asarray(multihost_utils.broadcast_one_to_all(common), np.uint8)
    import tensorflow as tf

    # No collective knows bytes.
    gathered = _gatherer(tf.distribute.get_strategy())(tf.constant(common, tf.int32))
    return np.asarray(gathered)[: len(common)].astype(np.uint8)


def share() -> Share:
    """The part of each batch that this host reads."""
    return Share(host(), hosts())


def for_fit(rows: Any, batch_size: int) -> Any:
    """This host's rows of each batch, as Keras's `fit` takes them.

    Args:
      rows: a tf.data.Dataset, of each batch this host's `share`.
      batch_size: of all hosts.
    """
    if keras.backend.backend() != "tensorflow" or hosts() == 1:
        return rows
    import tensorflow as tf

    strategy = tf.distribute.get_strategy()
    each = batch_size // strategy.num_replicas_in_sync
    return strategy.distribute_datasets_from_function(lambda _: rows.rebatch(each))


def _engine(config: Config) -> Any:
    """A context manager."""
    if config.distribute == "none":
        return contextlib.nullcontext()
    if keras.backend.backend() == "jax":
        return _jax(config).scope()
    return _tensorflow(config).scope()


def _engine_errors() -> tuple[type[Exception], ...]:
    if keras.backend.backend() == "jax":
        import jax

        return (jax.errors.JaxRuntimeError, ValueError)
    import tensorflow as tf

    return (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.DeadlineExceededError)


def _is_of_the_network(error: Exception) -> bool:
    text = str(error)
    # JAX's gloo makes a ValueError of a lost connection in a collective outside of a step.
    if isinstance(error, ValueError) and not _STATUS.match(text):
        return False
    return "RESOURCE_EXHAUSTED" not in text


def _jax(config: Config) -> Any:
    import jax

    if config.distribute == "hosts" and not jax.distributed.is_initialized():
        jax.distributed.initialize(
            # Keras's own variables; where they are not set JAX asks the TPU's metadata, or Slurm.
            coordinator_address=os.environ.get("KERAS_DISTRIBUTION_JOB_ADDRESSES"),
            num_processes=_number("KERAS_DISTRIBUTION_NUM_PROCESSES"),
            process_id=_number("KERAS_DISTRIBUTION_PROCESS_ID"),
            initialization_timeout=max(config.host_timeout, 60),
            heartbeat_timeout_seconds=config.host_timeout,
            shutdown_timeout_seconds=config.host_timeout,
        )
    kind = "tpu" if config.distribute == "tpu" else None
    try:
        devices: Sequence[str] = keras.distribution.list_devices(kind)
    except RuntimeError as error:
        raise ValueError(f"distribute is {config.distribute!r}, and JAX finds no TPU") from error
    # Each host reads its own rows: Keras would have each read all and drop the others'.
    return keras.distribution.DataParallel(devices=devices, auto_shard_dataset=False)


def _tensorflow(config: Config) -> Any:
    import tensorflow as tf

    if config.distribute == "hosts":
        _check_workers(os.environ.get("TF_CONFIG", "{}"))
        return tf.distribute.MultiWorkerMirroredStrategy()
    if config.distribute == "tpu":
        try:
            resolver = tf.distribute.cluster_resolver.TPUClusterResolver(tpu="local")
            tf.tpu.experimental.initialize_tpu_system(resolver)
        except (tf.errors.OpError, ValueError) as error:
            raise ValueError("distribute is 'tpu', and TensorFlow finds no TPU") from error
        return tf.distribute.TPUStrategy(resolver)
    kind = "GPU" if tf.config.list_logical_devices("GPU") else "CPU"
    names = [device.name for device in tf.config.list_logical_devices(kind)]
    return tf.distribute.MirroredStrategy(names)


def _check_workers(text: str) -> None:
    try:
        described = json.loads(text)
        workers, index = described["cluster"]["worker"], described["task"]["index"]
        if isinstance(workers, list) and 0 <= int(index) < len(workers):
            return
    except (ValueError, LookupError, TypeError, RecursionError):
        pass
    raise ValueError(
        "distribute is 'hosts', and TF_CONFIG names no workers, expected "
        '{"cluster": {"worker": ["ADDRESS:PORT", ...]}, "task": {"type": "worker", '
        f'"index": NUMBER OF ONE OF THEM}}}}; it is {text[:200]!r}'
    )


def _tensorflow_workers() -> list[str]:
    import tensorflow as tf

    resolver = tf.distribute.get_strategy().cluster_resolver
    if resolver is None or isinstance(resolver, tf.distribute.cluster_resolver.TPUClusterResolver):
        return []
    return list(resolver.cluster_spec().as_dict().get("worker", []))


@functools.cache
def _gatherer(strategy: Any) -> Any:
    # Traced once: otherwise each call would be.
    import tensorflow as tf

    return tf.function(lambda own: strategy.gather(own, axis=0), autograph=False)


def _number(variable: str) -> int | None:
    text = os.environ.get(variable)
    if text is not None and not text.isdecimal():
        raise ValueError(f"{variable} is {text!r}, expected a whole number")
    return None if text is None else int(text)
