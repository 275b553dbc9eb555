# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Compiles a config's training step for a TPU, as `fit` under data parallelism would run it.

Needs jax[tpu] and Keras on its JAX backend; `prepare_environment` comes before both imports.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from training.config import Config
from training.tpu.failure import Failure, explain
from training.tpu.hlo_text import Cost, program_cost
from training.tpu.target import Target

_AXIS = "batch"


@dataclass(frozen=True)
class StepReport:
    """One phase of a config on one target."""

    phase: str
    target: Target
    batch_size: int
    seconds_to_compile: float
    failure: Failure | None = None
    peak_bytes: int = 0
    """Largest memory of one device at any time, variables and batch included."""
    flops: float = 0.0
    """Of all devices together, as the compiler counts them."""
    cost: Cost | None = None
    """Of one device."""

    @property
    def hbm_bytes(self) -> int:
        """What a device has."""
        return round(self.target.generation.hbm_gib * (1 << 30))

    @property
    def step_seconds(self) -> float | None:
        """The compiler's cycles at the target's clock; None where either is not known."""
        clock = self.target.generation.clock_hz
        return self.cost.cycles / clock if self.cost and clock else None

    @property
    def images_per_second(self) -> float | None:
        """At that time a step."""
        seconds = self.step_seconds
        return self.batch_size / seconds if seconds else None


def prepare_environment() -> None:
    """Settings for JAX, Keras and libtpu, which read them when they are imported.

    Constants are computed on the CPU: a TPU that is there stays free. libtpu looks for no TPU, lets
    several processes compile, and keeps its notices about the missing TPU to itself.
    """
    os.environ["KERAS_BACKEND"] = "jax"
    os.environ["JAX_PLATFORMS"] = "cpu"
    for name, value in (
        ("TPU_SKIP_MDS_QUERY", "1"),
        ("ALLOW_MULTIPLE_LIBTPU_LOAD", "1"),
        ("TPU_ACCELERATOR_TYPE", "v2-8"),
        ("TPU_WORKER_HOSTNAMES", "localhost"),
        ("TPU_STDERR_LOG_LEVEL", "3"),
        ("TPU_MIN_LOG_LEVEL", "3"),
    ):
        os.environ.setdefault(name, value)


def distinct_phases(config: Config, *, costliest: bool = False) -> list[Any]:
    """The `training.schedule.Phase`s of a config that compile to different steps.

    Args:
      config: the run.
      costliest: leave out those that do a part of what another one does: without fake quantisation
        or batch statistics.
    """
    from training import schedule

    kinds = {(p.quantized, p.batch_norm_frozen): p for p in reversed(schedule.phases(config))}
    found = sorted(kinds.values(), key=lambda phase: phase.begin)
    if not costliest:
        return found
    return [
        phase
        for phase in found
        if not any(
            other is not phase
            and other.quantized >= phase.quantized
            and other.batch_norm_frozen <= phase.batch_norm_frozen
            for other in found
        )
    ]


class StepCompiler:
    """A detector and its optimiser, and the steps that they compile to.

    Args:
      config: the run; nothing of its data is read.
      num_classes: without a background.
    """

    def __init__(self, config: Config, num_classes: int) -> None:
        import jax
        import keras

        from training import schedule, train

        # Which op failed is in the frames that both would leave out of an error.
        keras.config.disable_traceback_filtering()
        jax.config.update("jax_traceback_filtering", "off")
        keras.config.set_dtype_policy("mixed_bfloat16" if config.mixed_precision else "float32")
        self._config = config
        self._detector = train.build_model(config, num_classes)
        self._optimizer = schedule.optimizer(config)
        self._optimizer.build(self._detector.trainable_variables)

    def compile(self, phase: Any, target: Target) -> StepReport:
        """Compiles one phase's step.

        Args:
          phase: a `training.schedule.Phase`.
          target: for which TPU.

        Raises:
          ValueError: the devices do not divide the batch.
          RuntimeError: libtpu does not know the topology.
        """
        from jax.experimental import topologies

        batch, devices = self._config.batch_size, target.devices
        if batch % devices:
            raise ValueError(
                f"batch_size is {batch}, which the {devices} devices of {target.name} do not divide"
            )
        chip = target.generation.chip_config
        topology = topologies.get_topology_desc(
            platform="tpu",
            topology_name=target.topology,
            **({"chip_config_name": chip} if chip else {}),
        )
        began, lowered = time.monotonic(), False
        try:
            step = self._lower(phase, topology.devices)
            lowered = True
            program = step.compile()
        except Exception as error:
            # Whatever it is: tracing runs the code of the model, and may raise anything.
            why, seconds = explain(error, lowered=lowered), time.monotonic() - began
            return StepReport(phase.name, target, batch, seconds, failure=why)
        return StepReport(
            phase.name,
            target,
            batch,
            time.monotonic() - began,
            peak_bytes=int(program.memory_analysis().peak_memory_in_bytes),
            flops=float(program.cost_analysis()["flops"]) * devices,
            cost=program_cost(program.as_text()),
        )

    def _lower(self, phase: Any, devices: Sequence[Any]) -> Any:
        """The step as `JAXTrainer.make_train_function` compiles it under DataParallel: the batch is
        split, every variable is on every device, and gives its memory to its new value."""
        import jax
        import numpy as np

        from training.train import compile_phase

        mesh = jax.sharding.Mesh(np.asarray(devices), (_AXIS,))
        split, whole = (
            jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec(*axes))
            for axes in ((_AXIS,), ())
        )
        model = compile_phase(self._detector, self._optimizer, self._config, phase)
        state = tuple(
            [jax.ShapeDtypeStruct(v.shape, v.dtype, sharding=whole) for v in variables]
            for variables in (
                model.trainable_variables,
                model.non_trainable_variables,
                model.optimizer.variables,
                model.metrics_variables,
            )
        )
        step = jax.jit(
            model.train_step,
            donate_argnums=0,
            out_shardings=(None, jax.tree.map(lambda _: whole, state)),
        )
        return step.lower(state, self._batch(split))

    def _batch(self, sharding: Any) -> tuple[Any, dict[str, Any]]:
        """The shapes of what `training.data.training_batches` gives."""
        import jax

        config = self._config
        size, boxes = config.image_size, config.max_boxes

        def rows(dtype: str, *shape: int) -> Any:
            return jax.ShapeDtypeStruct((config.batch_size, *shape), dtype, sharding=sharding)

        return rows("uint8", size, size, 3), {
            "boxes": rows("float32", boxes, 4),
            "classes": rows("int32", boxes),
            "valid": rows("bool", boxes),
        }
