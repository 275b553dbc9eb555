# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Every value of an option block, also those that the op does not read, so that they survive an
edit.

Blocks come from strangers: the vectors of one may refer to one another so that a few hundred bytes
unfold to more values than there is memory, and the library of the format checks nothing.
"""

from __future__ import annotations

import struct
from typing import Any

from detops.convert.public_schema import flatbuffers_module

# A block has some three hundred bytes. The library looks for the end of a key in a copy of all that
# follows, which is quadratic.
_MAX_BYTES = 1 << 16
_VALUES_PER_BYTE = 4
_MAX_DEPTH = 64
# What the library raises where bytes, or values, are not as it expects; AssertionError has no text.
_ERRORS = (
    *(struct.error, RuntimeError, AssertionError),
    *(IndexError, KeyError, TypeError, OverflowError, ValueError),
)


def read_option_values(block: bytes) -> dict[str, Any]:
    """The map at the root of a flexbuffer: numbers, strings, bytes, lists and dicts by key. Keys
    without a value are left out: they are as good as absent.

    Raises:
      ValueError: it is not a well-formed map, is huge, or unfolds to far more than it has bytes.
    """
    if len(block) > _MAX_BYTES:
        raise ValueError(f"the option block has {len(block)} bytes, expected at most {_MAX_BYTES}")
    flexbuffers = flatbuffers_module("flatbuffers.flexbuffers")
    try:
        return _Unfolding(block).of_map(flexbuffers.GetRoot(block).AsMap, 0)
    except _ERRORS as error:
        reason = str(error) or "a key or an offset of an impossible width"
        raise ValueError(f"the option block cannot be read: {reason}") from error


def write_option_values(values: dict[str, Any]) -> bytes:
    """A flexbuffer map.

    Raises:
      ValueError: a number that the format's library does not write.
    """
    try:
        return bytes(flatbuffers_module("flatbuffers.flexbuffers").Dumps(values))
    except _ERRORS as error:
        reason = str(error) or "a number or an offset is out of range"
        raise ValueError(f"the options {values!r:.200} cannot be written: {reason}") from error


class _Unfolding:
    """Counts what has been unfolded, repeats included."""

    def __init__(self, block: bytes) -> None:
        self._left = _VALUES_PER_BYTE * len(block)

    def of_map(self, table: Any, depth: int) -> dict[str, Any]:
        values: dict[str, Any] = {}
        keys = table.Keys
        self._spend(len(keys))
        for number in range(len(keys)):
            key = keys[number].AsKey
            self._spend(len(key))
            value = self._of(table[number], depth + 1)
            if value is not None:
                values[key] = value
        return values

    def _of(self, value: Any, depth: int) -> Any:
        if depth > _MAX_DEPTH:
            raise ValueError(f"it is nested more than {_MAX_DEPTH} deep")
        if value.IsMap:
            return self.of_map(value.AsMap, depth)
        for kind in ("Vector", "TypedVector", "FixedTypedVector"):
            if getattr(value, f"Is{kind}"):
                vector = getattr(value, f"As{kind}")
                self._spend(len(vector))
                return [self._of(vector[number], depth + 1) for number in range(len(vector))]
        found = value.Value
        self._spend(len(found) if isinstance(found, (str, bytes, bytearray)) else 1)
        return found

    def _spend(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise ValueError("it refers to the same bytes too many times")
