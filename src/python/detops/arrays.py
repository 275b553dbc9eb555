# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Turns what a caller passes into arrays that the library reads, or says why it cannot."""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Quantization = tuple[float, int]
"""(scale, zero_point) of a uint8 or int8 tensor: value = (q - zero_point) * scale."""


def as_tensor(name: str, value: Any, ranks: tuple[int, ...]) -> NDArray[Any]:
    """A C-contiguous array of one of the ranks; its dtype is left to the library's own check.

    Raises:
      MemoryError: it has to be copied, and there is no room.
      TypeError: the value is not a NumPy array, or has a mask. A list would have no dtype to be
        exact about.
      ValueError: the rank is another one.
    """
    if not isinstance(value, np.ndarray):
        raise TypeError(f"{name} is a {type(value).__name__}, expected a NumPy array")
    _check_unmasked(name, value)
    if value.ndim not in ranks:
        expected = " or ".join(str(rank) for rank in ranks)
        raise ValueError(f"{name} has shape {list(value.shape)}, expected rank {expected}")
    return np.ascontiguousarray(value)


def as_array(name: str, value: ArrayLike) -> NDArray[Any]:
    """What NumPy makes of a value.

    Raises:
      TypeError: it has a mask.
      ValueError: it is nested unevenly.
    """
    _check_unmasked(name, value)
    try:
        return np.asarray(value)
    except ValueError as error:
        raise ValueError(f"{name} is no array: {error}") from error


def _check_unmasked(name: str, value: Any) -> None:
    # The library would read what the mask hides.
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(f"{name} is a {type(value).__name__}, expected an array without a mask")


def as_quantization(name: str, value: Any) -> Quantization | None:
    """None or a (scale, zero_point) pair.

    Raises:
      TypeError: it is neither.
    """
    if value is None:
        return None
    try:
        scale, zero_point = value
        return float(scale), int(np.int32(operator.index(zero_point)))
    except (TypeError, ValueError, OverflowError) as error:
        raise TypeError(f"{name} is {value!r}, expected None or (scale, zero_point)") from error


def as_float32(name: str, value: ArrayLike, shape: tuple[int | None, ...]) -> NDArray[np.float32]:
    """A C-contiguous float32 array of a shape in which None stands for any size.

    Integers and other floats are converted, past the largest float32 to infinity; `[]` is taken for
    an array without rows.

    Raises:
      TypeError: the values are not real numbers, or have a mask.
      ValueError: the shape is another one.
    """
    array = as_array(name, value)
    if array.dtype.kind not in "fiu":
        raise TypeError(f"{name} has type {array.dtype}, expected float32")
    if array.size == 0 and array.ndim == 1:
        array = array.reshape([0 if size is None else size for size in shape])
    matches = array.ndim == len(shape) and all(
        want is None or want == have for want, have in zip(shape, array.shape, strict=True)
    )
    if not matches:
        expected = ", ".join("n" if size is None else str(size) for size in shape)
        raise ValueError(f"{name} has shape {list(array.shape)}, expected [{expected}]")
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(array, np.float32)


def as_number(name: str, value: Any) -> float:
    """A real number; past the largest float it is infinity.

    Raises:
      TypeError: it is none; the message names the argument.
    """
    number = _plain(value)
    if isinstance(number, bool) or not isinstance(number, (int, float)):
        raise TypeError(f"{name} is {value!r:.80}, expected a number")
    try:
        return float(number)
    except OverflowError:
        return math.inf if number > 0 else -math.inf


def as_count(name: str, value: Any) -> int:
    """A whole number.

    Raises:
      TypeError: it is none; the message names the argument.
    """
    number = _plain(value)
    if isinstance(number, bool) or not isinstance(number, int):
        raise TypeError(f"{name} is {value!r:.80}, expected a whole number")
    return number


def _plain(value: Any) -> Any:
    """NumPy's numbers and arrays of no dimension as Python's."""
    return value.item() if isinstance(value, (np.generic, np.ndarray)) and not value.ndim else value
