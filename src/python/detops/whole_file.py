# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Files that are whole or not there: read from regular files alone, written under a temporary name
and then renamed.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

# A pipe without a writer would keep open() waiting; regular files take no notice.
_FLAGS = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)
_KINDS = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
    stat.S_IFDIR: "a folder",
}
# Of the name, in the temporary one: names have 255 bytes at most.
_LONGEST_TAIL = 40


def open_regular(path: str | os.PathLike[str]) -> BinaryIO:
    """Opens a file for reading, and nothing else: pipes and devices may never end.

    Raises:
      ValueError: it is a pipe, a device or a socket.
      OSError: it cannot be opened; the error names the path as it was given.
    """
    file = open(path, "rb", opener=lambda name, flags: os.open(name, flags | _FLAGS))  # noqa: SIM115
    try:
        _check_regular(path, os.fstat(file.fileno()).st_mode)
    except ValueError:
        file.close()
        raise
    return file


def read_regular(path: str | os.PathLike[str]) -> bytes:
    """The content of a regular file, as long as it was when it was opened.

    Raises:
      ValueError: it is a pipe or a device, or it has shrunk meanwhile.
      OSError: it cannot be read.
    """
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        content = file.read(size)
    if len(content) != size:
        raise ValueError(
            f"{os.fspath(path)} was cut to {len(content)} bytes while it was read, expected {size}"
        )
    return content


def _check_regular(path: str | os.PathLike[str], mode: int) -> None:
    if not stat.S_ISREG(mode):
        kind = _KINDS.get(stat.S_IFMT(mode), "something else")
        raise ValueError(f"{os.fspath(path)} is {kind}, expected a regular file")


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Gives a hidden path beside `path` to write to; what was written takes its place, or nothing
    does. The name ends as that of `path`, since writers look at it for the format.

    A symbolic link stays, and what it leads to is written.

    Raises:
      ValueError: `path` is a folder, a pipe or a device.
      OSError: it cannot be written; the error names a path.
    """
    target = _target(path)
    temporary = target.with_name(f".{secrets.token_hex(4)}.{target.name[-_LONGEST_TAIL:]}")
    try:
        yield temporary
        temporary.replace(target)
    except OSError as error:
        # A write to an open file does not tell which one it was.
        if error.errno is None or error.filename not in (None, str(temporary)):
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        temporary.unlink(missing_ok=True)


def _target(path: Path) -> Path:
    """The file that will be replaced."""
    target = Path(os.path.realpath(path)) if path.is_symlink() else path
    if target.is_symlink():
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
    with contextlib.suppress(FileNotFoundError):
        _check_regular(path, target.stat().st_mode)
    return target
