# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""The keys that an option block has: the library reads values, and absent keys have those too."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

_WIDTHS = (1, 2, 4, 8)


def option_keys(block: bytes) -> list[str]:
    """Keys of the map at the root of a flexbuffer, in the order of the file (sorted).

    For a block that the library has found well-formed; any other gives what can be read. The
    format: https://flatbuffers.dev/flatbuffers_internals/#flexbuffers

    Args:
      block: the custom options of a node.
    """
    if len(block) < 3 or block[-1] not in _WIDTHS:
        return []
    # From the end: the width of the root, its type, and its distance back to the values. Before
    # the values stand the distance back to the keys, the width of a key, and the count.
    width = 1 << (block[-2] & 3)
    values = _follow(block, len(block) - 2 - block[-1], block[-1])
    keys = _follow(block, values - 3 * width, width)
    key_width = _number(block, values - 2 * width, width)
    if key_width not in _WIDTHS:
        return []
    count = min(_number(block, values - width, width), len(block))
    starts = (_follow(block, keys + i * key_width, key_width) for i in range(count))
    return [key.decode("utf-8", "replace") for key in _texts(block, starts)]


def _texts(block: bytes, starts: Iterable[int]) -> Iterator[bytes]:
    """The keys. Those of a map differ, so together they are hardly longer than the block; where
    many offsets lead to one long text, the rest is left out."""
    left = 4 * len(block)
    for start in starts:
        if start < 0:
            continue
        end = block.find(b"\0", start)
        end = end if end >= 0 else len(block)
        left -= end - start + 1
        if left < 0:
            return
        yield block[start:end]


def _number(block: bytes, at: int, width: int) -> int:
    return int.from_bytes(block[at : at + width], "little") if at >= 0 else 0


def _follow(block: bytes, at: int, width: int) -> int:
    """Offsets count backwards from where they stand; -1 for one that leaves the block."""
    return max(at - _number(block, at, width), -1) if at >= 0 else -1
