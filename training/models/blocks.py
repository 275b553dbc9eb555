# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Makes the convolutions of one detector, so that settings are given once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from training.models.activation_range import ActivationRange
from training.models.conv_block import ConvBlock
from training.models.phase import Phase


@dataclass(frozen=True)
class Blocks:
    """The settings that every convolution of a detector shares."""

    phase: Phase = field(default_factory=Phase)
    per_channel: bool = False
    weight_decay: float = 4e-5
    batch_norm_momentum: float = 0.99
    synchronized_batch_norm: bool = True

    def conv(self, filters: int, kernel_size: int = 1, **settings: Any) -> ConvBlock:
        """A convolution; the other settings are those of `ConvBlock`."""
        return ConvBlock(
            self.phase,
            filters,
            kernel_size,
            per_channel=self.per_channel,
            weight_decay=self.weight_decay,
            momentum=self.batch_norm_momentum,
            synchronized=self.synchronized_batch_norm,
            **settings,
        )

    def depthwise(self, kernel_size: int = 3, **settings: Any) -> ConvBlock:
        """A depthwise convolution: one kernel for each channel of the input."""
        return self.conv(0, kernel_size, depthwise=True, **settings)

    def range(self, **settings: Any) -> ActivationRange:
        """The range of a sum or concatenation."""
        return ActivationRange(self.phase, **settings)
