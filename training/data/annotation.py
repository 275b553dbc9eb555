# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""What the readers of the formats have in common: annotated pictures, not yet looked at."""

from __future__ import annotations

from dataclasses import dataclass, field

from training.data.example import ImageContent
from training.data.problems import Problems


@dataclass(frozen=True)
class AnnotatedBox:
    """A box as it stands in the annotation: nothing about its corners is checked yet."""

    label: str
    corners: tuple[float, float, float, float]
    """ymin, xmin, ymax, xmax in pixels, or as fractions: see `AnnotatedImage.in_pixels`."""
    crowd: bool = False


@dataclass(frozen=True)
class AnnotatedImage:
    """A picture as it stands in the annotation; the picture may be missing or damaged."""

    name: str
    image: ImageContent
    boxes: tuple[AnnotatedBox, ...]
    in_pixels: bool = True
    stated_size: tuple[int, int] | None = None
    """Height and width according to the annotation."""


@dataclass(frozen=True)
class Annotations:
    """The content of a data set in the order of its files, with what could not be read."""

    images: list[AnnotatedImage]
    labels: tuple[str, ...]
    """Class names in the order of the data set's own numbers."""
    problems: Problems = field(default_factory=Problems)
