# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""What an evaluation had to leave out."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Skipped:
    """A file or a box that was left out."""

    name: str
    """Of the file."""
    reason: str
    """One of a few, to be counted: "picture not found", "box without area", ..."""
    detail: str = ""
    """What exactly, where there is more to say."""

    def __str__(self) -> str:
        return f"{self.name}: {self.reason}" + (f" ({self.detail})" if self.detail else "")
