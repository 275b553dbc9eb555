# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""The pictures that exported files are compared and scored on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detops.detector import load_image
from training.config import Config
from training.export.scoring import pictures

_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")


@dataclass(frozen=True)
class Validation:
    """Pictures, and the annotated data set that they are of, if it is one."""

    images: list[NDArray[np.uint8]]
    """[S, S, 3] each: those on which files are compared."""
    source: Any = None
    """A `training.data` Source, which files are scored on."""


def open_validation(
    config: Config,
    labels: Sequence[str],
    *,
    count: int,
    data: str = "",
    only: str = "",
    images: str = "",
    photos: str = "",
) -> Validation:
    """Opens what the command line or the config names.

    Args:
      count: pictures to compare on, from the front.
      data, only, images: as `training.data.open_source` takes them; `data` "" for the config's.
      photos: a folder of pictures without annotations, in place of all that.

    Raises:
      ValueError: there is no picture; real ones are needed to compare.
      OSError: something cannot be read.
    """
    if photos:
        return Validation(_photos(Path(photos), config.image_size, count))
    if not data:
        data, only = config.validation_data, config.validation_list
        images = config.validation_images
    if not data:
        raise ValueError("the config names no validation_data; give --data, or --photos FOLDER")
    from training.data import open_source

    source = open_source(
        data,
        images=images,
        only=only,
        labels=labels,
        label_from=config.label_from,
        single_class=config.single_class,
    )
    return Validation(list(islice(pictures(source, config.image_size), count)), source)


def _photos(folder: Path, size: int, count: int) -> list[NDArray[np.uint8]]:
    from PIL import Image

    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in _SUFFIXES)[:count]
    if not found:
        raise ValueError(f"{folder} holds no picture ({', '.join(_SUFFIXES)})")
    resized = [load_image(path).resize((size, size), Image.Resampling.BILINEAR) for path in found]
    return [np.asarray(picture) for picture in resized]
