# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""What a data set had wrong with it, counted and named."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from detops.evaluation import Skipped


@dataclass
class Problems:
    """Everything that was left out of a data set or changed in it.

    Each entry has the file's name, a reason that is one of a few, and the detail.
    """

    skipped_images: list[Skipped] = field(default_factory=list)
    """With all their boxes."""
    skipped_boxes: list[Skipped] = field(default_factory=list)
    """Their pictures stay."""
    repaired: list[Skipped] = field(default_factory=list)
    """Used all the same: a box clipped, a picture re-encoded, ..."""

    def counts(self) -> dict[str, dict[str, int]]:
        """How often each reason occurs, for "skipped_images", "skipped_boxes", "repaired"."""
        return {name: count_reasons(entries) for name, entries in vars(self).items()}

    def texts(self) -> list[str]:
        """A line for each entry: what happened, the file, the reason, the detail."""
        titles = {"skipped_images": "skipped", "skipped_boxes": "skipped", "repaired": "repaired"}
        return [f"{titles[k]} {entry}" for k, entries in vars(self).items() for entry in entries]

    def __len__(self) -> int:
        return len(self.skipped_images) + len(self.skipped_boxes) + len(self.repaired)


def count_reasons(entries: Iterable[Skipped]) -> dict[str, int]:
    """How many entries have each reason, the most frequent first."""
    return dict(Counter(entry.reason for entry in entries).most_common())
