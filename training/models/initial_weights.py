# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Random weights to begin with, the same on every backend.

Keras's initialisers draw with the backend's generator. These draw with NumPy's global one, which
`keras.utils.set_random_seed` seeds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

# Of a normal distribution cut at two deviations.
_CUT, _DEVIATION_OF_CUT = 2.0, 0.87962566103423978


class Normal(keras.initializers.Initializer):  # type: ignore[misc]
    """Normal numbers around zero.

    Args:
      deviation: their standard deviation, before the cut.
      cut: numbers beyond two deviations are drawn again.
    """

    def __init__(self, deviation: float, *, cut: bool = False) -> None:
        self.deviation, self.cut = deviation, cut

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> Any:
        """A tensor of a shape."""
        values = np.random.normal(size=shape)
        while self.cut and (beyond := np.abs(values) > _CUT).any():
            values[beyond] = np.random.normal(size=np.count_nonzero(beyond))
        return ops.convert_to_tensor((values * self.deviation).astype(np.float32), dtype)


class He(keras.initializers.Initializer):  # type: ignore[misc]
    """He et al. 2015, "Delving Deep into Rectifiers", cut at two deviations."""

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> Any:
        """A kernel [height, width, inputs, outputs]."""
        deviation = math.sqrt(2.0 / math.prod(shape[:-1])) / _DEVIATION_OF_CUT
        return Normal(deviation, cut=True)(shape, dtype)
