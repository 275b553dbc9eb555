# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Several hosts, pictures kept on disk, batches made elsewhere: always the same batches."""

from __future__ import annotations

import dataclasses
import errno
import os
import shutil
import signal
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")
pytest.importorskip("PIL")

from training.data import Source, open_source, training_batches  # noqa: E402
from training.data.graph_reader import GraphReader  # noqa: E402
from training.data.image_store import ImageStore  # noqa: E402
from training.data.order import BatchOrder  # noqa: E402
from training.data.service import run_dispatcher, run_worker  # noqa: E402
from training.data.shard_writer import write_shards  # noqa: E402
from training.data.share import Share  # noqa: E402
from training_data_files import VocFolder, coco_file, encoded, picture, voc_folder  # noqa: E402

HOSTS = 4


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Source:
    return open_source(voc_folder(tmp_path_factory.mktemp("voc"), 10))


@pytest.fixture(scope="module")
def shards(source: Source, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shards")
    write_shards(source, folder, shards=5)
    return folder


def _take(source: Source, steps: int, **options: Any) -> list[Any]:
    given = {"image_size": 24, "batch_size": 8, "max_boxes": 4, "seed": 3, **options}
    return list(training_batches(source, **given).take(steps).as_numpy_iterator())


def _assert_same(first: Any, second: Any) -> None:
    pairs = list(zip(tf.nest.flatten(first), tf.nest.flatten(second), strict=True))
    assert pairs
    for one, other in pairs:
        np.testing.assert_array_equal(one, other)


def _together(parts: list[list[Any]]) -> list[Any]:
    """The batches of several hosts, put together."""
    return [
        tf.nest.map_structure(lambda *rows: np.concatenate(rows), *step)
        for step in zip(*parts, strict=True)
    ]


# ------------------------------------------------------------------------------------------- hosts


def test_hosts_that_see_everything_share_the_batch_of_one(source: Source) -> None:
    parts = [_take(source, 5, share=Share(host, HOSTS)) for host in range(HOSTS)]
    _assert_same(_together(parts), _take(source, 5))


def test_a_host_goes_on_where_it_was(source: Source, shards: Path) -> None:
    share = Share(1, 2)
    for given in (source, open_source(shards, share=share)):
        whole = _take(given, 6, share=share)
        _assert_same(whole[4:], _take(given, 2, share=share, start_step=4))


def test_hosts_read_their_own_shards(source: Source, shards: Path) -> None:
    hosts = [open_source(shards, share=Share(host, 2)) for host in range(2)]
    names = [[example.image_id for example in host] for host in hosts]
    assert not set(names[0]) & set(names[1])
    assert sorted([*names[0], *names[1]]) == sorted(example.image_id for example in source)
    assert len(names[0]) == 6  # Shards 0, 2 and 4 of two pictures each.
    assert all(host.labels == source.labels for host in hosts)
    read = {example.image.path.name for example in hosts[1]}  # type: ignore[union-attr]
    assert read == {"train-00001-of-00005.tfrecord", "train-00003-of-00005.tfrecord"}


def test_the_trainer_opens_own_shards(shards: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("keras")
    from training import distribution, train
    from training.config import Config

    config = Config(
        architecture="ssd_mobilenet_v1",
        steps=1,
        learning_rate=0.1,
        train_data=str(shards),
        validation_data=str(shards),
        own_shards=True,
    )
    monkeypatch.setattr(distribution, "share", lambda: Share(1, 2))
    training, validation = train.open_data(config)
    assert (len(training), len(validation)) == (4, 10)
    assert training.share == Share(1, 2)
    assert validation.labels == training.labels
    with pytest.raises(ValueError, match="own_shards and data_service"):
        train.open_data(config.replace(data_service="grpc://localhost:5000"))


def test_own_shards_fill_disjoint_rows_of_the_batch(shards: Path) -> None:
    steps, batch = 9, 6
    positions = []
    for host in range(2):
        share = Share(host, 2)
        order = BatchOrder(open_source(shards, share=share), batch, 5, share)
        rows = list(order.from_step(0).take(steps * order.rows).as_numpy_iterator())
        positions += [int(position) for position, _ in rows]
        # Each picture once before any comes again.
        count = len(order.source)
        seen = [int(index) for _, index in rows]
        for epoch in range(len(seen) // count):
            assert sorted(seen[epoch * count : (epoch + 1) * count]) == list(range(count))
    assert sorted(positions) == list(range(steps * batch))


def test_parts_of_a_source_without_shards(source: Source, tmp_path: Path) -> None:
    path = coco_file(tmp_path)
    parts = [open_source(path, share=Share(host, 2)) for host in range(2)]
    assert [[example.image_id for example in part] for part in parts] == [["1.jpg"], ["2.jpg"]]
    assert parts[0].labels == parts[1].labels == open_source(path).labels
    assert _take(parts[0], 1, share=Share(0, 2))[0][0].shape == (4, 24, 24, 3)


def test_shares_that_do_not_fit(source: Source, shards: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="batch_size is 8, which the 3 hosts do not divide"):
        _take(source, 1, share=Share(0, 3))
    with pytest.raises(ValueError, match="expected the same or a whole source"):
        _take(open_source(shards, share=Share(0, 2)), 1, share=Share(1, 2))
    with pytest.raises(ValueError, match="expected the same or a whole source"):
        _take(open_source(shards, share=Share(0, 2)), 1)
    with pytest.raises(ValueError, match="5 shards for 6 hosts"):
        open_source(shards, share=Share(0, 6))
    with pytest.raises(ValueError, match="share 2 of 2"):
        Share(2, 2)
    write_shards(source, tmp_path, shards=2)
    (tmp_path / "label_map.pbtxt").unlink()
    with pytest.raises(ValueError, match=r"no label_map\.pbtxt"):
        open_source(tmp_path, share=Share(0, 2))
    assert open_source(tmp_path, share=Share(0, 2), labels=source.labels).labels == source.labels


def test_a_missing_shard_is_reported_by_every_host(shards: Path, tmp_path: Path) -> None:
    for path in sorted(shards.iterdir())[:-1]:
        (tmp_path / path.name).write_bytes(path.read_bytes())
    for path in shards.glob("*.pbtxt"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "train-00002-of-00005.tfrecord").unlink()
    for host in range(2):
        problems = open_source(tmp_path, share=Share(host, 2)).problems
        assert [entry.reason for entry in problems.skipped_images].count("shard missing") >= 1


# ----------------------------------------------------------------------------------------- reading


def test_graphs_read_what_python_reads(tmp_path: Path, shards: Path) -> None:
    folder = VocFolder(tmp_path)
    folder.add("plain.jpg", content=encoded(picture(seed=4)))
    folder.add("clear.png", content=encoded(picture(seed=5), "PNG"), boxes=[])
    # Re-encoded when it is opened.
    folder.add("moving.gif", content=encoded(picture(seed=6), "GIF"))
    mixed = open_source(tmp_path)
    kinds = {type(example.image) for example in mixed}
    assert len(kinds) == 2
    for source in (mixed, open_source(shards), open_source(shards, only=_list(tmp_path))):
        reader, store = GraphReader(source), ImageStore(source, 0)
        for index, example in enumerate(source):
            pixels, boxes, classes = tf.function(reader.read)(tf.constant(index, tf.int64))
            np.testing.assert_array_equal(pixels, store.pixels(index))
            np.testing.assert_array_equal(boxes, example.targets()[0])
            np.testing.assert_array_equal(classes, example.targets()[1])


def _list(folder: Path) -> Path:
    path = folder / "some.txt"
    path.write_text("p_3\np_7\np_8\n")
    return path


def test_a_graph_names_the_picture_that_changed(tmp_path: Path) -> None:
    folder = VocFolder(tmp_path)
    folder.add("a.jpg")
    source = open_source(tmp_path)
    (folder.images / "a.jpg").write_bytes(encoded(picture(20, 20)))
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"a\.jpg has not the pixels"):
        _take(source, 1, cache_bytes=0)


def test_pictures_kept_in_a_folder(source: Source, shards: Path, tmp_path: Path) -> None:
    cache = str(tmp_path / "decoded")
    for given in (source, open_source(shards)):
        first = _take(given, 3, cache_bytes=0, cache_folder=cache)
        _assert_same(first, _take(given, 3))
    kept = sorted(Path(cache).iterdir())
    assert len(kept) == 2 * 10
    assert all(path.suffix == ".rgb" and not path.name.startswith(".") for path in kept)
    # From the folder now: black pictures there are what comes out.
    for path in kept:
        black = bytes(path.stat().st_size - 4)
        path.write_bytes(black + zlib.crc32(black).to_bytes(4, "little"))
    plain = {"flip": False, "random_crop": False, "photometric": False}
    for images, _ in _take(source, 2, cache_bytes=0, cache_folder=cache, **plain):
        assert not images.any()


def _truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1)


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def _folder_instead(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.fault
@pytest.mark.parametrize(
    "damage", [_truncate, _flip, _folder_instead, lambda path: path.write_bytes(b"")]
)
def test_a_kept_picture_that_was_damaged_is_decoded_again(
    tmp_path: Path, damage: Callable[[Path], object]
) -> None:
    VocFolder(tmp_path / "voc").add("a.jpg")
    store = ImageStore(open_source(tmp_path / "voc"), 0, str(tmp_path / "decoded"))
    pixels = store.pixels(0)
    [kept] = (tmp_path / "decoded").iterdir()
    damage(kept)
    for _ in range(2):
        np.testing.assert_array_equal(store.pixels(0), pixels)
    assert [path for path in (tmp_path / "decoded").iterdir() if path.name[0] == "."] == []


@pytest.mark.fault
def test_pictures_that_cannot_be_kept_stop_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    VocFolder(tmp_path / "voc").add("a.jpg")
    cache = tmp_path / "decoded"
    store = ImageStore(open_source(tmp_path / "voc"), 0, str(cache))
    pixels = store.pixels(0)
    shutil.rmtree(cache)
    np.testing.assert_array_equal(store.pixels(0), pixels)
    cache.mkdir()

    def full(path: Path, content: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(Path, "write_bytes", full)
    np.testing.assert_array_equal(store.pixels(0), pixels)
    assert list(cache.iterdir()) == []


def test_a_picture_that_changed_is_not_taken_from_the_folder(tmp_path: Path) -> None:
    folder, cache = VocFolder(tmp_path / "voc"), str(tmp_path / "decoded")
    folder.add("a.jpg", content=encoded(picture(seed=1)))
    source = open_source(tmp_path / "voc")
    before = ImageStore(source, 0, cache).pixels(0)
    (folder.images / "a.jpg").write_bytes(encoded(picture(seed=2)) + b" ")
    after = ImageStore(source, 0, cache).pixels(0)
    assert np.abs(before.astype(int) - after).max() > 10


# ----------------------------------------------------------------------------------------- service


@pytest.fixture(scope="module")
def service() -> Iterator[str]:
    """A dispatcher here, and a worker in a process of its own."""
    dispatcher = run_dispatcher(0)
    command = [sys.executable, "-m", "training.data", "work", dispatcher.target]
    path = os.pathsep.join([str(Path(__file__).parent.parent), *sys.path])
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": path}
    ) as worker:
        assert worker.stdout is not None
        assert "working for grpc://" in worker.stdout.readline()
        yield str(dispatcher.target)
        worker.terminate()
    dispatcher.stop()


@pytest.fixture
def two_workers(service: str) -> Iterator[str]:
    """The same with another worker, here."""
    worker = run_worker(service)
    yield service
    worker.stop()


def test_batches_made_elsewhere_are_the_same(source: Source, shards: Path, service: str) -> None:
    expected = _take(source, 6)
    _assert_same(_take(source, 6, data_service=service), expected)
    records = open_source(shards)
    _assert_same(_take(records, 2, data_service=service, start_step=4), expected[4:])


def test_however_many_workers_there_are(source: Source, two_workers: str) -> None:
    _assert_same(_take(source, 8, data_service=two_workers), _take(source, 8))


def test_hosts_share_a_service(source: Source, service: str) -> None:
    parts = [_take(source, 3, share=Share(host, 2), data_service=service) for host in range(2)]
    _assert_same(_together(parts), _take(source, 3))


def test_servers_end_with_control_c() -> None:
    path = os.pathsep.join([str(Path(__file__).parent.parent), *sys.path])
    command = [sys.executable, "-m", "training.data", "dispatch", "--port", "0"]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
        # A shell starts background jobs, and with them these tests, with the signal ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as server:
        try:
            assert server.stdout is not None
            assert "waiting for workers" in server.stdout.readline()
            server.send_signal(signal.SIGINT)
            assert server.wait(timeout=60) == 130
        finally:
            server.kill()


def test_a_batch_that_does_not_come_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    from training.data import service

    monkeypatch.setattr(service, "_MOST_WAITING", 3)
    lost = tf.data.Dataset.range(10).filter(lambda step: step != 2).map(lambda step: (step, step))
    with pytest.raises(RuntimeError, match=r"the batch of step 2 has not come, 4 later"):
        list(service._in_order(lost, 0))


def test_a_service_of_another_form(source: Source) -> None:
    with pytest.raises(ValueError, match="expected grpc://HOST:PORT"):
        _take(source, 1, data_service="localhost:5000")


def test_shares_are_values() -> None:
    assert dataclasses.replace(Share(1, 2), index=0) == Share(0, 2)
    assert Share(1, 3).of(range(7)) == [1, 4]
