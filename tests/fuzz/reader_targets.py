# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Everything in Python that reads files of strangers, as fuzz targets.

A target takes any bytes. What it reads must give a result, or ValueError or OSError with a message;
whatever else it raises is a finding. Time and memory are watched by whoever calls it.
"""

from __future__ import annotations

import contextlib
import io
import json
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from flatbuffers import flexbuffers
from real_models import Draws, mutated
from real_models import seeds as real_model_seeds

import detops
from detops import convert
from detops.cli import main
from detops.evaluation import read_detections, read_ground_truth, read_voc
from detops.evaluation.coco_files import check_detections
from detops.interpreter import check_openable
from detops.labels import labels_in_model, read_labels
from detops.model_file import ModelFile, ModelFileError
from detops.nodes.facts import read_nodes
from detops.nodes.faults import find_faults, unchecked_inputs
from model_builder import PostprocessModel, default_options

REFUSALS = (ValueError, OSError)
Result = TypeVar("Result")


@dataclass(frozen=True)
class Target:
    """One kind of file."""

    name: str
    check: Callable[[bytes], None]
    seeds: Callable[[], Sequence[bytes]]
    words: tuple[bytes, ...] = ()
    """What a mutation may put in: words of the format and odd values."""
    modules: tuple[str, ...] = ()
    """What a target imports only when it runs."""


def attempt(action: Callable[..., Result], *arguments: Any, **named: Any) -> Result | None:
    """What an action returns, or None where it refused its input in words."""
    try:
        return action(*arguments, **named)
    except REFUSALS as error:
        assert str(error), f"{type(error).__name__} without a message"
        return None


# ---------------------------------------------------------------------------------------------
# Models
# ---------------------------------------------------------------------------------------------


def small_models() -> list[bytes]:
    """Models of a few kilobytes with all that the readers look at."""
    anchors = np.full((6, 4), 0.5, np.float32)
    narrow = {
        "box_dtype": np.uint8,
        "score_dtype": np.uint8,
        "box_quantization": (0.03, 120),
        "score_quantization": (1 / 256, 0),
    }
    plain = PostprocessModel(class_columns=4, anchors=anchors, options=default_options(3))
    wired = PostprocessModel(
        class_columns=4,
        anchors=anchors,
        options=default_options(3, use_regular_nms=True),
        dequantize=True,
        reshape_after_dequantize=True,
        reshape_infers_rows=True,
        declared_output_shapes=False,
        **narrow,  # type: ignore[arg-type]
    )
    two = PostprocessModel(class_columns=3, num_anchors=5, options=default_options(3), two_ops=True)
    models = [plain.build(), wired.build(), two.build()]
    return [*models, with_archive(models[0])]


def with_archive(model: bytes) -> bytes:
    """A model with a label file packed behind it."""
    stream = io.BytesIO(model)
    with zipfile.ZipFile(stream, "a") as archive:
        archive.writestr(zipfile.ZipInfo("labelmap.txt"), "cat\ndog\nbird\n")
    return stream.getvalue()


def check_model_file(data: bytes) -> None:
    """The reader and all that looks at what it read."""
    attempt(convert.read_metadata, data)
    try:
        model = ModelFile.read(data)
    except ModelFileError as error:
        assert str(error)
        return
    for graph in model.subgraphs:
        for tensor in graph.tensors:
            attempt(tensor.constant)
    attempt(check_openable, model)
    for node in read_nodes(model):
        find_faults(node)
        unchecked_inputs(node)
        node.background()
        for item in node.inputs.values():
            item.real_constant()


def check_convert(data: bytes) -> None:
    """Every edit of a model. What one of them wrote, the reader reads."""
    anchors, options = np.full((6, 4), 0.5), detops.Options(num_classes=3)
    written = [
        attempt(convert.tidy, data, verify=False),
        attempt(convert.rewrite_quantized, data, "int8", verify=False),
        attempt(convert.rewrite_quantized, data, "uint8", verify=False),
        attempt(convert.rewrite_quantized, data, "float32", verify=False),
        attempt(convert.set_options, data, verify=False, max_detections=7),
        attempt(convert.add_metadata, data, labels=["cat", "dog", "bird"]),
        attempt(convert.attach_postprocess, data, anchors, options, verify=False),
    ]
    for content in written:
        if content is not None:
            ModelFile.read(content)


def check_option_block(data: bytes) -> None:
    """An option block inside a model, edited: unknown keys with nested values stay."""
    model = PostprocessModel(
        class_columns=4, anchors=np.full((6, 4), 0.5, np.float32), options=data
    ).build()
    attempt(convert.set_options, model, verify=False, max_detections=7)
    check_model_file(model)


def option_blocks() -> list[bytes]:
    nested = {"_output_types": [0, 1, [2, "x", {"a": 1.5}]], "_blob": "text"}
    return [
        bytes(flexbuffers.Dumps({**default_options(3), **extra}))
        for extra in ({}, {"_output_quantized": True}, nested)
    ]


def check_real_model(data: bytes) -> None:
    """A real model with the changes that the bytes stand for: read, edited, told of, and run."""
    draws = Draws(data)
    content, runs = mutated(draws)
    check_model_file(content)
    edits: list[Callable[..., bytes]] = [
        convert.tidy,
        lambda model, verify: convert.rewrite_quantized(model, "uint8", verify=verify),
        lambda model, verify: convert.rewrite_quantized(model, "float32", verify=verify),
        lambda model, verify: convert.set_options(model, verify=verify, max_detections=7),
        lambda model, verify: convert.add_metadata(model, labels=["x"]),
    ]
    # One of them: each takes a second.
    written = attempt(edits[len(data) % len(edits)], content, verify=runs)
    if written is not None:
        ModelFile.read(written)
    check_commands(content)
    if runs:
        run_with_detops(content)


def check_commands(content: bytes) -> None:
    """What `doctor` and `inspect` print: a report, or one line."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.tflite"
        path.write_bytes(content)
        for command in ("doctor", "inspect"):
            out, error = io.StringIO(), io.StringIO()
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(error):
                code = main([command, str(path)])
            assert code in (0, 1), code
            lines = error.getvalue().splitlines()
            assert len(lines) <= 1 and bool(lines) != bool(out.getvalue()), lines
            # An error of another kind is told with its name.
            assert not lines or "Error: " not in lines[0], lines


def run_with_detops(content: bytes) -> None:
    """In whichever runtime is installed."""
    try:
        interpreter = detops.Interpreter(model_content=content)
        interpreter.allocate_tensors()
        for detail in interpreter.get_input_details():
            interpreter.set_tensor(detail["index"], np.zeros(detail["shape"], detail["dtype"]))
        interpreter.invoke()
    except (*REFUSALS, RuntimeError, ImportError) as error:
        assert str(error)


# ---------------------------------------------------------------------------------------------
# Class names
# ---------------------------------------------------------------------------------------------


def check_labels(data: bytes) -> None:
    """A label file, a label map, and an archive behind a model."""
    with tempfile.TemporaryDirectory() as folder:
        for name in ("labels.txt", "labels.pbtxt", "model.tflite"):
            (Path(folder) / name).write_bytes(data)
        for name in ("labels.txt", "labels.pbtxt"):
            names = attempt(read_labels, Path(folder) / name)
            assert names is None or (names and all(isinstance(label, str) for label in names))
        attempt(labels_in_model, Path(folder) / "model.tflite")


def label_seeds() -> list[bytes]:
    label_map = b'item {\n  name: "/m/01g317"\n  id: 1\n  display_name: "per\\303\\251"\n}\n'
    return [
        b"cat\ndog\n\nbird\n",
        b"0 cat\n17  dog\n",
        label_map + b"item <id: 3 name: 'x' 'y' keypoints { id: 1 } > # end\n",
        with_archive(b"TFL3" * 4),
    ]


# ---------------------------------------------------------------------------------------------
# Annotations
# ---------------------------------------------------------------------------------------------


def check_annotations(annotations: Any) -> None:
    """What training does with annotations once it has the pictures, here one of 40 x 60."""
    from training.data.box_check import box_units, check_boxes

    numbers = {name: number for number, name in enumerate(annotations.labels)}
    for image in annotations.images:
        units = attempt(box_units, image, 40, 60)
        if units is not None:
            boxes, classes, crowd = check_boxes(image, units, numbers, annotations.problems)
            assert len(boxes) == len(classes) == len(crowd)
            assert ((boxes >= 0) & (boxes <= 1)).all() and (boxes[:, 2:] > boxes[:, :2]).all()


def check_voc(data: bytes) -> None:
    """One annotation of Pascal VOC beside a picture."""
    from training.data.voc_xml import read_voc_xml

    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "a.xml").write_bytes(data)
        (Path(folder) / "a.jpg").touch()
        for from_name in (False, True):
            dataset = attempt(read_voc, folder, folder, class_from_filename=from_name)
            if dataset is not None:
                read_ground_truth(dataset.ground_truth)
            root = Path(folder)
            annotations = attempt(read_voc_xml, root, root, class_from_filename=from_name)
            if annotations is not None:
                check_annotations(annotations)


def voc_seeds() -> list[bytes]:
    box = "<bndbox><xmin>6</xmin><ymin>4.5</ymin><xmax>30</xmax><ymax>2e1</ymax></bndbox>"
    text = (
        "<annotation><filename>a.jpg</filename><size><width>60</width><height>40</height></size>"
        f"<object><name>cat</name><difficult>1</difficult>{box}</object>"
        f"<object><name>d&#233;</name>{box}</object></annotation>"
    )
    return [text.encode(), b'<?xml version="1.0" encoding="utf-16"?><annotation/>']


def check_coco(data: bytes) -> None:
    """The same bytes as annotations and as results; results also against good annotations."""
    from training.data.coco_json import read_coco_json

    good = read_ground_truth(json.loads(coco_seeds()[0]))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.json"
        path.write_bytes(data)
        attempt(read_ground_truth, path)
        annotations = attempt(read_coco_json, path, Path(folder))
        if annotations is not None:
            check_annotations(annotations)
        found = attempt(read_detections, path)
        if found is not None:
            attempt(check_detections, found, good)


def coco_seeds() -> list[bytes]:
    image = {"id": 1, "file_name": "a.jpg", "height": 40, "width": 60}
    box = {"id": 1, "image_id": 1, "category_id": 2, "bbox": [1, 2.5, 3, 4], "iscrowd": 0}
    content = {"images": [image], "annotations": [box], "categories": [{"id": 2, "name": "cat"}]}
    result = [{"image_id": 1, "category_id": 2, "bbox": [1, 2.5, 3, 4], "score": 0.5}]
    return [json.dumps(content).encode(), json.dumps(result).encode()]


def check_image_list(data: bytes) -> None:
    """A list of names."""
    from training.data.annotation import AnnotatedImage, Annotations
    from training.data.image_list import keep_listed
    from training.data.problems import Problems

    images = [
        AnnotatedImage(name=name, image=Path(name), boxes=()) for name in ("a.jpg", "b/c.png")
    ]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "list.txt"
        path.write_bytes(data)
        attempt(keep_listed, Annotations(images, (), Problems()), path)


def check_tf_record(data: bytes) -> None:
    """The bytes as a shard, and as the one record of a good shard."""
    import tensorflow as tf

    from training.data.tf_record import read_tf_records

    with tempfile.TemporaryDirectory() as folder:
        raw, wrapped = Path(folder) / "raw.tfrecord", Path(folder) / "wrapped.tfrecord"
        raw.write_bytes(data)
        with tf.io.TFRecordWriter(str(wrapped)) as writer:
            writer.write(data)
        for shard in (raw, wrapped):
            annotations = attempt(read_tf_records, [shard])
            if annotations is not None:
                check_annotations(annotations)
        (Path(folder) / "label_map.pbtxt").write_bytes(b"item { id: 1 name: 'cat' }")
        attempt(read_tf_records, [wrapped])


def tf_record_seeds() -> list[bytes]:
    import tensorflow as tf

    feature = tf.train.Feature
    corners = {
        f"image/object/bbox/{corner}": feature(float_list=tf.train.FloatList(value=[0.1, 0.7]))
        for corner in ("ymin", "xmin", "ymax", "xmax")
    }
    features = {
        "image/encoded": feature(bytes_list=tf.train.BytesList(value=[b"\xff\xd8\xff"])),
        "image/filename": feature(bytes_list=tf.train.BytesList(value=[b"a.jpg"])),
        "image/object/class/label": feature(int64_list=tf.train.Int64List(value=[1, 2])),
        "image/object/class/text": feature(bytes_list=tf.train.BytesList(value=[b"cat", b"dog"])),
        "image/object/is_crowd": feature(int64_list=tf.train.Int64List(value=[0, 1])),
        **corners,
    }
    record = tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.tfrecord"
        with tf.io.TFRecordWriter(str(path)) as writer:
            writer.write(record)
        return [record, path.read_bytes()]


_NUMBERS = (b"0", b"-1", b"1e999", b"nan", b"1" + b"0" * 400, b"null", b"true", b'""', b"[]", b"{}")

TARGETS = {
    target.name: target
    for target in (
        Target("model_file", check_model_file, small_models),
        Target("convert", check_convert, small_models),
        Target("option_block", check_option_block, option_blocks),
        Target("real_model", check_real_model, real_model_seeds),
        Target(
            "labels", check_labels, label_seeds, (b"item", b"{", b"}", b'"', b"\\303", b"id: 0")
        ),
        Target(
            "voc", check_voc, voc_seeds, (*_NUMBERS, b"<object>", b"</object>", b"<!DOCTYPE a>")
        ),
        Target("coco", check_coco, coco_seeds, _NUMBERS, ("detops", "training.data")),
        Target(
            "image_list",
            check_image_list,
            lambda: [b"a\n# b\nc.png\n"],
            (b"/", b"..", b"\0", b"\xef\xbb\xbf"),
            ("training.data.image_list",),
        ),
        Target("tf_record", check_tf_record, tf_record_seeds, (), ("training.data.tf_record",)),
    )
}


def mutations(seed: bytes, words: Iterable[bytes], rng: np.random.Generator) -> bytes:
    """A seed with one to four changes, for where no coverage-guided fuzzer is at hand."""
    data, known = bytearray(seed), list(words)
    for _ in range(int(rng.integers(1, 5))):
        at = int(rng.integers(len(data) + 1))
        how = int(rng.integers(6 if known else 5))
        if how == 0:
            data[at : at + 1] = bytes([int(rng.integers(256))])
        elif how == 1:
            # An offset or a length of four bytes, often just out of range.
            value = int(rng.choice([0, 1, 4, len(data), 2**16, 2**31 - 1, 2**32 - 1]))
            data[at // 4 * 4 : at // 4 * 4 + 4] = value.to_bytes(4, "little")
        elif how == 2:
            del data[at : at + int(rng.integers(1, 9))]
        elif how == 3:
            other = int(rng.integers(len(data) + 1))
            data[at:at] = data[other : other + int(rng.integers(1, 65))]
        elif how == 4:
            del data[at:]
        else:
            data[at:at] = known[int(rng.integers(len(known)))]
    return bytes(data)
