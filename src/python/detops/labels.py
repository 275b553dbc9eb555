# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Class names from label files, label maps, and models that carry their own."""

from __future__ import annotations

import os
import re
import struct
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

from detops.label_map import parse_label_map
from detops.whole_file import open_regular

try:
    from lzma import LZMAError
except ImportError:
    # Python may be built without; then zipfile cannot raise it.
    LZMAError = zlib.error  # type: ignore[assignment,misc]

UNKNOWN = "???"
"""Stands for a class number that no label names, as in the label files of COCO detectors."""

BACKGROUND_NAMES = {UNKNOWN, "background", "__background__", "_background_", "bg"}
ARCHIVE_ERRORS = (
    *(zipfile.BadZipFile, zlib.error, LZMAError, EOFError, OSError, struct.error),
    *(NotImplementedError, RuntimeError),
)
"""What the decoders of a zip archive raise on damaged ones."""

_LABEL_SUFFIXES = (".txt", ".pbtxt")
_MAX_LABEL_BYTES = 1 << 22
_MAX_NUMBER = 100_000
_NUMBERED = re.compile(r"([0-9]{1,6})[ \t:,]+(\S.*)")


def read_labels(path: str | os.PathLike[str]) -> list[str]:
    """Reads class names in class order; entry i names class i.

    A `.pbtxt` file is a StringIntLabelMap of the TensorFlow Object Detection API: ids start at 1,
    so id i goes to entry i - 1; `display_name` is preferred to `name`; ids without an item become
    "???"; an item of id 0 is accepted only as the background, and left out. Any other file holds
    one name per line; an empty line between names becomes "???", since its number counts. Where
    every line starts with a number ("17 dog"), that is the class and the rest is the name.

    Raises:
        ValueError: the file is no text in UTF-8, holds no label, or is no well-formed label map.
        OSError: the file cannot be read.
    """
    path = Path(path)
    with open_regular(path) as file:
        content = file.read(_MAX_LABEL_BYTES + 1)
    return _parse(path.name, path.name, content)


def labels_in_model(path: str | os.PathLike[str]) -> list[str] | None:
    """Labels packed into a TFLite model with metadata, or None where it carries none.

    Such a model is also a zip archive. The label file is the one .txt or .pbtxt in it with "label"
    in its name, or the only one of any name.

    Raises:
        ValueError: the archive or its label file is damaged, or there are several label files.
        OSError: the file cannot be read.
    """
    path = Path(path)
    with open_regular(path) as file:
        if not zipfile.is_zipfile(file):
            return None
        try:
            with zipfile.ZipFile(file) as archive:
                member = _label_member(path.name, archive.namelist())
                if member is None:
                    return None
                with archive.open(member) as stream:
                    content = stream.read(_MAX_LABEL_BYTES + 1)
        except ARCHIVE_ERRORS as e:
            raise ValueError(f"the archive in {path.name} is damaged: {e}") from e
    return _parse(member, f"{member} in {path.name}", content)


def align_labels(labels: Sequence[str], num_classes: int) -> list[str]:
    """Labels for exactly `num_classes` foreground classes.

    A first label that names the background ("???", "background", ...) is dropped when there is one
    label more than classes, since the op's class numbers leave the background out.

    Raises:
        ValueError: `num_classes` is not positive, there are fewer labels than classes, or more and
            the extra one is not the background.
    """
    if num_classes < 1:
        raise ValueError(f"num_classes is {num_classes}, expected at least 1")
    if len(labels) == num_classes:
        return list(labels)
    if len(labels) == num_classes + 1:
        if labels[0].strip().lower() in BACKGROUND_NAMES:
            return list(labels[1:])
        raise ValueError(
            f"labels has {len(labels)} entries, the model has {num_classes} classes, "
            f"and the first label, {labels[0]!r}, is not the background"
        )
    raise ValueError(f"labels has {len(labels)} entries, the model has {num_classes} classes")


def is_label_file(name: str) -> bool:
    """Whether a file packed into a model holds labels, going by its name."""
    return name.lower().endswith(_LABEL_SUFFIXES) and "label" in name.lower()


def _label_member(where: str, names: Sequence[str]) -> str | None:
    texts = [name for name in names if name.lower().endswith(_LABEL_SUFFIXES)]
    named = [name for name in texts if is_label_file(name)]
    found = named or texts
    if len(found) > 1 and named:
        raise ValueError(f"{where} holds {len(found)} label files: {', '.join(sorted(found))}")
    return found[0] if len(found) == 1 else None


def _decode(where: str, content: bytes) -> str:
    if len(content) > _MAX_LABEL_BYTES:
        raise ValueError(f"{where} has more than {_MAX_LABEL_BYTES} bytes, not a label file")
    # Which other encodings of ASCII text are full of, and which is UTF-8 all the same.
    if b"\0" in content:
        place = content.index(b"\0")
        raise ValueError(f"{where} has a NUL at byte {place}, expected text in UTF-8")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{where} is not UTF-8 at byte {error.start}") from None


def _parse(name: str, where: str, content: bytes) -> list[str]:
    text = _decode(where, content)
    if name.lower().endswith(".pbtxt"):
        return _in_order(_foreground(where, parse_label_map(where, text)), 1)
    # Not splitlines(), which also splits at characters that may occur in a name.
    lines = [line.strip() for line in re.split(r"\r\n|\n|\r", text.rstrip())]
    if not any(lines):
        raise ValueError(f"{where} holds no labels")
    numbered = _numbered(lines)
    return _in_order(numbered, 0) if numbered else [line or UNKNOWN for line in lines]


def _numbered(lines: Sequence[str]) -> dict[int, str] | None:
    """The names by number where every line starts with its own, as in the files of Coral."""
    matches = [_NUMBERED.fullmatch(line) for line in lines if line]
    names = {int(match[1]): match[2] for match in matches if match}
    distinct = len(names) == len(matches) and max(names, default=0) <= _MAX_NUMBER
    # A single line may be a name that starts with a number.
    return names if distinct and len(names) > 1 else None


def _foreground(where: str, names: dict[int, str]) -> dict[int, str]:
    """A label map without the background, which only id 0 may be."""
    if names.get(0, UNKNOWN).lower() not in BACKGROUND_NAMES:
        raise ValueError(f"{where} has id 0, {names[0]!r}; ids start at 1, 0 is the background")
    foreground = {number: name for number, name in names.items() if number != 0}
    if not foreground:
        raise ValueError(f"{where} holds no labels")
    return foreground


def _in_order(names: dict[int, str], first: int) -> list[str]:
    return [names.get(number, UNKNOWN) for number in range(first, max(names) + 1)]
