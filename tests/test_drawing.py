# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Drawing: what is visible, where chips go, and that no input can make it fail."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

Image = pytest.importorskip("PIL.Image")

from detops import drawing  # noqa: E402
from detops.drawing import class_color, draw_detections  # noqa: E402

GREY = (128, 128, 128)
LABELS = ["cat", "dog", "a rather long name of a class"]
EDGE_NUMBERS = [0.0, -0.0, 0.5, 1.0, -1e30, 1e30, 1e-30, np.nan, np.inf, -np.inf]
NUMBERS = st.one_of(st.sampled_from(EDGE_NUMBERS), st.floats(-0.5, 1.5))


def _picture(width: int = 320, height: int = 240) -> Any:
    return Image.new("RGB", (width, height), GREY)


def _changed(picture: Any) -> Any:
    return (np.asarray(picture) != GREY).any(axis=2)


def _record_chips(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int, int, int]]:
    chips: list[tuple[int, int, int, int]] = []
    place = drawing._place_chip

    def recording(*arguments: Any) -> tuple[int, int, int, int]:
        chips.append(place(*arguments))
        return chips[-1]

    monkeypatch.setattr(drawing, "_place_chip", recording)
    return chips


def _overlap(one: tuple[int, int, int, int], two: tuple[int, int, int, int]) -> int:
    width = min(one[2], two[2]) - max(one[0], two[0])
    height = min(one[3], two[3]) - max(one[1], two[1])
    return max(width, 0) * max(height, 0)


def test_box_and_chip_appear_in_the_class_colour() -> None:
    picture = _picture()
    drawn = draw_detections(picture, [[0.25, 0.25, 0.75, 0.75]], [1], [0.9], LABELS)
    pixels = np.asarray(drawn)
    assert tuple(pixels[120, 80]) == class_color(1)
    assert tuple(pixels[179, 160]) == class_color(1)
    assert tuple(pixels[120, 160]) == GREY
    # The chip sits on the top edge, from the left corner on.
    assert tuple(pixels[57, 81]) == class_color(1)
    assert not _changed(picture).any()


def test_nothing_to_draw() -> None:
    empty = np.zeros((0, 4), np.float32)
    drawn = draw_detections(_picture(), empty, np.zeros(0), np.zeros(0), LABELS)
    assert drawn.size == (320, 240)
    assert not _changed(drawn).any()
    assert not _changed(draw_detections(_picture(), [], [], [], LABELS)).any()


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGBA", "CMYK", "I", "F"])
def test_any_mode_gives_rgb(mode: str) -> None:
    drawn = draw_detections(Image.new(mode, (64, 48)), [[0.1, 0.1, 0.9, 0.9]], [0], [0.5], LABELS)
    assert (drawn.mode, drawn.size) == ("RGB", (64, 48))


@pytest.mark.parametrize(
    "box",
    [
        [np.nan, 0.1, 0.5, 0.5],
        [0.1, 0.1, np.inf, 0.5],
        [0.5, 0.1, 0.1, 0.5],
        [0.1, 0.5, 0.5, 0.1],
        [1.1, 0.1, 1.5, 0.5],
        [-0.5, 0.1, -0.1, 0.5],
        [0.1, -9.0, 0.5, -8.0],
    ],
)
def test_boxes_left_out(box: list[float]) -> None:
    assert not _changed(draw_detections(_picture(), [box], [0], [0.5], LABELS)).any()


@pytest.mark.parametrize(("number", "score"), [(np.nan, 0.5), (0, np.nan), (0, np.inf)])
def test_numbers_left_out(number: float, score: float) -> None:
    box = [[0.1, 0.1, 0.5, 0.5]]
    assert not _changed(draw_detections(_picture(), box, [number], [score], LABELS)).any()


@pytest.mark.parametrize(
    "box",
    [[-1.0, -1.0, 2.0, 2.0], [0.5, 0.5, 0.5, 0.5], [1.0, 1.0, 1.0, 1.0], [0.0, 0.2, 0.0, 0.4]],
)
def test_clipped_and_degenerate_boxes_are_drawn(box: list[float]) -> None:
    assert _changed(draw_detections(_picture(), [box], [0], [0.5], LABELS)).any()


def test_class_without_a_label() -> None:
    box = [[0.1, 0.1, 0.9, 0.9]]
    for number in (-1, 3, 1e30):
        assert _changed(draw_detections(_picture(), box, [number], [0.5], LABELS)).any()


@pytest.mark.parametrize("label", ["", "a\nb\tc", "x" * 10_000, "猫 ΩЖ 🐈"])
def test_odd_labels_stay_inside(label: str, monkeypatch: pytest.MonkeyPatch) -> None:
    chips = _record_chips(monkeypatch)
    draw_detections(_picture(), [[0.1, 0.1, 0.9, 0.9]], [0], [0.5], [label])
    [(left, top, right, bottom)] = chips
    assert 0 <= left < right <= 320
    assert 0 <= top < bottom <= 240


def test_chips_of_identical_boxes_do_not_overlap(monkeypatch: pytest.MonkeyPatch) -> None:
    chips = _record_chips(monkeypatch)
    boxes = np.tile([0.4, 0.4, 0.6, 0.6], (12, 1))
    draw_detections(_picture(640, 480), boxes, np.arange(12) % 2, np.linspace(0.9, 0.1, 12), LABELS)
    assert len(chips) == 12
    assert all(_overlap(a, b) == 0 for i, a in enumerate(chips) for b in chips[:i])


def test_the_best_score_chooses_its_place_first(monkeypatch: pytest.MonkeyPatch) -> None:
    chips = _record_chips(monkeypatch)
    boxes = np.tile([0.4, 0.4, 0.6, 0.6], (2, 1))
    draw_detections(_picture(), boxes, [0, 0], [0.2, 0.8], LABELS)
    assert chips[0][:2] == (128, 96 - (chips[0][3] - chips[0][1]))


@pytest.mark.parametrize("size", [(8, 8), (100, 3), (3, 100), (4000, 200), (1, 1)])
def test_chips_stay_inside_any_image(
    size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    chips = _record_chips(monkeypatch)
    rng = np.random.default_rng(0)
    corners = rng.uniform(-0.2, 1.0, (20, 2))
    boxes = np.concatenate([corners, corners + rng.uniform(0.2, 0.5, (20, 2))], axis=1)
    draw_detections(_picture(*size), boxes, rng.integers(0, 3, 20), rng.random(20), LABELS)
    assert chips
    for left, top, right, bottom in chips:
        assert 0 <= left < right <= size[0]
        assert 0 <= top < bottom <= size[1]


@given(st.lists(st.tuples(*[NUMBERS] * 6), max_size=6), st.integers(1, 80), st.integers(1, 80))
@settings(max_examples=100, deadline=None)
def test_no_number_makes_it_fail(rows: list[tuple[float, ...]], width: int, height: int) -> None:
    table = np.array(rows).reshape(-1, 6)
    drawn = draw_detections(_picture(width, height), table[:, :4], table[:, 4], table[:, 5], LABELS)
    assert drawn.size == (width, height)


def test_the_same_input_gives_the_same_picture() -> None:
    arguments = ([[0.1, 0.2, 0.7, 0.8], [0.2, 0.2, 0.9, 0.9]], [0, 2], [0.5, 0.6], LABELS)
    once, again = (draw_detections(_picture(), *arguments) for _ in range(2))
    assert once.tobytes() == again.tobytes()


def test_colours_of_neighbouring_classes_differ() -> None:
    colors = np.array([class_color(number) for number in range(90)], np.int64)
    assert len({tuple(color) for color in colors.tolist()}) == 90
    for distance in (1, 2, 3):
        steps = np.abs(colors[distance:] - colors[:-distance]).sum(axis=1)
        assert steps.min() > 60, (distance, steps.argmin())


def test_text_stands_out_from_every_chip() -> None:
    def luminance(color: tuple[int, int, int]) -> float:
        part = np.array(color) / 255
        linear = np.where(part <= 0.04045, part / 12.92, ((part + 0.055) / 1.055) ** 2.4)
        return float(linear @ [0.2126, 0.7152, 0.0722])

    for number in range(300):
        color = class_color(number)
        dark, light = sorted([luminance(color), luminance(drawing._text_color(color))])
        assert (light + 0.05) / (dark + 0.05) >= 4.5


@pytest.mark.parametrize(
    ("boxes", "classes", "scores", "message"),
    [
        (np.zeros((1, 2, 4)), [0, 0], [1, 1], r"boxes has shape \[1, 2, 4\], expected \[M, 4\]"),
        (np.zeros((2, 5)), [0, 0], [1, 1], r"boxes has shape \[2, 5\]"),
        (np.zeros((2, 4)), [0], [1, 1], r"classes has shape \[1\], boxes has 2 rows"),
        (np.zeros((2, 4)), [0, 0], [[1, 1]], r"scores has shape \[1, 2\], boxes has 2 rows"),
    ],
)
def test_shapes_that_do_not_fit(boxes: Any, classes: Any, scores: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        draw_detections(_picture(), boxes, classes, scores, LABELS)


def test_without_pillow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(ImportError, match=r'needs Pillow: pip install "detops\[litert\]"'):
        draw_detections(None, [], [], [], LABELS)  # type: ignore[arg-type]


def test_a_photo() -> None:
    root = os.environ.get("DETOPS_DATA")
    if not root:
        pytest.skip("DETOPS_DATA is not set")
    with Image.open(Path(root) / "images" / "cats_and_dogs.jpg") as photo:
        drawn = draw_detections(photo, [[0.25, 0.51, 1.0, 0.76]], [1], [0.97], LABELS)
        assert drawn.size == photo.size
        assert (np.asarray(drawn) != np.asarray(photo)).any()
