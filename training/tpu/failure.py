# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Why a step did not become a program for a TPU: which op, and what to do about it."""

from __future__ import annotations

import linecache
import re
import traceback
from dataclasses import dataclass
from pathlib import Path

_OUT_OF_MEMORY = "RESOURCE_EXHAUSTED"
_NEEDED = (
    re.compile(r"Used (?P<needed>[\d.]+[KMGT]?) of (?P<there>[\d.]+[KMGT]?) hbm"),
    re.compile(r"\((?P<needed>[\d.]+[KMGT]?)B?\) exceeds available HBM \((?P<there>[\d.]+[KMGT]?)"),
)
_OP_NAME = re.compile(r'op_name="([^"]+)"')
_PRIMITIVE = re.compile(r"rule for primitive '?([\w\-]+)'? not found")
_UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_MESSAGE_LENGTH = 300
_LIBRARIES = ("jax", "jaxlib", "keras", "numpy", "optree")

_HINTS = {
    "TracerArrayConversionError": "NumPy was given a value of the step: use keras.ops for it",
    "NonConcreteBooleanIndexError": "a mask selects rows, how many is not known before: keep all "
    "rows and use ops.where",
    "ConcretizationTypeError": "a shape depends on values: make it static, pad and mask",
    "TracerIntegerConversionError": "a size or an index depends on values: make it static",
    "TracerBoolConversionError": "a Python branch depends on values: use ops.where or ops.cond",
}
_NO_RULE = "no TPU knows this op: write it with others of keras.ops"
_TOO_LARGE = (
    "give each device less: a smaller batch_size (and learning rates in proportion), "
    "mixed_precision=true, a smaller max_boxes, or more devices"
)
_UNKNOWN = "the message is the compiler's own"


@dataclass(frozen=True)
class Failure:
    """What stood in the way."""

    kind: str
    """ "out of memory", "not lowered" or "not compiled"."""
    op: str
    """The op that could not be lowered, or the one with the largest buffer; "" if not known."""
    where: str
    """File, line and source of it in the code outside the libraries; "" if not known."""
    message: str
    hint: str
    needed_bytes: int | None = None
    """On each device, where memory did not suffice."""

    def __str__(self) -> str:
        parts = [
            self.kind,
            f"at {self.op}" if self.op else "",
            f"({self.where})" if self.where else "",
        ]
        return f"{' '.join(filter(None, parts))}: {self.message}; {self.hint}"


def explain(error: Exception, *, lowered: bool) -> Failure:
    """What an error means.

    Args:
      error: what tracing, lowering or compiling raised.
      lowered: whether it came from the compiler.
    """
    text = str(error)
    message = " ".join(text.split())[:_MESSAGE_LENGTH]
    if _OUT_OF_MEMORY in text:
        largest = _OP_NAME.search(text)
        needed = _needed_bytes(text)
        return Failure(
            "out of memory", largest[1] if largest else "", "", message, _TOO_LARGE, needed
        )
    if lowered:
        named = _OP_NAME.search(text)
        return Failure("not compiled", named[1] if named else "", "", message, _UNKNOWN)
    primitive = _PRIMITIVE.search(text)
    called, where = _blamed(error)
    if primitive:
        return Failure("not lowered", primitive[1], where, message, _NO_RULE)
    names = (kind.__name__ for kind in type(error).__mro__)
    hint = next((_HINTS[name] for name in names if name in _HINTS), _UNKNOWN)
    return Failure("not lowered", called, where, message, hint)


def _needed_bytes(text: str) -> int | None:
    for pattern in _NEEDED:
        if match := pattern.search(text):
            number = match["needed"]
            unit = _UNITS.get(number[-1], 1)
            return round(float(number.rstrip("KMGT")) * unit)
    return None


def _blamed(error: Exception) -> tuple[str, str]:
    """The function of a library that was called last from code outside of them, and from where."""
    frames = list(traceback.walk_tb(error.__traceback__))
    outside = [
        i for i, (frame, _) in enumerate(frames) if not _in_library(frame.f_code.co_filename)
    ]
    if not outside:
        return "", ""
    frame, line = frames[outside[-1]]
    path = Path(frame.f_code.co_filename)
    source = linecache.getline(str(path), line).strip()
    called = frames[outside[-1] + 1][0].f_code.co_name if outside[-1] + 1 < len(frames) else ""
    return called, f"{path.parent.name}/{path.name}, line {line}: {source}"


def _in_library(filename: str) -> bool:
    parts = Path(filename).parts
    # Frames that come from no file, "<string>", are made by libraries.
    return filename.startswith("<") or any(name in parts for name in _LIBRARIES)
