# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Where a run is kept: a local folder, or a bucket that gets a copy of one."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_CHECKPOINTS = "checkpoints"
# Event files have names of their own each time, so those of before only stay.
_NOT_FETCHED = "tensorboard"


class RunFolder:
    """A local folder."""

    def __init__(self, path: Path, place: str) -> None:
        self.path = path
        self.place = place
        """What the user called it."""

    def send(self) -> None:
        """Brings what changed to where it is kept: here it is."""


class BucketFolder(RunFolder):
    """A local folder, a copy of which is kept in a store that fsspec reaches: gs://, s3://."""

    def __init__(self, path: Path, url: str) -> None:
        super().__init__(path, url)
        try:
            import fsspec
        except ImportError as error:
            message = f'{url} needs fsspec: pip install "detops[tpu]"'
            raise ImportError(message) from error
        self._store: Any
        self._store, self._root = fsspec.core.url_to_fs(url)
        self._sent: dict[str, tuple[int, int]] = {}

    def fetch(self) -> None:
        """Takes up what an earlier process left.

        Raises:
          OSError: the store cannot be read.
        """
        # Another process may have written since the store was last listed.
        self._store.invalidate_cache()
        for remote in self._store.find(self._root) if self._store.exists(self._root) else []:
            name = str(remote)[len(self._root) :].lstrip("/")
            if not name.startswith(_NOT_FETCHED):
                local = self.path / name
                local.parent.mkdir(parents=True, exist_ok=True)
                self._store.get_file(remote, str(local))
                self._sent[name] = _version(local)

    def send(self) -> None:
        """Checkpoints last: each finds the log of its steps, whenever the process ends.

        Raises:
          OSError: the store cannot be written.
        """
        names = [
            path.relative_to(self.path).as_posix()
            for path in sorted(self.path.rglob("*"))
            if path.is_file() and not path.name.startswith(".") and path.suffix != ".tmp"
        ]
        for name in sorted(names, key=lambda name: (_is_checkpoint(name), name)):
            version = _version(self.path / name)
            if self._sent.get(name) != version:
                remote = f"{self._root}/{name}"
                self._store.makedirs(remote.rpartition("/")[0], exist_ok=True)
                self._store.put_file(str(self.path / name), remote)
                self._sent[name] = version
        for name in [name for name in self._sent if _is_checkpoint(name) and name not in names]:
            self._store.rm_file(f"{self._root}/{name}")
            del self._sent[name]


@contextlib.contextmanager
def run_folder(place: Path | str, *, writes: bool = True) -> Iterator[RunFolder]:
    """The folder of a run that is kept at a path, or at a URL like gs://bucket/run.

    Args:
      writes: of several hosts the first does.

    Raises:
      ValueError: there is no such kind of store, or another process trains in this folder.
      ImportError: the package that reaches it is not installed.
      OSError: it cannot be read or made.
    """
    if "://" not in str(place):
        path = Path(place)
        path.mkdir(parents=True, exist_ok=True)
        with _alone_in(path) if writes else contextlib.nullcontext():
            yield RunFolder(path, str(place))
        return
    with tempfile.TemporaryDirectory(prefix="detops-run-") as local:
        folder = BucketFolder(Path(local), str(place))
        folder.fetch()
        yield folder


@contextlib.contextmanager
def _alone_in(path: Path) -> Iterator[None]:
    """Two runs would delete each other's checkpoints. The system forgets the lock when the process
    ends, however it does; where a disk knows no locks, or Windows no such ones, there is none."""
    try:
        import fcntl
    except ImportError:
        yield
        return
    folder = os.open(path, os.O_RDONLY)
    try:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ValueError(
                f"{path}: another process trains in this folder, expected one at a time; wait for "
                "its end, or give another --out"
            ) from None
        except OSError:
            pass
        yield
    finally:
        os.close(folder)


def _is_checkpoint(name: str) -> bool:
    return name.startswith(f"{_CHECKPOINTS}/")


def _version(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_mtime_ns, status.st_size
