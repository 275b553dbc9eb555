# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""The input pipeline as a whole: what a batch holds, determinism, resume, evaluation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from detops.detector import load_image

tf = pytest.importorskip("tensorflow")
pytest.importorskip("PIL")

from PIL import Image  # noqa: E402

from training.data import Source, evaluation_batches, open_source, training_batches  # noqa: E402
from training.data.shard_writer import write_shards  # noqa: E402
from training_data_files import VocFolder, encoded, picture, voc_folder  # noqa: E402

SIZE = 32
PLAIN = {"flip": False, "random_crop": False, "photometric": False}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return voc_folder(tmp_path_factory.mktemp("voc"), 10)


@pytest.fixture(scope="module")
def source(folder: Path) -> Source:
    return open_source(folder)


def _take(source: Source, steps: int, **options: Any) -> list[Any]:
    given = {"image_size": SIZE, "batch_size": 4, "max_boxes": 5, "seed": 1, **options}
    return list(training_batches(source, **given).take(steps).as_numpy_iterator())


def _assert_same(first: Any, second: Any) -> None:
    for one, other in zip(tf.nest.flatten(first), tf.nest.flatten(second), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_batch(source: Source) -> None:
    data = training_batches(source, image_size=SIZE, batch_size=4, max_boxes=5, seed=1)
    images, truth = data.element_spec
    assert (images.shape, images.dtype) == ((4, SIZE, SIZE, 3), tf.uint8)
    assert (truth["boxes"].shape, truth["boxes"].dtype) == ((4, 5, 4), tf.float32)
    assert (truth["classes"].shape, truth["classes"].dtype) == ((4, 5), tf.int32)
    assert (truth["valid"].shape, truth["valid"].dtype) == ((4, 5), tf.bool)
    for _, batch in data.take(10).as_numpy_iterator():
        boxes, valid = batch["boxes"], batch["valid"]
        assert (boxes >= 0).all()
        assert (boxes <= 1).all()
        assert (boxes[valid][:, 2:] > boxes[valid][:, :2]).all()
        assert not boxes[~valid].any()
        assert not batch["classes"][~valid].any()
        # The rows in use come first.
        np.testing.assert_array_equal(valid, np.sort(valid, axis=1)[:, ::-1])


def test_without_augmentation_pictures_and_boxes_are_as_they_are(source: Source) -> None:
    seen = []
    for images, truth in _take(source, 10, batch_size=1, **PLAIN):
        boxes = truth["boxes"][0][truth["valid"][0]]
        match = [
            i
            for i, example in enumerate(source)
            if example.boxes.shape == boxes.shape
            and np.array_equal(example.boxes, boxes)
            and np.abs(_pillow(example, SIZE) - images[0].astype(int)).max() <= 2
        ]
        assert len(match) == 1
        seen += match
    assert sorted(seen) == list(range(10))


def _pillow(example: Any, size: int) -> Any:
    image = load_image(example.image).resize((size, size), Image.Resampling.BILINEAR)
    return np.asarray(image).astype(int)


def test_the_same_seed_gives_the_same_batches(source: Source) -> None:
    first = _take(source, 4)
    _assert_same(first, _take(source, 4))
    _assert_same(first, _take(source, 4, cache_bytes=0))
    other = _take(source, 4, seed=2)
    assert any(not np.array_equal(a[0], b[0]) for a, b in zip(first, other, strict=True))


@pytest.mark.parametrize("zoom_out", [False, True])
def test_a_resumed_run_gets_the_same_batches(source: Source, zoom_out: bool) -> None:
    whole = _take(source, 7, zoom_out=zoom_out)
    for start in (1, 2, 5):
        _assert_same(whole[start:], _take(source, 7 - start, start_step=start, zoom_out=zoom_out))


def test_records_give_the_batches_of_their_source(source: Source, tmp_path: Path) -> None:
    write_shards(source, tmp_path, shards=3)
    records = open_source(tmp_path)
    whole = _take(source, 6)
    _assert_same(whole, _take(records, 6))
    _assert_same(whole[3:], _take(records, 3, start_step=3, cache_bytes=0))


def test_batched_equals_single(source: Source) -> None:
    batched, single = _take(source, 3), _take(source, 12, batch_size=1)
    images = np.concatenate([images for images, _ in single])
    np.testing.assert_array_equal(np.concatenate([images for images, _ in batched]), images)
    for key in ("boxes", "classes", "valid"):
        np.testing.assert_array_equal(
            np.concatenate([truth[key] for _, truth in batched]),
            np.concatenate([truth[key] for _, truth in single]),
        )


@pytest.mark.parametrize("operation", ["flip", "random_crop", "photometric", "zoom_out"])
def test_each_operation_has_its_switch(source: Source, operation: str) -> None:
    off = _take(source, 6, **PLAIN)
    on = _take(source, 6, **{**PLAIN, operation: True})
    assert any(not np.array_equal(a[0], b[0]) for a, b in zip(off, on, strict=True))
    boxes_differ = any(
        not np.array_equal(a[1]["boxes"], b[1]["boxes"]) for a, b in zip(off, on, strict=True)
    )
    assert boxes_differ == (operation != "photometric")


def test_a_set_without_boxes_and_a_single_picture(tmp_path: Path) -> None:
    VocFolder(tmp_path).add("a.jpg", [])
    source = open_source(tmp_path, labels=["cat"])
    for images, truth in _take(source, 3):
        assert images.shape == (4, SIZE, SIZE, 3)
        assert not truth["valid"].any()


def test_crowds_are_not_trained_on_and_too_many_boxes_are_left_out(tmp_path: Path) -> None:
    folder = VocFolder(tmp_path)
    folder.add("crowd.jpg", extra="<difficult>1</difficult>")
    folder.add("many.jpg", [("cat", n, n, n + 20, n + 10) for n in range(8)])
    source = open_source(tmp_path)
    valid = [truth["valid"].sum() for _, truth in _take(source, 2, batch_size=1, **PLAIN)]
    assert sorted(valid) == [0, 5]


def test_a_picture_that_vanished_is_named(tmp_path: Path) -> None:
    folder = VocFolder(tmp_path)
    folder.add("a.jpg")
    source = open_source(tmp_path)
    (folder.images / "a.jpg").write_bytes(encoded(picture(20, 20)))
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"a\.jpg has 20 x 20 pixels"):
        _take(source, 1)


@pytest.mark.parametrize(
    ("option", "value"),
    [("image_size", 0), ("batch_size", 0), ("max_boxes", 0), ("start_step", -1)],
)
def test_numbers_out_of_range(source: Source, option: str, value: int) -> None:
    with pytest.raises(ValueError, match=f"{option} is {value}, expected at least"):
        _take(source, 1, **{option: value})


def test_evaluation_in_order_with_the_pixels_of_the_detector(source: Source) -> None:
    data = evaluation_batches(source, image_size=SIZE, batch_size=4)
    for _ in range(2):
        batches = list(data.as_numpy_iterator())
        assert [index.tolist() for _, index in batches] == [
            [0, 1, 2, 3],
            [4, 5, 6, 7],
            [8, 9, 9, 9],
        ]
        images = np.concatenate([images for images, _ in batches])
        assert images.dtype == np.uint8
        for image, example in zip(images[:10], source, strict=True):
            np.testing.assert_array_equal(image, _pillow(example, SIZE))
    spec = data.element_spec
    assert spec[0].shape == (4, SIZE, SIZE, 3)
    assert spec[1].dtype == tf.int64


@pytest.mark.fault
def test_a_picture_that_vanished_before_the_scoring_is_named(tmp_path: Path) -> None:
    folder = VocFolder(tmp_path)
    for number in range(2):
        folder.add(f"{number}.jpg")
    source = open_source(tmp_path)
    for damage in (lambda path: path.write_bytes(path.read_bytes()[:300]), Path.unlink):
        damage(folder.images / "1.jpg")
        with pytest.raises(tf.errors.OpError, match=r"ValueError: 1\.jpg can no longer be read"):
            list(evaluation_batches(source, image_size=8, batch_size=2))


def test_evaluation_with_fewer_pictures_than_a_batch(source: Source) -> None:
    ((images, index),) = evaluation_batches(source, image_size=8, batch_size=16).as_numpy_iterator()
    assert images.shape == (16, 8, 8, 3)
    assert index.tolist() == [*range(10), *[9] * 6]
