# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""The options of TFLite_Detection_PostProcess."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from detops import _core

OP_NAME = "TFLite_Detection_PostProcess"


@dataclass(frozen=True, kw_only=True)
class Options:
    """The options of `TFLite_Detection_PostProcess`, under their names in the file.

    The defaults are those of the usual SSD export, not the values of absent keys. Nothing is
    checked here: a model may hold any values; the functions that use them do check.
    """

    num_classes: int
    """Foreground classes; scores may have one more column, the background, in front."""
    max_detections: int = 10
    max_classes_per_detection: int = 1
    """Classes reported for each kept anchor in fast mode."""
    detections_per_class: int = 100
    """Limit for each class in regular mode."""
    use_regular_nms: bool = False
    """False: one suppression over anchors by their best class. True: one within each class."""
    nms_score_threshold: float = 0.0
    """Candidates need score >= this; -inf keeps all."""
    nms_iou_threshold: float = 0.6
    """A box with IoU > this with a better one is suppressed; in (0, 1]."""
    y_scale: float = 10.0
    x_scale: float = 10.0
    h_scale: float = 5.0
    w_scale: float = 5.0

    @classmethod
    def from_bytes(cls, block: bytes) -> Options:
        """Reads the option block (a flexbuffer map) of a node, with absent keys as the op has them.

        Raises:
          TypeError: the block is not bytes.
          ValueError: the block is not a readable map, or an option is not a number that fits.
        """
        if not isinstance(block, bytes):
            raise TypeError(f"block is a {type(block).__name__}, expected bytes")
        values, faults = _core.read_options(block)
        if faults:
            raise ValueError("; ".join(message for _, message in faults))
        return cls(**values)

    def replace(self, **changes: Any) -> Options:
        """A copy with some options changed."""
        return dataclasses.replace(self, **changes)
