# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Draws detections on a picture: one box and one chip with name and percent per detection."""

from __future__ import annotations

import colorsys
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from PIL import Image, ImageFont

_Color = tuple[int, int, int]
_Rect = tuple[int, int, int, int]

_GOLDEN_RATIO = (math.sqrt(5) - 1) / 2
# Neighbouring classes differ in hue by the golden ratio and in brightness by this cycle.
_SHADES = ((0.85, 1.0), (0.55, 1.0), (1.0, 0.75))
_BLACK, _WHITE = (0, 0, 0), (255, 255, 255)
_MAX_LABEL = 120


def draw_detections(
    image: Image.Image,
    boxes: ArrayLike,
    classes: ArrayLike,
    scores: ArrayLike,
    labels: Sequence[str],
) -> Image.Image:
    """Returns an RGB copy of `image` with the detections drawn on it.

    Line width and text size follow the size of the image. Boxes are clipped to the image; boxes
    wholly outside it, with min > max, or with any non-finite number are left out. Chips stay inside
    the image and avoid one another while there is room, the best score first.

    Args:
        image: any mode and size.
        boxes: float [M, 4], ymin, xmin, ymax, xmax as fractions of the image.
        classes: [M], 0-based class numbers, whole but of any numeric dtype.
        scores: float [M], from 0 to 1.
        labels: names by class number; a class without one is called "class <number>".

    Raises:
        ValueError: the shapes of `boxes`, `classes` and `scores` do not fit.
        ImportError: Pillow is not installed.
    """
    try:
        from PIL import ImageDraw
    except ImportError as error:
        message = 'draw_detections needs Pillow: pip install "detops[litert]"'
        raise ImportError(message) from error

    canvas = image.convert("RGB") if image.mode != "RGB" else image.copy()
    found = _visible(canvas.size, *_checked(boxes, classes, scores))
    if not found:
        return canvas
    # In mode RGBA on an RGB image, colours with an alpha are blended in.
    draw = ImageDraw.Draw(canvas, "RGBA")
    style = _Style.fitting(canvas.size)
    # Best last, on top.
    for detection in reversed(found):
        _draw_box(draw, detection.rect, class_color(detection.number), style.line)
    taken: list[_Rect] = []
    for detection in found:
        text, font = _fitted_text(detection.text(labels), style, canvas.size[0])
        chip = _place_chip(_chip_size(text, font, style), detection.rect, taken, canvas.size)
        taken.append(chip)
        _draw_chip(draw, chip, text, font, class_color(detection.number))
    return canvas


def class_color(number: int) -> tuple[int, int, int]:
    """Colour of a class as (red, green, blue), 0 to 255; the same for a number every time."""
    hue = (0.02 + number * _GOLDEN_RATIO) % 1.0
    saturation, value = _SHADES[number % len(_SHADES)]
    red, green, blue = colorsys.hsv_to_rgb(hue, saturation, value)
    return round(255 * red), round(255 * green), round(255 * blue)


@dataclass(frozen=True)
class _Detection:
    rect: _Rect
    """left, top, right, bottom in pixels, all inside the image."""
    number: int
    score: float

    def text(self, labels: Sequence[str]) -> str:
        known = 0 <= self.number < len(labels)
        name = labels[self.number] if known else f"class {self.number}"
        # A line break or tab would leave the chip.
        name = " ".join(name.split())[:_MAX_LABEL]
        percent = f"{self.score:.0%}" if abs(self.score) < 10 else f"{self.score:.3g}"
        return f"{name} {percent}".strip()


@dataclass(frozen=True)
class _Style:
    line: int
    font_size: int

    @staticmethod
    def fitting(size: tuple[int, int]) -> _Style:
        # Between the shorter side and the mean, so that panoramas stay readable.
        side = (min(size) * math.sqrt(size[0] * size[1])) ** 0.5
        return _Style(line=max(2, round(side / 180)), font_size=max(11, round(side / 30)))


def _checked(
    boxes: ArrayLike, classes: ArrayLike, scores: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    corners = np.asarray(boxes, np.float64)
    if corners.size == 0:
        corners = corners.reshape(0, 4)
    if corners.ndim != 2 or corners.shape[1] != 4:
        raise ValueError(f"boxes has shape {list(corners.shape)}, expected [M, 4]")
    columns = []
    for name, values in (("classes", classes), ("scores", scores)):
        column = np.asarray(values, np.float64)
        if column.shape != (len(corners),):
            raise ValueError(
                f"{name} has shape {list(column.shape)}, boxes has {len(corners)} rows"
            )
        columns.append(column)
    return corners, columns[0], columns[1]


def _visible(
    size: tuple[int, int],
    corners: NDArray[np.float64],
    classes: NDArray[np.float64],
    scores: NDArray[np.float64],
) -> list[_Detection]:
    """Detections that can be drawn, best score first."""
    width, height = size
    found = []
    for index in np.argsort(-scores, kind="stable"):
        values = [*corners[index].tolist(), float(classes[index]), float(scores[index])]
        if min(size) < 1 or not all(map(math.isfinite, values)):
            continue
        ymin, xmin, ymax, xmax = values[:4]
        if ymin > ymax or xmin > xmax or ymax < 0 or xmax < 0 or ymin > 1 or xmin > 1:
            continue
        left, right = _to_pixels(xmin, xmax, width)
        top, bottom = _to_pixels(ymin, ymax, height)
        found.append(_Detection((left, top, right, bottom), int(values[4]), values[5]))
    return found


def _to_pixels(low: float, high: float, side: int) -> tuple[int, int]:
    # Clipped before scaling, so that huge numbers stay small; the last pixel is side - 1.
    first, last = (round(min(max(edge, 0.0), 1.0) * side) for edge in (low, high))
    first = min(first, side - 1)
    return first, max(first, last - 1)


def _draw_box(draw: Any, rect: _Rect, color: _Color, line: int) -> None:
    left, top, right, bottom = rect
    # A dark edge on both sides keeps the line visible on a background of its own colour.
    edge = max(1, round(line / 2.5))
    for grow, ring, fill in (
        (edge, edge, (*_BLACK, 170)),
        (-line, edge, (*_BLACK, 170)),
        (0, line, (*color, 255)),
    ):
        outer = (left - grow, top - grow, right + grow, bottom + grow)
        if outer[0] <= outer[2] and outer[1] <= outer[3]:
            draw.rectangle(outer, outline=fill, width=ring)


def _fitted_text(
    text: str, style: _Style, width: int
) -> tuple[str, ImageFont.FreeTypeFont | ImageFont.ImageFont]:
    """The text and its font, shortened where it is wider than the image."""
    from PIL import ImageFont

    font = ImageFont.load_default(style.font_size)
    room = width - 2 * _padding(style)
    if font.getlength(text) <= room:
        return text, font
    name, _, percent = text.rpartition(" ")
    for kept in range(len(name) - 1, 0, -1):
        shorter = f"{name[:kept].rstrip()}… {percent}"
        if font.getlength(shorter) <= room:
            return shorter, font
    return percent, font


def _padding(style: _Style) -> int:
    return max(2, round(style.font_size * 0.3))


def _chip_size(text: str, font: Any, style: _Style) -> tuple[int, int]:
    width = math.ceil(font.getlength(text)) + 2 * _padding(style)
    return width, round(style.font_size * 1.4) + 1


def _place_chip(
    chip: tuple[int, int], rect: _Rect, taken: Sequence[_Rect], image: tuple[int, int]
) -> _Rect:
    """The nearest place by the box where the chip hides the least of the chips before it."""
    width, height = chip
    places = np.array(_chip_corners(chip, rect, image[1]))
    places[:, 0] = np.clip(places[:, 0], 0, max(image[0] - width, 0))
    places[:, 1] = np.clip(places[:, 1], 0, max(image[1] - height, 0))
    hidden = np.zeros(len(places))
    if taken:
        others = np.array(taken)
        shared = np.minimum(places[:, None] + chip, others[:, 2:])
        shared = np.maximum(shared - np.maximum(places[:, None], others[:, :2]), 0)
        hidden = shared.prod(axis=2).sum(axis=1)
    # argmin takes the first, and the places are in order of preference.
    left, top = places[int(hidden.argmin())].tolist()
    return left, top, min(left + width, image[0]), min(top + height, image[1])


def _chip_corners(chip: tuple[int, int], rect: _Rect, image_height: int) -> list[tuple[int, int]]:
    """Left top corners to try: at the box's own edges first, then ever further away."""
    width, height = chip
    left, top, right, bottom = rect
    at_right = right + 1 - width
    rows = [bottom + 1, top, bottom + 1 - height]
    if bottom - top > 3 * height:
        # Inside a tall box a chip hides little of it.
        rows = [top, bottom + 1, bottom + 1 - height]
    if top >= height:
        rows.insert(0, top - height)
    near = [(x, y) for y in rows for x in (left, at_right)]
    far = []
    for step in range(image_height // height + 1):
        away = [top - height * (step + 1), top + height * step, bottom + 1 + height * step]
        far += [(x, y) for y in away for x in (left, at_right, right + 1, left - width)]
    return near + sorted(far, key=lambda corner: _gap(rect, corner, chip))


def _gap(rect: _Rect, corner: tuple[int, int], chip: tuple[int, int]) -> int:
    across = max(rect[0] - corner[0] - chip[0], corner[0] - rect[2], 0)
    down = max(rect[1] - corner[1] - chip[1], corner[1] - rect[3], 0)
    return across + down


def _draw_chip(draw: Any, chip: _Rect, text: str, font: Any, color: _Color) -> None:
    left, top, right, bottom = chip
    draw.rectangle((left, top, right - 1, bottom - 1), fill=(*color, 255))
    centre = ((left + right) / 2, (top + bottom) / 2)
    draw.text(centre, text, fill=(*_text_color(color), 255), font=font, anchor="mm")


def _text_color(background: _Color) -> _Color:
    """Black or white, whichever has the higher contrast (WCAG 2 relative luminance)."""
    linear = [
        channel / 12.92 if channel <= 0.04045 else ((channel + 0.055) / 1.055) ** 2.4
        for channel in (value / 255 for value in background)
    ]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return _BLACK if (luminance + 0.05) ** 2 > 1.05 * 0.05 else _WHITE
