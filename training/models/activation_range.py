# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""The range of an activation, observed in training and quantised to 8 bits.

Source: Jacob et al. 2018, "Quantization and Training of Neural Networks for Efficient
Integer-Arithmetic-Only Inference", section 3.1.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from training import replicas
from training.models.phase import Phase

# Of the moving averages. Short enough that the runs of a few hundred steps see their own ranges.
_MOMENTUM = 0.98


class ActivationRange(keras.layers.Layer):  # type: ignore[misc]
    """Passes its input on, fake-quantised where the phase says so.

    The range is the moving average of each batch's extremes, and always holds zero. It is observed
    from the first training step, also while nothing is quantised, so that quantisation can start
    late without a jolt.

    Args:
      phase: the switches of the detector.
      fixed: (lowest, highest) in place of observed numbers.
      lowest: a bound that is known, 0.0 behind a ReLU.
    """

    def __init__(
        self,
        phase: Phase,
        *,
        fixed: tuple[float, float] | None = None,
        lowest: float | None = None,
        name: str | None = None,
    ) -> None:
        # Ranges stay in float32 under mixed precision.
        super().__init__(name=name, autocast=False)
        self.phase = phase
        self.fixed = fixed
        self.lowest = lowest

    def build(self, _input_shape: Any) -> None:
        """Makes the variables of an observed range."""
        if self.fixed is None:
            self.minimum, self.maximum = (
                self.add_weight(shape=(), initializer="zeros", trainable=False, name=bound)
                for bound in ("minimum", "maximum")
            )

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Any shape in, the same out."""
        if training and self.fixed is None:
            self._observe(ops.stop_gradient(ops.cast(inputs, "float32")))
        if not self.phase.quantizes:
            return inputs
        if self.fixed is None:
            lowest, highest = (ops.convert_to_tensor(v) for v in (self.minimum, self.maximum))
        else:
            lowest, highest = self.fixed
        quantized = keras.quantizers.fake_quant_with_min_max_vars(
            ops.cast(inputs, "float32"), lowest, highest
        )
        return ops.cast(quantized, inputs.dtype)

    def _observe(self, inputs: Any) -> None:
        low = ops.min(inputs) if self.lowest is None else ops.full((), self.lowest)
        # Of all replicas: each has a part of the batch.
        below, above = ops.unstack(replicas.largest(ops.stack([-low, ops.max(inputs)])), 2)
        low, high = ops.minimum(-below, 0.0), ops.maximum(above, 0.0)
        started = ops.greater(self.maximum - self.minimum, 0.0)
        for variable, seen in ((self.minimum, low), (self.maximum, high)):
            moved = variable + (1.0 - _MOMENTUM) * (seen - variable)
            variable.assign(ops.where(started, moved, seen))
