# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Plain text in columns."""

from __future__ import annotations

import shutil
import textwrap
import unicodedata
from collections.abc import Sequence

_GAP = "  "


def printable(text: object) -> str:
    """The text with control characters escaped: a file's names must not command a terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(text))


def one_line(message: object) -> str:
    """An error's message, whatever its line breaks, in one printable line."""
    if isinstance(message, OSError) and message.strerror and message.filename is not None:
        message = f"{message.filename}: {message.strerror}"
    return printable(" ".join(str(message).split()))


def display_width(text: str) -> int:
    """Columns that the text takes in a terminal: wide East Asian characters take two."""
    wide = sum(unicodedata.east_asian_width(c) in "WF" for c in text)
    narrow = sum(unicodedata.combining(c) == 0 for c in text)
    return wide + narrow


def column_widths(*rows: Sequence[str], limit: int | None = None) -> list[int]:
    """The width of each column, at most `limit`."""
    widths = [max(map(display_width, column)) for column in zip(*rows, strict=True)]
    return widths if limit is None else [min(width, limit) for width in widths]


def format_row(cells: Sequence[str], widths: Sequence[int], right: Sequence[int] = ()) -> str:
    """One line; the columns numbered in `right` are flush right."""
    padded = []
    for number, (cell, width) in enumerate(zip(cells, widths, strict=True)):
        space = " " * (width - display_width(cell))
        padded.append(space + cell if number in right else cell + space)
    return _GAP.join(padded).rstrip()


def format_wrapped(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table whose cells are wrapped so that it fits the terminal."""
    narrowest = column_widths(headers, *([_longest_word(cell) for cell in row] for row in rows))
    widths = column_widths(headers, *rows)
    room = max(shutil.get_terminal_size((100, 0)).columns, 60) - len(_GAP) * (len(widths) - 1)
    while sum(widths) > room:
        # The widest column that can still give way does.
        slack = [w if w > least else 0 for w, least in zip(widths, narrowest, strict=True)]
        if not any(slack):
            break
        widths[slack.index(max(slack))] -= 1
    lines = [format_row(headers, widths), format_row(["-" * w for w in widths], widths)]
    for row in rows:
        wrapped = [textwrap.wrap(c, w) or [""] for c, w in zip(row, widths, strict=True)]
        for depth in range(max(map(len, wrapped))):
            cells = [cell[depth] if depth < len(cell) else "" for cell in wrapped]
            lines.append(format_row(cells, widths))
    return "\n".join(lines)


def _longest_word(cell: str) -> str:
    return max(cell.split(), key=display_width, default="")[:40]
