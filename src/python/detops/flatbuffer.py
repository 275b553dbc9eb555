# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Reads FlatBuffers tables from bytes that nobody has checked.

Source of the layout: the FlatBuffers binary format. Every offset is checked before it is followed
and the work is bounded by the size of the file, however its tables refer to one another.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

_TABLE_COST = 16
_SLACK = 1 << 20
# The limit that the FlatBuffers verifier sets by default.
_MAX_TABLES = 1_000_000


class ModelFileError(ValueError):
    """The bytes are not a well-formed TFLite model; the message names what and where."""


class FileBytes:
    """The file, with checked access and a limit on how much of it may be read, counting repeats."""

    def __init__(self, data: memoryview) -> None:
        self.data = data
        # Offsets may all lead to one big table, which would make reading quadratic. Writers share
        # little beyond strings, so a few times the file is generous.
        self._left = 4 * len(data) + _SLACK
        self._tables_left = _MAX_TABLES

    def unpack(self, code: str, position: int, what: str) -> Any:
        self.check(position, struct.calcsize(code), what)
        return struct.unpack_from("<" + code, self.data, position)[0]

    def check(self, position: int, size: int, what: str) -> None:
        if position < 0 or size > len(self.data) - position:
            raise ModelFileError(
                f"{what} needs bytes {position} to {position + size}, "
                f"the file has {len(self.data)} bytes"
            )

    def spend(self, size: int, what: str) -> None:
        self._left -= size
        if self._left < 0:
            raise ModelFileError(f"{what}: the file refers to the same bytes too many times")

    def spend_table(self, what: str) -> None:
        self.spend(_TABLE_COST, what)
        self._tables_left -= 1
        if self._tables_left < 0:
            raise ModelFileError(f"{what}: the file has more than {_MAX_TABLES} tables")

    def view(self, position: int, size: int, what: str) -> NDArray[np.uint8]:
        self.check(position, size, what)
        return np.frombuffer(self.data[position : position + size], np.uint8)


class Table:
    """A FlatBuffers table; `slot` is the number of a field in the order of the schema."""

    def __init__(self, file: FileBytes, position: int, where: str) -> None:
        file.spend_table(where)
        self.file, self.position, self.where = file, position, where
        self._vtable = position - file.unpack("i", position, where)
        self._slots = (file.unpack("H", self._vtable, f"vtable of {where}") - 4) // 2
        file.check(self._vtable, 4 + 2 * self._slots, f"vtable of {where}")

    def _field(self, slot: int) -> int | None:
        if slot >= self._slots:
            return None
        offset = self.file.unpack("H", self._vtable + 4 + 2 * slot, self.where)
        return self.position + offset if offset else None

    def _target(self, slot: int) -> int | None:
        position = self._field(slot)
        if position is None:
            return None
        return position + int(self.file.unpack("I", position, f"field {slot} of {self.where}"))

    def scalar(self, slot: int, code: str, default: int) -> int:
        position = self._field(slot)
        if position is None:
            return default
        return int(self.file.unpack(code, position, f"field {slot} of {self.where}"))

    def raw(self, slot: int, item_size: int = 1) -> tuple[int, NDArray[np.uint8]] | None:
        position = self._target(slot)
        if position is None:
            return None
        what = f"vector {slot} of {self.where}"
        count = int(self.file.unpack("I", position, what))
        return position + 4, self.file.view(position + 4, count * item_size, what)

    def numbers(self, slot: int, dtype: str) -> tuple[Any, ...] | None:
        found = self.raw(slot, np.dtype(dtype).itemsize)
        if found is None:
            return None
        self.file.spend(found[1].size, self.where)
        return tuple(found[1].view(dtype).tolist())

    def string(self, slot: int) -> str:
        found = self.raw(slot)
        if found is None:
            return ""
        self.file.spend(found[1].size, self.where)
        return found[1].tobytes().decode("utf-8", errors="replace")

    def table(self, slot: int, name: str) -> Table | None:
        position = self._target(slot)
        return None if position is None else Table(self.file, position, f"{name} of {self.where}")

    def tables(self, slot: int, name: str) -> Iterator[Table]:
        found = self.raw(slot, 4)
        if found is None:
            return
        for index, offset in enumerate(found[1].view("<u4").tolist()):
            where = f"{name} {index}"
            yield Table(self.file, found[0] + 4 * index + offset, where)
