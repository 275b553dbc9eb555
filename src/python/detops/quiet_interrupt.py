# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Ctrl-C while a command is still importing what it needs: no traceback.

The commands catch KeyboardInterrupt themselves once they run. Before that, for up to some seconds
with TensorFlow, Python would print where in somebody's import it was. Only the hook for uncaught
exceptions is changed, and only in processes that were started as one of our commands.
"""

from __future__ import annotations

import re
import sys
from types import TracebackType

_OURS = re.compile(r"(detops|training|benchmarks)(\.[\w.]+)?")


def _is_command() -> bool:
    """True for `detops ...`, `python -m detops ...`, `python -m training.train ...`."""
    arguments = list(sys.orig_argv)
    if "-m" in arguments:
        following = arguments[arguments.index("-m") + 1 :]
        return bool(following) and _OURS.fullmatch(following[0]) is not None
    return any(re.search(r"(^|[/\\])detops(\.exe)?$", argument) for argument in arguments[:2])


def is_interrupt(error: BaseException) -> bool:
    """True for what Ctrl-C became: extension modules turn it into an ImportError of their own."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, KeyboardInterrupt):
        cause = cause.__cause__
    return cause is not None


def _print_all_but_interrupts(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    if not issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)


if _is_command() and sys.excepthook is sys.__excepthook__:
    sys.excepthook = _print_all_but_interrupts
