# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""StringIntLabelMap, the class names (.pbtxt) of the TensorFlow Object Detection API."""

from __future__ import annotations

import re
from collections.abc import Iterator

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


def parse_label_map(where: str, text: str) -> dict[int, str]:
    """The names of a label map by id; `display_name` is preferred to `name`.

    Args:
        where: what to call the text in messages.
        text: the content of a .pbtxt file.

    Raises:
        ValueError: it is not a well-formed label map, or an id occurs twice.
    """
    names: dict[int, str] = {}
    for item in _LabelMapText(where, text).items():
        number, name = _id_and_name(where, item)
        if number in names:
            raise ValueError(f"{where} has two items of id {number}: {names[number]!r}, {name!r}")
        names[number] = name
    return names


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
