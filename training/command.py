# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""How every command of training reads its arguments, and how it ends.

Exit codes are those of `detops.cli.ending`; what went wrong is one line on stderr.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import re
from collections.abc import Callable
from typing import NoReturn

from detops.cli.ending import FAILED, TRACEBACK, WRONG, fail, run
from detops.cli.table import one_line

__all__ = ["FAILED", "TRACEBACK", "WRONG", "Parser", "fail", "finite_number", "run", "whole_number"]


class Parser(argparse.ArgumentParser):
    """Tells a wrong command line in one line. Sub-commands speak in the name of the program."""

    def error(self, message: str) -> NoReturn:
        # `python -m training.data show` is the sub-command `show` of `training.data`.
        program = self.prog.removeprefix("python -m ").partition(" ")[0]
        self.exit(WRONG, f"{program}: error: {one_line(message)} (see: {self.prog} --help)\n")


def whole_number(least: int, most: int) -> Callable[[str], int]:
    """A `type` of argparse: an integer of a range, both ends included."""

    def read(text: str) -> int:
        # Python refuses to read thousands of digits.
        value = int(text) if re.fullmatch(r"-?[0-9]{1,20}", text) else least - 1
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(
                f"{text!r}, expected a whole number, {least} to {most}"
            )
        return value

    return read


def finite_number(text: str) -> float:
    """A `type` of argparse: neither infinite nor NaN, which no comparison would ever find wrong."""
    with contextlib.suppress(ValueError):
        if math.isfinite(value := float(text)):
            return value
    raise argparse.ArgumentTypeError(f"{text!r}, expected a number")
