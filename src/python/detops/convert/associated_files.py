# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""The files packed into a model: a zip archive behind the flatbuffer, whose offsets count from the
start of the whole file. So it has to be written anew when the flatbuffer changes its size.
"""

from __future__ import annotations

import io
import warnings
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass

from detops.labels import ARCHIVE_ERRORS

# Zip entries need a time; a fixed one keeps equal inputs equal files.
_TIME = (1980, 1, 1, 0, 0, 0)
# A small archive may claim to hold any amount; label files and vocabularies are far smaller.
_MAX_UNPACKED = 1 << 28


@dataclass(frozen=True)
class AssociatedFile:
    """A packed file; `entry` is how the archive describes it."""

    entry: zipfile.ZipInfo
    content: bytes

    @staticmethod
    def of(name: str, content: bytes) -> AssociatedFile:
        """A new file, stored without compression: readers map it into memory."""
        return AssociatedFile(zipfile.ZipInfo(name, _TIME), content)


def split_archive(data: bytes) -> tuple[bytes, list[AssociatedFile]]:
    """The flatbuffer and the files behind it.

    Raises:
      ValueError: the archive is damaged, or unpacks to more than anyone packs into a model.
    """
    stream = io.BytesIO(data)
    if not zipfile.is_zipfile(stream):
        return data, []
    try:
        with zipfile.ZipFile(stream) as archive:
            entries = archive.infolist()
            _check_size(sum(entry.file_size for entry in entries))
            files = [AssociatedFile(entry, archive.read(entry)) for entry in entries]
            start = min([entry.header_offset for entry in entries], default=len(data))
    except ARCHIVE_ERRORS as error:
        raise ValueError(f"the archive of associated files is damaged: {error}") from error
    return data[:start], files


def _check_size(size: int) -> None:
    if size > _MAX_UNPACKED:
        raise ValueError(
            f"the associated files have {size} bytes unpacked, expected at most {_MAX_UNPACKED}"
        )


def append_archive(flatbuffer: bytes, files: Sequence[AssociatedFile]) -> bytes:
    """The flatbuffer with the files behind it, each compressed as it was."""
    if not files:
        return flatbuffer
    stream = io.BytesIO(flatbuffer)
    with warnings.catch_warnings(), zipfile.ZipFile(stream, "a") as archive:
        # Two files of one name stay two.
        warnings.filterwarnings("ignore", "Duplicate name")
        for file in files:
            archive.writestr(file.entry, file.content, compress_type=file.entry.compress_type)
    return stream.getvalue()
