# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Annotated pictures: how they are drawn, where they go, and how they get there whole."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from detops.detector import Detection
from detops.drawing import draw_detections
from detops.whole_file import replacing

if TYPE_CHECKING:
    from PIL import Image

_FORMATS = {
    ".bmp": "BMP",
    ".jpeg": "JPEG",
    ".jpg": "JPEG",
    ".png": "PNG",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".webp": "WEBP",
}
PICTURE_SUFFIXES = {*_FORMATS, ".gif", ".pgm", ".ppm"}
"""Names that count as pictures in a folder."""
_QUALITY = 92


def annotated_paths(
    images: Sequence[Path], out: str | None, *, folder: bool, are_files: bool = True
) -> list[Path | None]:
    """One path for each picture, none of them twice and none a picture itself.

    Args:
      images: the pictures to annotate.
      out: a file for one picture, or a folder, which is created; None to write nothing.
      folder: `out` is a folder whatever its name.
      are_files: the pictures are files, which must stay; False where there are only names.

    Raises:
      ValueError: `out` does not fit, or is where the pictures are.
    """
    if out is None:
        return [None] * len(images)
    target = Path(out)
    folder = folder or target.is_dir() or out.endswith(("/", os.sep))
    if not folder and target.suffix.lower() not in _FORMATS:
        expected = ", ".join(sorted(_FORMATS))
        raise ValueError(f"--out is {out}, expected a folder or a name that ends in {expected}")
    if folder and not target.is_dir() and (target.exists() or target.suffix.lower() in _FORMATS):
        raise ValueError(f"--out is {out}, expected a folder for {len(images)} pictures")
    paths = _names_in(target, images) if folder else [target]
    originals = {image.resolve() for image in images if are_files}
    for path in paths:
        if path.resolve() in originals:
            raise ValueError(f"--out would overwrite the picture {path}")
    for path in paths[:1]:
        path.parent.mkdir(parents=True, exist_ok=True)
    return [*paths]


def _names_in(folder: Path, images: Sequence[Path]) -> list[Path]:
    taken: set[str] = set()
    paths = []
    for image in images:
        suffix = image.suffix if image.suffix.lower() in _FORMATS else ".png"
        name, number = f"{image.stem}{suffix}", 2
        # Folders may hold pictures of one name; case does not tell files apart everywhere.
        while name.lower() in taken:
            name, number = f"{image.stem}_{number}{suffix}", number + 1
        taken.add(name.lower())
        paths.append(folder / name)
    return paths


def annotated(
    picture: Image.Image, found: Sequence[Detection], labels: Sequence[str]
) -> Image.Image:
    """A copy of a picture with what was found in it."""
    return draw_detections(
        picture,
        [detection.box for detection in found],
        [detection.class_index for detection in found],
        [detection.score for detection in found],
        labels,
    )


def save_picture(picture: Image.Image, path: Path) -> None:
    """Writes a picture under a temporary name and renames it: a file by that name is complete.

    Raises:
      OSError: it cannot be written.
    """
    with replacing(path) as temporary:
        picture.save(temporary, _FORMATS[path.suffix.lower()], quality=_QUALITY)
