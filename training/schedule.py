# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Learning rate, optimiser, and the phases of a run, from the config."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
from keras import ops

from training import replicas
from training.config import Config


@dataclass(frozen=True)
class Phase:
    """Steps that run one compiled training function."""

    begin: int
    end: int
    """Not included."""
    quantized: bool
    batch_norm_frozen: bool

    @property
    def name(self) -> str:
        """As the curves and the report call it."""
        name = "quantized" if self.quantized else "float"
        return f"{name}, batch norm frozen" if self.batch_norm_frozen else name


def phases(config: Config) -> list[Phase]:
    """The phases in order; together they cover steps 0 to `config.steps`."""
    starts = [
        start if start >= 0 else config.steps
        for start in (config.quantize_from, config.freeze_batch_norm_from)
    ]
    cuts = sorted({0, config.steps, *(min(start, config.steps) for start in starts)})
    return [
        Phase(begin, end, quantized=begin >= starts[0], batch_norm_frozen=begin >= starts[1])
        for begin, end in itertools.pairwise(cuts)
    ]


def learning_rate(config: Config) -> Any:
    """A Keras schedule: linear warm-up, then a cosine that reaches 0 at `config.steps`.

    Source: Loshchilov and Hutter, "SGDR", without restarts.
    """
    if not config.warmup_steps:
        return keras.optimizers.schedules.CosineDecay(config.learning_rate, config.steps)
    return keras.optimizers.schedules.CosineDecay(
        config.warmup_learning_rate,
        config.steps - config.warmup_steps,
        warmup_target=config.learning_rate,
        warmup_steps=config.warmup_steps,
    )


def optimizer(config: Config) -> Any:
    """A Keras optimiser that clips gradients and, if asked, averages the weights."""
    common = {
        "learning_rate": learning_rate(config),
        "gradient_clip": config.gradient_clip,
        "use_ema": config.ema > 0,
        "ema_momentum": config.ema or 0.99,
    }
    if config.optimizer == "adam":
        return Adam(**common)
    return Momentum(momentum=config.momentum, **common)


class _ClipsTheSum:
    """What both optimisers do otherwise than Keras's."""

    def __init__(self, *, gradient_clip: float, **settings: Any) -> None:
        super().__init__(**settings)
        self.gradient_clip = gradient_clip

    def apply(self, grads: Sequence[Any], trainable_variables: Any = None) -> None:
        """Clips the norm of the whole batch's gradients.

        Keras clips what each TensorFlow replica has before it adds them up, so that the direction
        would depend on the number of replicas.
        """
        if self.gradient_clip:
            grads = self._clipped(replicas.total(list(grads)))
            if replicas.programs() > 1:
                # Keras adds up what the replicas give it.
                grads = [grad / replicas.programs() for grad in grads]
        super().apply(grads, trainable_variables)  # type: ignore[misc]

    def _clipped(self, grads: Sequence[Any]) -> list[Any]:
        norm = ops.sqrt(sum(ops.sum(ops.square(grad)) for grad in grads))
        factor = self.gradient_clip / ops.maximum(norm, self.gradient_clip)
        return [grad * factor for grad in grads]

    def finalize_variable_values(self, var_list: Any) -> None:
        """Leaves the weights as trained; `training.train` swaps them where they are scored.

        Keras ends each `fit` by writing the average over them; a run has several.
        """


class Momentum(_ClipsTheSum, keras.optimizers.SGD):  # type: ignore[misc]
    """Stochastic gradient descent with momentum."""


class Adam(_ClipsTheSum, keras.optimizers.Adam):  # type: ignore[misc]
    """Kingma and Ba, "Adam"."""
