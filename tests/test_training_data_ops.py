# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Each operation of the input pipeline on its own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

tf = pytest.importorskip("tensorflow")
pytest.importorskip("PIL")

from PIL import Image  # noqa: E402

from training.data.flip import flip, random_flip  # noqa: E402
from training.data.order import shuffled_order  # noqa: E402
from training.data.padding import pad_boxes  # noqa: E402
from training.data.photometric import adjust_hue, adjust_saturation, random_photometric  # noqa: E402
from training.data.random_crop import covered_table, crop, random_crop, sample_window  # noqa: E402
from training.data.resize import resize, to_uint8  # noqa: E402
from training.data.zoom_out import FILL, put_on_canvas, random_zoom_out  # noqa: E402
from training_data_files import picture  # noqa: E402

NO_BOXES = np.zeros((0, 4), np.float32)
NO_CLASSES = np.zeros(0, np.int32)
BOXES = np.array([[0.1, 0.2, 0.5, 0.4], [0.5, 0.5, 1.0, 1.0]], np.float32)
CLASSES = np.array([3, 5], np.int32)


def _marked(height: int, width: int, boxes: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Black, with white boxes: what an operation does to boxes can be seen in the pixels."""
    image = np.zeros((height, width, 3), np.uint8)
    for ymin, xmin, ymax, xmax in np.round(boxes * [height, width, height, width]).astype(int):
        image[ymin:ymax, xmin:xmax] = 255
    return image


def _extent(image: Any) -> NDArray[np.float64]:
    """The corners of all that is white, as fractions."""
    rows, columns = np.nonzero(np.asarray(image)[..., 0] == 255)
    height, width = image.shape[:2]
    corners = [rows.min(), columns.min(), rows.max() + 1, columns.max() + 1]
    return np.array(corners) / [height, width, height, width]


def _seeds(count: int) -> Iterator[NDArray[np.int64]]:
    yield from (np.array([7, number]) for number in range(count))


def test_flip() -> None:
    image = _marked(20, 30, BOXES[:1])
    mirrored, boxes = flip(image, BOXES[:1])
    np.testing.assert_allclose(boxes, [[0.1, 0.6, 0.5, 0.8]], rtol=1e-6)
    np.testing.assert_allclose(_extent(mirrored), boxes[0], rtol=1e-6)
    again = flip(*flip(image, BOXES))
    np.testing.assert_array_equal(again[0], image)
    np.testing.assert_allclose(again[1], BOXES, atol=1e-6)
    assert flip(image, NO_BOXES)[1].shape == (0, 4)


def test_random_flip_mirrors_half() -> None:
    image = _marked(4, 6, BOXES[:1])
    flips = [float(random_flip(image, BOXES, seed)[1][0, 1]) != BOXES[0, 1] for seed in _seeds(200)]
    assert 75 <= sum(flips) <= 125


def test_crop() -> None:
    image = np.arange(20 * 30 * 3, dtype=np.uint16).reshape(20, 30, 3)
    part, boxes, classes = crop(image, BOXES, CLASSES, np.array([2, 3, 10, 12], np.int32))
    np.testing.assert_array_equal(part, image[2:12, 3:15])
    # The second box's centre, (15, 22.5), is outside.
    np.testing.assert_allclose(boxes, [[0, 0.25, 0.8, 0.75]], atol=1e-6)
    assert classes.numpy().tolist() == [3]


def test_a_crop_of_everything_changes_nothing() -> None:
    image = _marked(20, 30, BOXES)
    part, boxes, classes = crop(image, BOXES, CLASSES, np.array([0, 0, 20, 30], np.int32))
    np.testing.assert_array_equal(part, image)
    np.testing.assert_array_equal(boxes, BOXES)
    np.testing.assert_array_equal(classes, CLASSES)


def test_windows_have_the_areas_and_aspects_of_the_paper() -> None:
    height, width = 200, 300
    box = np.array([[0.4, 0.4, 0.6, 0.55]], np.float32)
    windows = np.array([sample_window(height, width, box, seed) for seed in _seeds(300)])
    top, left, tall, broad = windows.T
    assert (windows >= 0).all()
    assert (top + tall <= height).all()
    assert (left + broad <= width).all()
    areas = tall * broad / (height * width)
    assert areas.min() >= 0.1 - 0.01
    aspects = broad / tall
    assert aspects.min() >= 0.49
    assert aspects.max() <= 2.05
    # One option in eight, since a small object is easily shown whole.
    whole = np.mean((tall == height) & (broad == width))
    assert 0.06 < whole < 0.2
    centres = (box[0, :2] + box[0, 2:]) / 2 * [height, width]
    assert ((top <= centres[0]) & (centres[0] < top + tall)).all()
    assert ((left <= centres[1]) & (centres[1] < left + broad)).all()


def test_most_windows_show_most_of_an_object() -> None:
    box = np.array([[0.3, 0.3, 0.7, 0.6]], np.float32)
    windows = np.array([sample_window(100, 100, box, seed) for seed in _seeds(300)], np.float32)
    corners = np.concatenate([windows[:, :2], windows[:, :2] + windows[:, 2:]], axis=1) / 100
    shown = np.asarray(covered_table(corners, box))[:, 0]
    # All but those of the options .0 to .3 show half or more.
    assert np.mean(shown >= 0.5 - 1e-4) > 0.6
    assert shown.min() < 0.5
    assert shown.min() > 0


def test_covered_table_is_the_part_of_an_object_that_is_shown() -> None:
    windows = np.array([[0, 0, 1, 1], [0, 0, 0.5, 0.5], [0.2, 0.2, 0.3, 0.4]], np.float32)
    boxes = np.array([[0.2, 0.2, 0.4, 0.4], [0.4, 0.4, 0.6, 0.8]], np.float32)
    expected = [[1, 1], [1, 0.125], [0.5, 0]]
    np.testing.assert_allclose(covered_table(windows, boxes), expected, atol=1e-6)


def test_boxes_follow_the_pixels_of_a_random_crop() -> None:
    image = _marked(100, 100, BOXES[:1])
    for seed in _seeds(30):
        part, boxes, _ = random_crop(image, BOXES[:1], CLASSES[:1], seed)
        np.testing.assert_allclose(_extent(part), boxes[0], atol=1e-5)


def test_pictures_without_boxes_are_cropped_too() -> None:
    image = np.zeros((50, 70, 3), np.uint8)
    shapes = set()
    for seed in _seeds(10):
        part, boxes, classes = random_crop(image, NO_BOXES, NO_CLASSES, seed)
        assert boxes.shape == (0, 4)
        assert classes.shape == (0,)
        shapes.add(tuple(part.shape))
    assert len(shapes) > 3


def test_a_picture_of_one_pixel() -> None:
    image = np.full((1, 1, 3), 9, np.uint8)
    whole = np.array([[0, 0, 1, 1]], np.float32)
    for seed in _seeds(5):
        part, boxes, _ = random_crop(image, whole, CLASSES[:1], seed)
        assert part.shape == (1, 1, 3)
        np.testing.assert_array_equal(boxes, whole)
        zoomed, _ = random_zoom_out(image, whole, seed)
        assert resize(zoomed, 4).shape == (4, 4, 3)


def test_put_on_canvas() -> None:
    image = np.full((10, 20, 3), 255, np.uint8)
    whole = np.array([[0, 0, 1, 1]], np.float32)
    canvas, boxes = put_on_canvas(image, whole, np.array([5, 8]), np.array([40, 40]))
    assert canvas.shape == (40, 40, 3)
    assert canvas.dtype == tf.uint8
    np.testing.assert_allclose(boxes[0], _extent(canvas), rtol=1e-6)
    np.testing.assert_array_equal(canvas[0, 0], FILL)
    np.testing.assert_array_equal(canvas[-1, -1], FILL)


def test_random_zoom_out() -> None:
    image = np.full((20, 20, 3), 255, np.uint8)
    whole = np.array([[0, 0, 1, 1]], np.float32)
    ratios = []
    for seed in _seeds(40):
        canvas, boxes = random_zoom_out(image, whole, seed)
        np.testing.assert_allclose(boxes[0], _extent(canvas), atol=1e-6)
        ratios.append(canvas.shape[0] / 20)
    assert max(ratios) <= 4
    assert 8 <= ratios.count(1.0) <= 32


def test_photometric_stays_in_range_and_often_changes() -> None:
    image = np.asarray(picture(20, 30)).astype(np.float32)
    results = [random_photometric(image, seed).numpy() for seed in _seeds(40)]
    assert all(result.min() >= 0 and result.max() <= 255 for result in results)
    assert all(result.dtype == np.float32 for result in results)
    unchanged = sum(np.allclose(result, image, atol=1e-3) for result in results)
    assert unchanged <= 10
    means = [result.mean() - image.mean() for result in results]
    assert min(means) < -15
    assert max(means) > 15


def test_colours() -> None:
    grey = np.full((1, 1, 3), 80, np.float32)
    np.testing.assert_allclose(adjust_hue(grey, 0.1), grey, atol=1e-3)
    np.testing.assert_allclose(adjust_saturation(grey, 1.5), grey, atol=1e-3)
    red = np.array([[[200, 0, 0]]], np.float32)
    np.testing.assert_allclose(adjust_hue(red, 1 / 3), [[[0, 200, 0]]], atol=1e-2)
    np.testing.assert_allclose(adjust_saturation(red, 0.5), [[[200, 100, 100]]], atol=1e-2)


@pytest.mark.parametrize(("height", "width"), [(200, 330), (90, 31), (64, 64), (20, 500)])
def test_resize_is_that_of_the_detector(height: int, width: int) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    expected = Image.fromarray(noise).resize((64, 64), Image.Resampling.BILINEAR)
    got = to_uint8(resize(noise, 64)).numpy().astype(int)
    assert np.abs(got - np.asarray(expected)).max() <= 1


def test_to_uint8_rounds_and_clips() -> None:
    values = to_uint8(tf.constant([-3.0, 0.4, 0.6, 254.6, 300.0]))
    assert values.dtype == tf.uint8
    assert values.numpy().tolist() == [0, 0, 1, 255, 255]


def test_pad_boxes() -> None:
    padded = pad_boxes(BOXES, CLASSES, 4)
    np.testing.assert_array_equal(padded["boxes"], [*BOXES, [0] * 4, [0] * 4])
    assert padded["classes"].numpy().tolist() == [3, 5, 0, 0]
    assert padded["valid"].numpy().tolist() == [True, True, False, False]
    assert pad_boxes(NO_BOXES, NO_CLASSES, 2)["valid"].numpy().tolist() == [False, False]


def test_of_too_many_boxes_the_largest_stay_in_order() -> None:
    sides = np.array([0.3, 0.1, 0.5, 0.3], np.float32)
    boxes = np.stack([0 * sides, 0 * sides, sides, sides], axis=1)
    padded = pad_boxes(boxes, np.arange(4, dtype=np.int32), 2)
    assert padded["classes"].numpy().tolist() == [0, 2]
    assert padded["valid"].numpy().all()


def test_order_holds_each_picture_once_an_epoch() -> None:
    pairs = list(shuffled_order(7, seed=3).take(21).as_numpy_iterator())
    assert [int(position) for position, _ in pairs] == list(range(21))
    epochs = [tuple(int(i) for _, i in pairs[e * 7 : e * 7 + 7]) for e in range(3)]
    assert all(sorted(epoch) == list(range(7)) for epoch in epochs)
    assert len(set(epochs)) == 3
    for start in (0, 1, 7, 12):
        later = list(shuffled_order(7, seed=3, start=start).take(5).as_numpy_iterator())
        assert later == pairs[start : start + 5]
    assert list(shuffled_order(7, seed=4).take(21).as_numpy_iterator()) != pairs
