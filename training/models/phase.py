# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""What the layers of one detector do at the moment: the switches of quantisation-aware training."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, get_args

Mode = Literal["float", "quantized"]


@dataclass
class Phase:
    """Shared by every layer of a detector, over the same variables.

    The switches are plain Python, so that a compiled step has no branch in it: whoever flips one
    traces the step again.
    """

    mode: Mode = "float"
    """float: no fake quantisation, but ranges are observed. quantized: weights and activations are
    fake-quantised, as the exported file has them."""
    batch_norm_frozen: bool = False
    """Training uses the long-term statistics, as inference does, and leaves them alone."""
    measure: Callable[[Any, Any], None] | None = None
    """Given each block with batch norm and its bare convolution, before the block computes."""

    @property
    def quantizes(self) -> bool:
        """Whether values are fake-quantised."""
        return self.mode == "quantized"

    def set_mode(self, mode: Mode) -> None:
        """Switches the mode.

        Raises:
          ValueError: there is no such mode.
        """
        if mode not in get_args(Mode):
            raise ValueError(f"mode is {mode!r}, expected one of {', '.join(get_args(Mode))}")
        self.mode = mode

    @contextlib.contextmanager
    def in_mode(self, mode: Mode) -> Iterator[None]:
        """Within it the mode is another one."""
        before = self.mode
        self.set_mode(mode)
        try:
            yield
        finally:
            self.mode = before
