# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""TFRecords: written, read again, of other programs, and damaged."""

from __future__ import annotations

import math
import os
import sys
from pathlib import Path

import pytest

tf = pytest.importorskip("tensorflow")
pytest.importorskip("PIL")

from training.data import open_source  # noqa: E402
from training.data.shard_writer import label_map_text, write_shards  # noqa: E402
from training.data.tf_example import image_name, parse_example  # noqa: E402
from training_data_files import (  # noqa: E402
    VocFolder,
    assert_same,
    encoded,
    picture,
    reasons,
    voc_folder,
    voc_text,
)


def test_records_hold_what_was_written(tmp_path: Path) -> None:
    source = open_source(voc_folder(tmp_path / "voc", 7))
    paths = write_shards(source, tmp_path / "out", shards=3)
    assert [path.name for path in paths] == [f"train-0000{i}-of-00003.tfrecord" for i in range(3)]
    for where in (tmp_path / "out", str(tmp_path / "out" / "train-*")):
        again = open_source(where)
        assert again.labels == source.labels
        assert not len(again.problems)
        for first, second in zip(again, source, strict=True):
            assert_same(first, second)
    assert len(open_source(paths[0])) == 2
    named = open_source(paths[0], label_from="file_name")
    assert (named.labels, named.examples[1].classes.tolist()) == (("p",), [0])


def test_records_have_the_keys_of_the_object_detection_api(tmp_path: Path) -> None:
    folder = VocFolder(tmp_path / "voc")
    folder.add("a.jpg", [("dog", 6, 4, 30, 20), ("cat", 0, 0, 60, 40)])
    (path,) = write_shards(open_source(tmp_path / "voc"), tmp_path / "out")
    (record,) = tf.data.TFRecordDataset(str(path)).as_numpy_iterator()
    parsed = tf.io.parse_single_example(
        record,
        {
            "image/encoded": tf.io.FixedLenFeature([], tf.string),
            "image/format": tf.io.FixedLenFeature([], tf.string),
            "image/filename": tf.io.FixedLenFeature([], tf.string),
            "image/source_id": tf.io.FixedLenFeature([], tf.string),
            "image/height": tf.io.FixedLenFeature([], tf.int64),
            "image/width": tf.io.FixedLenFeature([], tf.int64),
            "image/object/bbox/xmax": tf.io.VarLenFeature(tf.float32),
            "image/object/class/label": tf.io.VarLenFeature(tf.int64),
            "image/object/class/text": tf.io.VarLenFeature(tf.string),
            "image/object/is_crowd": tf.io.VarLenFeature(tf.int64),
        },
    )
    assert parsed["image/format"] == b"jpeg"
    assert (int(parsed["image/height"]), int(parsed["image/width"])) == (40, 60)
    assert parsed["image/object/class/label"].values.numpy().tolist() == [2, 1]
    assert parsed["image/object/class/text"].values.numpy().tolist() == [b"dog", b"cat"]
    assert parsed["image/object/bbox/xmax"].values.numpy().tolist() == [0.5, 1.0]


def _record(**features: object) -> bytes:
    made = {}
    for key, value in features.items():
        values = value if isinstance(value, list) else [value]
        if isinstance(values[0], bytes):
            feature = tf.train.Feature(bytes_list=tf.train.BytesList(value=values))
        elif isinstance(values[0], int):
            feature = tf.train.Feature(int64_list=tf.train.Int64List(value=values))
        else:
            feature = tf.train.Feature(float_list=tf.train.FloatList(value=values))
        made["image/" + key.replace("__", "/")] = feature
    return bytes(tf.train.Example(features=tf.train.Features(feature=made)).SerializeToString())


def _boxes(count: int) -> dict[str, object]:
    low, high = [0.1] * count, [0.1 * (n + 2) for n in range(count)]
    names = ("ymin", "xmin", "ymax", "xmax")
    return {f"object__bbox__{n}": v for n, v in zip(names, (low, low, high, high), strict=True)}


def test_records_of_others(tmp_path: Path) -> None:
    content = encoded(picture())
    records = [
        _record(encoded=content, **_boxes(2), object__class__label=[3, 1]),
        _record(
            encoded=content,
            filename=b"b.jpg",
            object__difficult=[1],
            **_boxes(1),
            object__class__label=[9],
        ),
        _record(encoded=content, **_boxes(2), object__class__label=[1]),
        _record(filename=b"no picture"),
        _record(encoded=b"no picture"),
        b"\xff\xff\xff",
    ]
    with tf.io.TFRecordWriter(str(tmp_path / "x.record")) as writer:
        for record in records:
            writer.write(record)
    source = open_source(tmp_path)
    assert source.labels == ("class 1", "class 3", "class 9")
    assert source.examples[0].classes.tolist() == [1, 0]
    assert source.examples[1].crowd.tolist() == [True]
    assert reasons(source) == {"record not readable": 3, "picture not readable": 1}
    (tmp_path / "label_map.pbtxt").write_text(label_map_text(["cat", 'it\'s "a"\\dog', "pig"]))
    source = open_source(tmp_path)
    assert source.labels == ("cat", 'it\'s "a"\\dog', "pig")
    assert source.examples[0].classes.tolist() == [2, 0]
    assert reasons(source)["box without a class"] == 1


def test_damaged_and_missing_shards(tmp_path: Path) -> None:
    source = open_source(voc_folder(tmp_path / "voc", 8))
    paths = write_shards(source, tmp_path / "out", shards=4)
    content = paths[1].read_bytes()
    paths[1].write_bytes(content[: len(content) - 10])
    damaged = bytearray(paths[2].read_bytes())
    damaged[40] ^= 0xFF
    paths[2].write_bytes(bytes(damaged))
    paths[3].unlink()
    again = open_source(tmp_path / "out")
    assert [e.image_id for e in again] == ["p_0.jpg", "p_1.jpg", "p_2.jpg"]
    assert reasons(again) == {"rest of a damaged shard": 2, "shard missing": 1}
    (tmp_path / "zip.tfrecord").write_bytes(b"\x1f\x8b\x08")
    with pytest.raises(ValueError, match=r"no box has a class.*zip\.tfrecord.*it is compressed"):
        open_source(tmp_path / "zip.tfrecord")


def test_shards_of_two_sets_are_not_mixed(tmp_path: Path) -> None:
    source = open_source(voc_folder(tmp_path / "voc", 4))
    write_shards(source, tmp_path / "out", name="train")
    write_shards(source, tmp_path / "out", name="val")
    with pytest.raises(ValueError, match="shards of 2 sets, train, val"):
        open_source(tmp_path / "out")
    assert len(open_source(str(tmp_path / "out" / "val-*"))) == 4


def test_writing_replaces_nothing_by_accident(tmp_path: Path) -> None:
    source = open_source(voc_folder(tmp_path / "voc", 4))
    write_shards(source, tmp_path / "out", shards=2)
    with pytest.raises(ValueError, match="--overwrite"):
        write_shards(source, tmp_path / "out", shards=3)
    write_shards(source, tmp_path / "out", shards=3, overwrite=True)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "label_map.pbtxt",
        *(f"train-0000{i}-of-00003.tfrecord" for i in range(3)),
    ]
    heads = open_source(tmp_path / "voc", single_class="head")
    with pytest.raises(ValueError, match=r"label_map\.pbtxt names 2 classes, cat, dog"):
        write_shards(heads, tmp_path / "out", name="val")
    with pytest.raises(ValueError, match="shards is 5, expected 1 to 4"):
        write_shards(source, tmp_path / "out", name="val", shards=5)


def test_an_interrupted_run_leaves_nothing(tmp_path: Path) -> None:
    source = open_source(voc_folder(tmp_path / "voc", 4))

    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_shards(source, tmp_path / "out", on_image=stop)
    assert not list((tmp_path / "out").iterdir())


class _Killed(BaseException):
    pass


@pytest.mark.fault
@pytest.mark.parametrize("renames", range(4))
def test_a_set_that_is_cut_short_while_it_is_replaced_lacks_shards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, renames: int
) -> None:
    out = tmp_path / "out"
    write_shards(open_source(voc_folder(tmp_path / "voc", 6)), out, shards=3)
    other = open_source(tmp_path / "voc", single_class="head")
    done: list[Path] = []
    replace = Path.replace

    def cut_short(self: Path, target: Path) -> Path:
        if len(done) == renames:
            raise _Killed
        done.append(target)
        return replace(self, target)

    with monkeypatch.context() as patched, pytest.raises(_Killed):
        patched.setattr(Path, "replace", cut_short)
        write_shards(other, out, shards=3, overwrite=True)
    # Never shards of both sets, whose classes one label map would number.
    if renames < 2:
        with pytest.raises(ValueError, match=r"holds 0 \.json files"):
            open_source(out)
    else:
        source = open_source(out)
        assert source.labels == ("head",)
        assert reasons(source)["shard missing"] == 4 - renames
    write_shards(other, out, shards=3, overwrite=True)
    assert len(open_source(out)) == 6


@pytest.mark.skipif(sys.platform != "linux", reason="names of any bytes")
def test_pictures_whose_names_are_not_utf8(tmp_path: Path) -> None:
    from training.data import training_batches

    folder = VocFolder(tmp_path / "voc")
    name = os.fsdecode(b"\xff\xfe")
    (folder.images / f"{name}.jpg").write_bytes(encoded(picture()))
    folder.annotate(name, voc_text("other.jpg", [("cat", 6, 4, 30, 20)]))
    source = open_source(tmp_path / "voc")
    [shard] = write_shards(source, tmp_path / "out")
    record = next(iter(tf.data.TFRecordDataset(str(shard)).as_numpy_iterator()))
    assert image_name(parse_example(record)) == "\ufffd\ufffd.jpg"
    assert len(open_source(tmp_path / "out")) == 1
    # Read by graphs, where decoded pictures are not kept.
    for opened in (source, open_source(tmp_path / "out")):
        batches = training_batches(opened, image_size=8, batch_size=1, cache_bytes=0)
        assert next(iter(batches))[0].shape == (1, 8, 8, 3)


@pytest.mark.fault
@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("encoded", 1, "encoded is a int64_list, expected a bytes_list"),
        ("filename", 0.5, "filename is a float_list, expected a bytes_list"),
        ("object__bbox__ymin", [1], "ymin is a int64_list, expected a float_list"),
        ("object__bbox__xmax", [b"0.5"], "xmax is a bytes_list, expected a float_list"),
        ("object__class__label", [math.inf], "label is a float_list, expected a int64_list"),
        ("object__class__label", [b"1"], "label is a bytes_list, expected a int64_list"),
        ("object__class__text", [1], "text is a int64_list, expected a bytes_list"),
        ("object__is_crowd", [b"0"], "is_crowd is a bytes_list, expected a int64_list"),
        ("object__difficult", [0.0], "difficult is a float_list, expected a int64_list"),
    ],
)
@pytest.mark.parametrize("label_map", [True, False])
def test_features_of_another_kind_are_named(
    tmp_path: Path, key: str, value: object, message: str, label_map: bool
) -> None:
    good = {"encoded": encoded(picture()), **_boxes(1), "object__class__label": [1]}
    if label_map:
        (tmp_path / "label_map.pbtxt").write_text(label_map_text(["cat"]))
    with tf.io.TFRecordWriter(str(tmp_path / "x.record")) as writer:
        for record in (_record(**good), _record(**{**good, key: value}), _record(**good)):
            writer.write(record)
    source = open_source(tmp_path)
    assert len(source) == 2
    [entry] = source.problems.skipped_images
    assert entry.reason == "record not readable"
    assert message in entry.detail


def _with_length(content: bytes, length: int) -> bytes:
    """The first record says to be of another length, and the checksum is right."""
    head = length.to_bytes(8, "little")
    crc = 0xFFFFFFFF
    for byte in head:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    crc ^= 0xFFFFFFFF
    masked = (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF
    return head + masked.to_bytes(4, "little") + content[12:]


@pytest.mark.fault
@pytest.mark.parametrize("length", [2**31, 2**40, 2**62, 2**63, 2**64 - 1])
def test_a_length_that_no_file_has_is_no_memory_asked_for(tmp_path: Path, length: int) -> None:
    source = open_source(voc_folder(tmp_path / "voc", 3))
    [path] = write_shards(source, tmp_path / "out")
    content = path.read_bytes()
    path.write_bytes(content + _with_length(content, length))
    again = open_source(tmp_path / "out")
    assert len(again) == 3
    assert reasons(again) == {"rest of a damaged shard": 1}
    assert f"byte {len(content)}: a record of {length + 16} bytes" in again.problems.texts()[0]


@pytest.mark.fault
def test_a_shard_that_is_truncated_anywhere_says_so(tmp_path: Path) -> None:
    source = open_source(voc_folder(tmp_path / "voc", 2))
    [path] = write_shards(source, tmp_path / "out")
    content = path.read_bytes()
    last = 16 + int.from_bytes(content[:8], "little")
    for left in (1, 7, 8, 11, 12, 13, len(content) - last - 1):
        path.write_bytes(content[: last + left])
        again = open_source(tmp_path / "out")
        assert [e.image_id for e in again] == ["p_0.jpg"]
        assert reasons(again) == {"rest of a damaged shard": 1}


@pytest.mark.fault
def test_shards_that_are_no_files_or_hold_nothing_are_named(tmp_path: Path) -> None:
    write_shards(open_source(voc_folder(tmp_path / "voc", 2)), tmp_path)
    (tmp_path / "train-00001-of-00001.tfrecord").mkdir()
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "train-00002-of-00001.tfrecord")
    again = open_source(tmp_path)
    assert len(again) == 2
    assert set(reasons(again)) == {"shard not readable"}
    (tmp_path / "label_map.pbtxt").unlink()
    for content in (b"", b"\x12" * 100):
        (tmp_path / "a.tfrecord").write_bytes(content)
        with pytest.raises(ValueError, match=r"a\.tfrecord: no box has a class, expected at least"):
            open_source(tmp_path / "a.tfrecord")
