# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Lists of pictures: one name a line, as in the ImageSets of Pascal VOC."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from detops.evaluation import Skipped
from detops.whole_file import read_regular
from training.data.annotation import Annotations


def read_image_list(path: Path) -> list[str]:
    """The names in a file, one a line; empty lines and lines that start with "#" are left out.

    Raises:
      ValueError: it is no regular file, not UTF-8, or holds no name.
      OSError: it cannot be read.
    """
    try:
        text = read_regular(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 at byte {error.start}") from None
    lines = [line.strip() for line in text.splitlines()]
    names = [line for line in lines if line and not line.startswith("#")]
    if not names:
        raise ValueError(f"{path} has no line with the name of a picture")
    return list(dict.fromkeys(names))


def keep_listed(annotations: Annotations, path: Path) -> Annotations:
    """Only the pictures that a list names, by name with or without folder and suffix, in the order
    of the data set. Names that no picture has are reported as skipped.

    Raises:
      ValueError: the list is empty, or names none of the pictures.
      OSError: it cannot be read.
    """
    wanted = set(read_image_list(path))
    kept, met = [], set()
    for image in annotations.images:
        if hits := _spellings(image.name) & wanted:
            kept.append(image)
            met |= hits
    problems = annotations.problems
    # What was skipped already, because its picture is missing for example, is reported once.
    for entry in problems.skipped_images:
        met |= _spellings(entry.name) & wanted
    problems.skipped_images[:] = [
        entry for entry in problems.skipped_images if _spellings(entry.name) & wanted
    ]
    named = {spelling for image in kept for spelling in _spellings(image.name)}
    problems.skipped_boxes[:] = [
        entry for entry in problems.skipped_boxes if _spellings(entry.name) & named
    ]
    if not kept:
        raise ValueError(
            f"{path} names {len(wanted)} pictures, {sorted(wanted)[0]!r} the first of them, and "
            f"not one is among the {len(annotations.images)} of the data set"
        )
    problems.skipped_images += [
        Skipped(name, "name in the list without a picture") for name in sorted(wanted - met)
    ]
    return Annotations(kept, annotations.labels, problems)


def _spellings(name: str) -> set[str]:
    path = PurePosixPath(name)
    return {name, path.name, path.stem, str(path.with_suffix("")) if path.name else name}
