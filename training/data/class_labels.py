# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Which class a box belongs to: by its own name, by the file's name, or one class for all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from detops.labels import read_labels
from training.data.annotation import Annotations

_LONGEST_NAME = 200
LABEL_FROM = ("name", "file_name")


@dataclass(frozen=True)
class ClassNaming:
    """How the classes of a data set are named."""

    label_from: str = "name"
    """"name": as annotated; "file_name": the file's name up to the last "_", as in the
    Oxford-IIIT pets, where "Bengal_12.jpg" shows a Bengal and the annotation only says cat."""
    single_class: str = ""
    """Every box is of this class."""

    def __post_init__(self) -> None:
        if self.label_from not in LABEL_FROM:
            expected = " or ".join(map(repr, LABEL_FROM))
            raise ValueError(f"label_from is {self.label_from!r}, expected {expected}")
        if self.single_class and not is_class_name(self.single_class):
            raise ValueError(
                f"single_class is {self.single_class[:80]!r}, expected one line of text"
            )
        if self.single_class and self.label_from != "name":
            raise ValueError(
                f"both single_class {self.single_class!r} and label_from {self.label_from!r} are "
                "given, expected one of them"
            )

    def applied(self, annotations: Annotations) -> Annotations:
        """The annotations with every box, and the list of classes, renamed."""
        if self.single_class:
            names = {image.name: self.single_class for image in annotations.images}
        elif self.label_from == "file_name":
            names = {image.name: breed(image.name) for image in annotations.images}
        else:
            return annotations
        images = [
            replace(image, boxes=tuple(replace(b, label=names[image.name]) for b in image.boxes))
            for image in annotations.images
        ]
        labels = tuple(sorted({name for name in names.values() if name}))
        return Annotations(images, labels, annotations.problems)


def is_class_name(name: str) -> bool:
    """Whether a name comes back from a file of class names: one line of UTF-8, without spaces
    around it, and short enough to be read."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    one_line = not {"\n", "\r", "\0"} & {*name}
    return one_line and name == name.strip() and 0 < len(name) <= _LONGEST_NAME


def breed(name: str) -> str:
    """A file's name up to the last "_", without its folder and suffix; "" if there is no "_"."""
    return PurePosixPath(name).stem.rpartition("_")[0]


def resolve_labels(
    given: Sequence[str] | str | Path | None, found: tuple[str, ...]
) -> tuple[str, ...]:
    """The class names to use: those given, as names or in a file, else those found.

    Raises:
      ValueError: there are none, or two are the same.
      OSError: the file cannot be read.
    """
    if isinstance(given, (str, Path)):
        given = read_labels(given) if str(given) else None
    labels = tuple(given) if given is not None else found
    if not labels:
        raise ValueError("no box has a class, expected at least one")
    # "???" stands for the numbers that a label map leaves out.
    twice = sorted({name for name in labels if labels.count(name) > 1 and name != "???"})
    if twice:
        raise ValueError(f"labels has {twice[0]!r} more than once, expected {len(labels)} names")
    return labels


def class_numbers(labels: Sequence[str]) -> dict[str, int]:
    """The number of each class by name, and by name in lower case where that is unambiguous."""
    lower = [label.lower() for label in labels]
    numbers = {
        label: number for number, label in enumerate(lower) if lower.count(label) == 1 and label
    }
    return numbers | {label: number for number, label in enumerate(labels)}
