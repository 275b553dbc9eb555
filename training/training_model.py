# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""A detector and its loss as Keras trains them: on any backend, on any number of replicas."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
from keras import ops

from training import distribution, losses, replicas, targets
from training.config import Config

TERMS = ("localization", "classification", "regularization")
"""Of the loss, as a step's logs name them."""


class LastValue(keras.metrics.Metric):  # type: ignore[misc]
    """The value of the last step, where Keras's own metrics hold means."""

    def __init__(self, name: str) -> None:
        super().__init__(name=name)
        # Each replica has its own of the same value, and a reader the mean of them.
        self.value = self.add_variable((), initializer="zeros", aggregation="mean", name="value")

    def update_state(self, value: Any) -> None:
        """Takes a float32 scalar."""
        self.value.assign(value)

    def result(self) -> Any:
        """That scalar."""
        return ops.convert_to_tensor(self.value)


class TrainingModel(keras.Model):  # type: ignore[misc]
    """A detector and its loss, as Keras trains them on any backend and any number of replicas.

    One for each phase: what JAX compiled for one it would use for it again, switched or not.
    """

    def __init__(self, detector: Any, config: Config) -> None:
        super().__init__(name="training")
        self.detector = detector
        self.config = config
        self.last_values = [LastValue(name) for name in TERMS]
        self.built = True

    def call(self, images: Any, training: bool = False) -> Any:
        """As the detector."""
        return self.detector(images, training=training)

    def _maybe_symbolic_build(self, iterator: Any = None, data_batch: Any = None) -> None:
        # All is built. Keras 3.15 would average a batch over the replicas first, to learn its
        # shapes, and bool has no average.
        del iterator, data_batch

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        """The part of this replica; those of all replicas add up to the loss of the batch."""
        del x, sample_weight, training
        wanted = targets.assign(
            y["boxes"], y["classes"], y["valid"], self.detector.anchors, self.detector.num_classes
        )
        terms = losses.detection_loss(
            y_pred,
            wanted,
            localization_weight=self.config.localization_weight,
            focal_alpha=self.config.focal_alpha,
            focal_gamma=self.config.focal_gamma,
            num_matches=replicas.total(ops.sum(wanted["matched"])),
        )
        decay = sum((ops.sum(loss) for loss in self.losses), ops.zeros((), "float32"))
        terms["regularization"] = decay / replicas.programs()
        of_batch = replicas.total([terms[metric.name] for metric in self.last_values])
        for metric, value in zip(self.last_values, of_batch, strict=True):
            metric.update_state(value)
        return sum(terms[name] for name in TERMS)

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """The terms of the batch."""
        results = super().compute_metrics(x, y, y_pred, sample_weight)
        if keras.backend.backend() != "tensorflow" or distribution.hosts() == 1:
            return results
        # Keras 3.15 averages what hosts of TensorFlow return over its first axis.
        return {name: ops.expand_dims(value, 0) for name, value in results.items()}


@contextlib.contextmanager
def averaged_weights(detector: Any, optimizer: Any) -> Iterator[None]:
    """Within it the detector has the averages of its weights, if the optimizer keeps any."""
    variables = detector.trainable_variables
    if not optimizer.use_ema or not int(ops.convert_to_numpy(optimizer.iterations)):
        yield
        return
    trained = [np.array(ops.convert_to_numpy(variable)) for variable in variables]
    # Copies: JAX gives the memory of a variable away when the model predicts.
    for variable, average in zip(variables, optimizer._model_variables_moving_average, strict=True):
        variable.assign(np.array(ops.convert_to_numpy(average)))
    try:
        yield
    finally:
        for variable, value in zip(variables, trained, strict=True):
            variable.assign(value)
