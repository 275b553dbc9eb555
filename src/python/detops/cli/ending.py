# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""How a command ends: with a code, and at most one line on stderr, whatever happens.

Exit codes: 0 all is well, 1 a problem while it worked, 2 a wrong command line or input, 130 Ctrl-C,
141 the reader of the output went away, 129 and 143 SIGHUP and SIGTERM.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from typing import Any

from detops.cli.table import one_line
from detops.quiet_interrupt import is_interrupt

FAILED, WRONG, INTERRUPTED, PIPE_CLOSED = 1, 2, 130, 141
TRACEBACK = "DETOPS_TRACEBACK"
"""Environment variable that prints, for those who look for a fault, where an error came from."""

_LONGEST = 2000
# What TensorFlow puts around its messages: lines in front, and nodes of its graph.
_PREAMBLE = re.compile(
    r"Graph execution error:|Detected at node .*|<stack traces unavailable>|\d+ root error.*|"
    r'\s*File ".*|\s*'
)
_NODES = re.compile(r"\{\{[^{}]*\}\}|\[\[[^\[\]]*\]\]|\[Op:\w*\]( name:)?")


def run(program: str, work: Callable[[], int], *, wrong: int = WRONG) -> int:
    """Does the work of a command, and gives its exit code whatever happens.

    Args:
      program: its name in messages, such as "training.train".
      work: reads the arguments and does everything; what it raises becomes a line and a code.
      wrong: the code for input that is wrong.
    """
    _open_closed_streams()
    with _terminable():
        try:
            return _flushed(_done(work))
        except KeyboardInterrupt:
            return INTERRUPTED
        except _Terminated as end:
            return end.code
        except BrokenPipeError:
            return PIPE_CLOSED
        except Exception as error:
            if is_interrupt(error):
                return INTERRUPTED
            return fail(program, error, wrong if _is_wrong_input(error) else FAILED)
        finally:
            # What could not be written would be tried again at the end, and be a traceback there.
            _discard(sys.stdout, sys.stderr)


def fail(program: str, error: BaseException, code: int) -> int:
    """Tells an error in one line, and gives the exit code back."""
    if os.environ.get(TRACEBACK):
        traceback.print_exception(error)
    with contextlib.suppress(OSError, ValueError):
        print(f"{program}: error: {message(error)}", file=sys.stderr, flush=True)
    return code


def message(error: BaseException) -> str:
    """An error in one line: without the graphs and tracebacks of TensorFlow and JAX, and with its
    kind where it was not raised to tell somebody something."""
    if isinstance(error, FileNotFoundError) and error.errno and error.filename is None:
        # The system names every file but that in which a process works.
        error = OSError(error.errno, f"it is gone ({error.strerror})", "the current folder")
    told = isinstance(error, (ValueError, OSError, ImportError, FloatingPointError))
    if (
        told
        or type(error) is RuntimeError
        or type(error).__module__.startswith(("detops.", "training."))
    ):
        text = one_line(error)
    elif isinstance(error, MemoryError):
        text = f"there is not enough memory: {one_line(error)}".removesuffix(": ")
    else:
        lines = without_graph_nodes(str(error)).splitlines()
        told_first = next((line for line in lines if not _PREAMBLE.fullmatch(line)), "")
        text = f"{type(error).__name__}: {one_line(told_first)}"
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def without_graph_nodes(text: str) -> str:
    """A message of TensorFlow without the nodes of its graph."""
    return _NODES.sub("", text).strip()


class _Terminated(BaseException):
    """A signal to end came; not an Exception, so that nothing but us takes it for an error."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.code = 128 + number


def _done(work: Callable[[], int]) -> int:
    try:
        return work()
    except SystemExit as end:
        # argparse's, after --help or a wrong command line.
        return end.code if isinstance(end.code, int) else 0


def _flushed(code: int) -> int:
    # Not at the exit of the interpreter, where a full disk would be a traceback.
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OSError(f"the standard output cannot be written: {error.strerror}") from error
    return code


def _is_wrong_input(error: Exception) -> bool:
    return isinstance(error, (ValueError, OSError, ImportError, MemoryError))


def _open_closed_streams() -> None:
    """Gives a process that was started without stdout or stderr some that lead nowhere: otherwise
    a file that is opened later takes their numbers, and gets what libraries print to them."""
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            mode = "r" if name == "stdin" else "w"
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: PTH123, SIM115
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # The lowest number that is free.
            os.open(os.devnull, os.O_RDWR)
    for stream in (sys.stdout, sys.stderr):
        # Names of classes and files hold any characters; a terminal may have fewer.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


@contextlib.contextmanager
def _terminable() -> Iterator[None]:
    """Within it SIGTERM and SIGHUP are raised, so that temporary files are removed; a second one
    ends at once. Training has a handler of its own while it can save."""

    def receive(number: int, frame: Any) -> None:
        del frame
        signal.signal(number, signal.SIG_DFL)
        raise _Terminated(number)

    # Python delivers signals to the main thread only, and lets no other one ask for them.
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    # What nohup has had ignored stays so.
    before = {n: signal.getsignal(n) for n in numbers if signal.getsignal(n) is not signal.SIG_IGN}
    for number in before:
        signal.signal(number, receive)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _discard(*streams: Any) -> None:
    """What a stream still holds is not written when the interpreter ends."""
    for stream in streams:
        with contextlib.suppress(OSError, ValueError):
            try:
                stream.flush()
            except OSError:
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
