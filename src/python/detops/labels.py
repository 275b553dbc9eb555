# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Class names from label files, label maps, and models that carry their own."""

from __future__ import annotations

import os
import re
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

UNKNOWN = "???"
"""Stands for a class number that no label names, as in the label files of COCO detectors."""

_BACKGROUND_NAMES = {UNKNOWN, "background", "__background__", "_background_", "bg"}
_MAX_LABEL_BYTES = 1 << 22
_MAX_ID = 100_000
_TOKEN = re.compile(
    r"""(?P<space>[\s,;]+|\#[^\n]*)
      | (?P<string>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')
      | (?P<mark>[{}<>:\[\]])
      | (?P<word>[^\s,;{}<>:\[\]"'\#]+)""",
    re.VERBOSE,
)
_ESCAPE = re.compile(rb"\\(?:x([0-9A-Fa-f]{1,2})|u([0-9A-Fa-f]{4})|([0-7]{1,3})|(.))")
_CLOSING = {"{": "}", "<": ">", "[": "]"}
_ESCAPED = {b"n": b"\n", b"t": b"\t", b"r": b"\r"}


def read_labels(path: str | os.PathLike[str]) -> list[str]:
    """Reads class names in class order; entry i names class i.

    A `.pbtxt` file is a StringIntLabelMap of the TensorFlow Object Detection API: ids start at 1,
    so id i goes to entry i - 1; `display_name` is preferred to `name`; ids without an item become
    "???"; an item of id 0 is accepted only as the background, and left out. Any other file holds
    one name per line; an empty line between names becomes "???", since its number counts.

    Raises:
        ValueError: the file is not UTF-8, holds no label, or is not a well-formed label map.
        OSError: the file cannot be read.
    """
    path = Path(path)
    return _parse(path.name, path.name, path.read_bytes())


def labels_in_model(path: str | os.PathLike[str]) -> list[str] | None:
    """Labels packed into a TFLite model with metadata, or None where it carries none.

    Such a model is also a zip archive. The label file is the one .txt or .pbtxt in it with "label"
    in its name, or the only one of any name.

    Raises:
        ValueError: the archive or its label file is damaged, or there are several label files.
        OSError: the file cannot be read.
    """
    path = Path(path)
    with path.open("rb") as file:
        if not zipfile.is_zipfile(file):
            return None
        try:
            with zipfile.ZipFile(file) as archive:
                member = _label_member(path.name, archive.namelist())
                if member is None:
                    return None
                with archive.open(member) as stream:
                    content = stream.read(_MAX_LABEL_BYTES + 1)
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as e:
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
        if labels[0].strip().lower() in _BACKGROUND_NAMES:
            return list(labels[1:])
        raise ValueError(
            f"labels has {len(labels)} entries, the model has {num_classes} classes, "
            f"and the first label, {labels[0]!r}, is not the background"
        )
    raise ValueError(f"labels has {len(labels)} entries, the model has {num_classes} classes")


def _label_member(where: str, names: Sequence[str]) -> str | None:
    texts = [name for name in names if name.lower().endswith((".txt", ".pbtxt"))]
    named = [name for name in texts if "label" in name.lower()]
    found = named or texts
    if len(found) > 1 and named:
        raise ValueError(f"{where} holds {len(found)} label files: {', '.join(sorted(found))}")
    return found[0] if len(found) == 1 else None


def _decode(where: str, content: bytes) -> str:
    if len(content) > _MAX_LABEL_BYTES:
        raise ValueError(f"{where} has more than {_MAX_LABEL_BYTES} bytes, not a label file")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{where} is not UTF-8 at byte {error.start}") from None


def _parse(name: str, where: str, content: bytes) -> list[str]:
    text = _decode(where, content)
    if name.lower().endswith(".pbtxt"):
        return _parse_label_map(where, text)
    # Not splitlines(), which also splits at characters that may occur in a name.
    lines = [line.strip() for line in re.split(r"\r\n|\n|\r", text.rstrip())]
    if not any(lines):
        raise ValueError(f"{where} holds no labels")
    return [line or UNKNOWN for line in lines]


def _parse_label_map(where: str, text: str) -> list[str]:
    names: dict[int, str] = {}
    for item in _LabelMapText(where, text).items():
        number, name = _id_and_name(where, item)
        if number in names:
            raise ValueError(f"{where} has two items of id {number}: {names[number]!r}, {name!r}")
        names[number] = name
    if names.get(0, UNKNOWN).lower() not in _BACKGROUND_NAMES:
        raise ValueError(f"{where} has id 0, {names[0]!r}; ids start at 1, 0 is the background")
    names.pop(0, None)
    if not names:
        raise ValueError(f"{where} holds no labels")
    return [names.get(number, UNKNOWN) for number in range(1, max(names) + 1)]


def _id_and_name(where: str, item: dict[str, str]) -> tuple[int, str]:
    name = item.get("display_name") or item.get("name")
    if "id" not in item or not name:
        lacking = "id" if "id" not in item else "name"
        raise ValueError(f"{where} has an item without {lacking}: {item}")
    number = item["id"]
    if not re.fullmatch(r"[0-9]{1,9}", number) or int(number) > _MAX_ID:
        raise ValueError(f"{where} has id {number[:40]!r}, expected 0 to {_MAX_ID}")
    return int(number), name


class _LabelMapText:
    """The protocol buffers text format, as far as label maps use it."""

    def __init__(self, where: str, text: str) -> None:
        self._where, self._line = where, 1
        self._tokens = self._tokenize(text)
        self._ahead = next(self._tokens)

    def items(self) -> Iterator[dict[str, str]]:
        """Scalar fields of every item; blocks inside an item, such as keypoints, are skipped."""
        while self._ahead != ("end", ""):
            if self._ahead != ("word", "item"):
                raise self._unexpected("item { ... }")
            self._next()
            self._skip_colon()
            yield self._fields(self._opening())

    def _fields(self, close: str) -> dict[str, str]:
        fields: dict[str, str] = {}
        while self._ahead != ("mark", close):
            if self._ahead[0] != "word":
                raise self._unexpected(f"a field name or {close!r}")
            name = self._next()
            self._skip_colon()
            if self._ahead[1] in _CLOSING and self._ahead[0] == "mark":
                self._skip_block()
            else:
                fields[name] = self._value()
        self._next()
        return fields

    def _value(self) -> str:
        if self._ahead[0] == "word":
            return self._next()
        if self._ahead[0] != "string":
            raise self._unexpected("a value")
        value = self._next()
        while self._ahead[0] == "string":
            value += self._next()
        return value

    def _skip_block(self) -> None:
        # A loop, so that nesting cannot exhaust the stack.
        closing = [self._opening()]
        while closing:
            if self._ahead[0] == "end":
                raise self._unexpected(repr(closing[-1]))
            if self._ahead[0] == "mark" and self._ahead[1] in _CLOSING:
                closing.append(self._opening())
            elif self._ahead == ("mark", closing[-1]):
                closing.pop()
                self._next()
            else:
                self._next()

    def _opening(self) -> str:
        if self._ahead[0] != "mark" or self._ahead[1] not in _CLOSING:
            raise self._unexpected("'{'")
        return _CLOSING[self._next()]

    def _skip_colon(self) -> None:
        if self._ahead == ("mark", ":"):
            self._next()

    def _next(self) -> str:
        token = self._ahead[1]
        self._ahead = next(self._tokens)
        return token

    def _unexpected(self, expected: str) -> ValueError:
        got = "the end of the file" if self._ahead[0] == "end" else repr(self._ahead[1])
        return ValueError(f"{self._where}, line {self._line}: got {got}, expected {expected}")

    def _tokenize(self, text: str) -> Iterator[tuple[str, str]]:
        position = 0
        while position < len(text):
            match = _TOKEN.match(text, position)
            if match is None:
                raise ValueError(
                    f"{self._where}, line {self._line}: got {text[position]!r} without its end"
                )
            kind, token = str(match.lastgroup), match.group()
            if kind == "string":
                yield kind, self._unescape(token[1:-1])
            elif kind != "space":
                yield kind, token
            self._line += token.count("\n")
            position = match.end()
        yield "end", ""

    def _unescape(self, text: str) -> str:
        # Octal and hexadecimal escapes are bytes of UTF-8, not characters.
        try:
            return _ESCAPE.sub(_unescaped, text.encode()).decode()
        except UnicodeError:
            message = f"{self._where}, line {self._line}: {text[:40]!r} is not UTF-8"
            raise ValueError(message) from None


def _unescaped(match: re.Match[bytes]) -> bytes:
    hexadecimal, unicode, octal, letter = match.groups()
    if unicode:
        return chr(int(unicode, 16)).encode()
    if hexadecimal or octal:
        value = int(hexadecimal, 16) if hexadecimal else int(octal, 8)
        return bytes([value & 0xFF])
    return _ESCAPED.get(letter, letter)
