# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""A sheet of augmented pictures with their boxes, for a look at what the network gets to see."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from detops.drawing import class_color

if TYPE_CHECKING:
    from PIL import Image

_GAP = 6
_PAPER = (255, 255, 255)
_LINE = 2
_FONT_SIZE = 13
_SMALLEST_TILE = 300
_DARK_TEXT_FROM = 140
_UNNAMED_FROM = 8
"""Boxes of a picture from which on only the first of each class gets its name."""


def sample_sheet(
    samples: Sequence[tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.int32]]],
    labels: Sequence[str],
) -> Image.Image:
    """Pictures in a grid that is about square.

    Args:
      samples: for each, pixels uint8 [S, S, 3], boxes float32 [K, 4] ymin, xmin, ymax, xmax as
        fractions, and classes int32 [K].
      labels: class names.

    Raises:
      ValueError: there is no sample.
    """
    from PIL import Image

    if not samples:
        raise ValueError("there is no sample, expected at least 1")
    columns = math.ceil(math.sqrt(len(samples)))
    rows = math.ceil(len(samples) / columns)
    tiles = [draw_boxes(*sample, labels) for sample in samples]
    step = tiles[0].width + _GAP
    sheet = Image.new("RGB", (columns * step + _GAP, rows * step + _GAP), _PAPER)
    for number, tile in enumerate(tiles):
        row, column = divmod(number, columns)
        sheet.paste(tile, (_GAP + column * step, _GAP + row * step))
    return sheet


def draw_boxes(
    pixels: NDArray[np.uint8],
    boxes: NDArray[np.float32],
    classes: NDArray[np.int32],
    labels: Sequence[str],
) -> Image.Image:
    """One picture with its ground truth; small pictures are enlarged to stay readable.

    `detops.draw_detections` is for what a detector found: it writes a percent on each box.
    """
    from PIL import Image, ImageDraw, ImageFont

    tile = Image.fromarray(pixels)
    if tile.width < _SMALLEST_TILE:
        factor = math.ceil(_SMALLEST_TILE / tile.width)
        tile = tile.resize((tile.width * factor,) * 2, Image.Resampling.NEAREST)
    draw = ImageDraw.Draw(tile)
    font = ImageFont.load_default(_FONT_SIZE)
    named: set[int] = set()
    # The largest first: the small ones stay visible on top.
    order = np.argsort(-np.prod(boxes[:, 2:] - boxes[:, :2], axis=1), kind="stable")
    corners = np.round(boxes[:, [1, 0, 3, 2]] * (tile.width - 1))
    for row in order:
        draw.rectangle(corners[row].tolist(), outline=class_color(int(classes[row])), width=_LINE)
    for row in order:
        number = int(classes[row])
        if len(boxes) < _UNNAMED_FROM or number not in named:
            _draw_name(draw, corners[row].tolist(), number, labels[number], font, tile.width)
        named.add(number)
    return tile


def _draw_name(
    draw: Any, corners: list[float], number: int, name: str, font: Any, side: int
) -> None:
    width, height = math.ceil(font.getlength(name)) + 6, _FONT_SIZE + 4
    left = max(0, min(corners[0], side - width))
    # Above the box, or inside it where there is no room.
    top = corners[1] - height if corners[1] >= height else corners[1]
    color = class_color(number)
    draw.rectangle((left, top, left + width - 1, top + height - 1), fill=color)
    luminance = 0.299 * color[0] + 0.587 * color[1] + 0.114 * color[2]
    text = (0, 0, 0) if luminance > _DARK_TEXT_FROM else (255, 255, 255)
    draw.text((left + width / 2, top + height / 2), name, fill=text, font=font, anchor="mm")
