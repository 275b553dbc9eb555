# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""JSON whose objects have each key once, and how a wrong value of it is told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

SHOWN = 80
"""Characters of what is wrong in a message."""


def once_each(problem: str) -> Callable[[list[tuple[str, Any]]], dict[str, Any]]:
    """An `object_pairs_hook` of json.loads, which otherwise lets the last value of a key count.

    Args:
      problem: the message of the ValueError, with {} for the key.
    """

    def as_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        values = dict(pairs)
        if len(values) < len(pairs):
            keys = [key for key, _ in pairs]
            twice = next(key for key in keys if keys.count(key) > 1)
            raise ValueError(problem.format(shown(twice)))
        return values

    return as_object


def shown(value: Any) -> str:
    """A wrong value in a message: it may have any length, and Python refuses to write some ints."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):
        return f"a {type(value).__name__} too large to print"
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."
