# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""The maps of a pooling pyramid network.

Source: Jin et al. 2018, "Pooling Pyramid Network for Object Detection".
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


class PoolingPyramid(keras.layers.Layer):  # type: ignore[misc]
    """Each map is the one before it, pooled 2x2 by the maximum.

    Nothing is learnt and the range stays that of the first map.

    Args:
      levels: number of maps, the first included.
    """

    def __init__(self, levels: int = 6, name: str = "feature_maps") -> None:
        super().__init__(name=name)
        self.levels = levels

    def call(self, maps: list[Any], training: bool = False) -> list[Any]:
        """The one map [B, H, W, C] of the backbone; all maps, finest first, sizes rounded up."""
        [finest] = maps
        found = [finest]
        for _ in range(1, self.levels):
            found.append(ops.max_pool(found[-1], 2, strides=2, padding="same"))
        return found
