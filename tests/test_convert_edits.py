# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""detops.convert.set_options and tidy, and what any edit of a file has to keep."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
import pytest
from flatbuffers import flexbuffers

import detops
from colour_model import ColourModel
from detops.convert import add_metadata, public_schema, read_metadata, set_options, tidy
from detops.convert.associated_files import AssociatedFile, append_archive, split_archive
from detops.convert.metadata_block import METADATA_ENTRY, metadata_block, reordered_outputs
from detops.convert.model_edit import ModelEdit
from detops.convert.option_edit import option_kinds
from detops.interpreter import runtime_module
from detops.model_file import ModelFile
from model_builder import (
    OUTPUT_NAMES,
    GraphWriter,
    PostprocessModel,
    default_options,
    random_case,
    run,
    schema,
)
from raw_models import RawModel, packed, run_outputs
from reference import assert_same_bits

REAL_MODELS = (
    "coco_ssd_mnv1_100_300_uint8.tflite",
    "coco_ssd_mnv1_100_300_uint8_with_metadata.tflite",
    "pets37_ssd_mnv1_075_300_uint8.tflite",
)
ANCHORS = np.full((12, 4), 0.25, np.float32)


def model(**changes: Any) -> bytes:
    fields = {"anchors": ANCHORS, "class_columns": 4, "options": default_options(3)}
    return PostprocessModel(**{**fields, **changes}).build()


def options_of(content: bytes) -> detops.Options:
    [(_, node)] = ModelFile.read(content).postprocess_operators()
    return detops.Options.from_bytes(node.custom_options or b"")


def output_shapes(content: bytes) -> list[tuple[int, ...]]:
    [(graph, node)] = ModelFile.read(content).postprocess_operators()
    return [graph.tensors[index].shape for index in node.outputs]


# ---------------------------------------------------------------------------------------------
# set_options
# ---------------------------------------------------------------------------------------------

CHANGES: dict[str, Any] = {
    "max_detections": 25,
    "max_classes_per_detection": 2,
    "detections_per_class": 7,
    "use_regular_nms": True,
    "nms_score_threshold": -np.inf,
    "nms_iou_threshold": 0.45,
    "num_classes": 4,
    "y_scale": 1.0,
    "x_scale": np.float32(2.0),
    "h_scale": 3,
    "w_scale": 4.0,
}


@pytest.mark.parametrize("name", CHANGES)
def test_each_option(name: str) -> None:
    before = model()
    after = set_options(before, **{name: CHANGES[name]})
    assert options_of(after) == options_of(before).replace(**{name: CHANGES[name]})
    slots = options_of(after).max_detections * options_of(after).max_classes_per_detection
    assert output_shapes(after) == [(1, slots, 4), (1, slots), (1, slots), (1,)]


def test_every_option_is_tried() -> None:
    assert (
        set(CHANGES) == set(option_kinds()) == {f.name for f in dataclasses.fields(detops.Options)}
    )


def test_the_runtimes_follow(runtime: str) -> None:
    case, inputs = random_case(4, dtypes=("float32",) * 3, dynamic_anchors=False, regular=False)
    after = set_options(case.build(), max_detections=3, nms_score_threshold=0.0, y_scale=2.0)
    changed = {"max_detections": 3, "nms_score_threshold": 0.0, "y_scale": 2.0}
    wanted = dataclasses.replace(case, options={**dict(case.options or {}), **changed}).build()
    for make in (detops.Interpreter, runtime_module(runtime).Interpreter):
        got = run(make(model_content=after), inputs)
        for name, array in run(make(model_content=wanted), inputs).items():
            assert_same_bits(got[name], array, name)


def test_other_keys_stay_and_absent_ones_stay_absent() -> None:
    options = default_options(3, detections_per_class=None)
    after = set_options(model(options={**options, "_output_quantized": True}), max_detections=20)
    [(_, node)] = ModelFile.read(after).postprocess_operators()
    stored = flexbuffers.Loads(node.custom_options)
    assert stored == {**options, "_output_quantized": True, "max_detections": 20}


def test_shapes_that_the_file_does_not_declare_stay_so() -> None:
    after = set_options(model(declared_output_shapes=False), max_detections=20)
    assert output_shapes(after) == [()] * 4


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"max_detection": 3}, TypeError, "'max_detection', did you mean 'max_detections'"),
        ({"iou_threshold": 0.5}, TypeError, "did you mean 'nms_iou_threshold'"),
        ({"max_detections": 2.5}, TypeError, "max_detections is 2.5, expected a whole number"),
        ({"max_detections": True}, TypeError, "max_detections is True, expected a whole number"),
        ({"use_regular_nms": 1}, TypeError, "use_regular_nms is 1, expected True or False"),
        ({"y_scale": "1"}, TypeError, "y_scale is '1', expected a number"),
        ({"nms_iou_threshold": 1.5}, ValueError, "nms_iou_threshold is 1.5"),
        ({"num_classes": 9}, ValueError, "num_classes"),
        ({"max_detections": -1}, ValueError, "max_detections is -1"),
        ({"max_detections": 2**40}, ValueError, "max_detections"),
    ],
)
def test_bad_options(changes: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        set_options(model(), **changes)


def test_models_without_one_node() -> None:
    with pytest.raises(ValueError, match="has 2 TFLite_Detection_PostProcess nodes, expected one"):
        set_options(model(two_ops=True), max_detections=3)
    with pytest.raises(ValueError, match="has no TFLite_Detection_PostProcess node"):
        set_options(RawModel().build(), max_detections=3)


# ---------------------------------------------------------------------------------------------
# tidy
# ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 1, 0, 2), (2, 3, 1, 0)])
def test_order_names_and_shapes(order: tuple[int, ...]) -> None:
    edit = ModelEdit(model(declared_output_shapes=False))
    graph = edit.graphs[0]
    own = [int(index) for index in graph.outputs]
    graph.outputs = np.asarray([own[i] for i in order], np.int32)
    for index in own:
        graph.tensors[index].name = f"StatefulPartitionedCall:{index}"
    after = tidy(edit.save())
    graph_after = ModelFile.read(after).subgraphs[0]
    assert tuple(graph_after.tensors[i].name for i in graph_after.outputs) == OUTPUT_NAMES
    assert list(graph_after.outputs) == sorted(graph_after.outputs)
    assert output_shapes(after) == [(1, 10, 4), (1, 10), (1, 10), (1,)]
    assert tidy(after) == after


def test_output_tensors_ascend() -> None:
    edit = ModelEdit(model())
    graph, node = edit.postprocess_nodes()[0]
    # The tensors of boxes and count change places, with all that refers to them.
    own = [int(index) for index in node.outputs]
    order = list(range(len(graph.tensors)))
    order[own[0]], order[own[3]] = own[3], own[0]
    edit.renumber_tensors(graph, order)
    assert list(node.outputs) == [own[3], own[1], own[2], own[0]]
    graph_after = ModelFile.read(tidy(edit.save())).subgraphs[0]
    assert list(graph_after.outputs) == own
    assert tuple(graph_after.tensors[i].name for i in graph_after.outputs) == OUTPUT_NAMES


def test_what_is_stored_twice_is_merged() -> None:
    before = model(two_ops=True)
    edit = ModelEdit(before)
    graph = edit.graphs[0]
    for _ in range(3):
        graph.operators[0].inputs = np.array(graph.operators[0].inputs)
        # Equal constants, and one that nothing reads.
        graph.operators[0].inputs[2] = edit.add_tensor(
            graph, "copy", (12, 4), "float32", data=ANCHORS
        )
    swollen = edit.save()
    after = tidy(swollen)
    assert len(after) < len(before) + 400 < len(swollen)
    buffers = ModelEdit(after).model.buffers
    assert sum(buffer.data is not None for buffer in buffers) == 1
    nodes = ModelFile.read(after).postprocess_operators()
    names = [[graph.tensors[index].name for index in node.outputs] for graph, node in nodes]
    assert names == [list(OUTPUT_NAMES), [f"{name}_1" for name in OUTPUT_NAMES]]


def test_a_constant_without_elements_is_not_a_tensor_without_data() -> None:
    edit = ModelEdit(model())
    graph = edit.graphs[0]
    index = edit.add_tensor(graph, "empty", (0,), "float32", data=np.zeros(0, np.float32))
    graph.outputs = np.asarray([*graph.outputs, index], np.int32)
    assert ModelEdit(tidy(edit.save())).graphs[0].tensors[-1].buffer != 0


@pytest.mark.parametrize("seed", range(8))
def test_detections_stay(seed: int) -> None:
    case, inputs = random_case(seed, stock=False)
    after = tidy(case.build())
    before = run_outputs(detops.Interpreter(model_content=case.build()), inputs)
    for a, b in zip(
        run_outputs(detops.Interpreter(model_content=after), inputs), before, strict=True
    ):
        assert_same_bits(a, b, "outputs")


def test_metadata_follows_the_outputs() -> None:
    usual = tidy(ColourModel().build())
    described = ModelEdit(add_metadata(usual, labels=["red", "green", "blue"]))
    order = (3, 1, 0, 2)
    block = described.metadata_entry(METADATA_ENTRY)
    assert block is not None
    described.set_metadata_entry(METADATA_ENTRY, reordered_outputs(block, order))
    graph = described.graphs[0]
    graph.outputs = np.asarray([graph.outputs[number] for number in order], np.int32)
    shuffled = read_metadata(described.save())
    assert shuffled is not None
    assert shuffled.output_names == ("number of detections", "category", "location", "score")
    after = read_metadata(tidy(described.save()))
    assert after is not None
    assert after.output_names == ("location", "category", "score", "number of detections")
    assert (after.box_order, after.labels) == (shuffled.box_order, ("red", "green", "blue"))


def test_metadata_of_other_outputs_stays() -> None:
    block = metadata_block(
        name="", description="", mean=[0], std=[1], lowest=[0], highest=[1], label_file="l.txt"
    )
    assert reordered_outputs(block, [1, 0, 2]) == block
    assert reordered_outputs(block, [0, 1, 2, 3]) == block


@pytest.mark.parametrize("name", REAL_MODELS)
def test_real_models_shrink(data_dir: Path, name: str) -> None:
    before = (data_dir / "models" / name).read_bytes()
    after = tidy(before)
    assert len(after) < len(before)
    assert output_shapes(after) == [(1, 10, 4), (1, 10), (1, 10), (1,)]
    old, new = ModelFile.read(before), ModelFile.read(after)
    assert (old.metadata_names, old.description) == (new.metadata_names, new.description)


# ---------------------------------------------------------------------------------------------
# What any edit keeps and refuses
# ---------------------------------------------------------------------------------------------


def test_weights_are_aligned() -> None:
    edit = ModelEdit(model())
    for length in (1, 3, 17):
        tensor = edit.add_tensor(
            edit.graphs[0], "odd", (length,), "uint8", data=np.arange(length, dtype=np.uint8)
        )
        edit.graphs[0].tensors[tensor].name = "n" * length
    content = edit.save()
    root = schema.Model.GetRootAs(content, 0)
    for number in range(root.BuffersLength()):
        table = root.Buffers(number)
        if not table.DataIsNone():
            assert table._tab.Vector(table._tab.Offset(4)) % 16 == 0


def test_metadata_signatures_and_archive_stay() -> None:
    edit = ModelEdit(RawModel(signature=True).build())
    entry = schema.MetadataT()
    entry.name, entry.buffer = "min_runtime_version", edit.add_buffer(b"1.14.0")
    edit.model.metadata = [entry]
    edit.files = [AssociatedFile.of("labelmap.txt", b"cat\ndog\n")]
    packed_file = zipfile.ZipInfo("other.bin", (2024, 5, 6, 7, 8, 10))
    packed_file.compress_type = zipfile.ZIP_DEFLATED
    edit.files.append(AssociatedFile(packed_file, bytes(5000)))
    first = edit.save()
    again = ModelEdit(first)
    assert again.save() == first
    [metadata] = again.model.metadata
    assert bytes(again.model.buffers[metadata.buffer].data) == b"1.14.0"
    assert len(again.model.signatureDefs[0].outputs) == 2
    flatbuffer, files = split_archive(first)
    assert ModelFile.read(flatbuffer).metadata_names == ("min_runtime_version",)
    assert [(f.entry.filename, f.content) for f in files] == [
        ("labelmap.txt", b"cat\ndog\n"),
        ("other.bin", bytes(5000)),
    ]
    assert (files[1].entry.compress_type, files[1].entry.date_time) == (8, (2024, 5, 6, 7, 8, 10))


def test_weights_outside_the_flatbuffer() -> None:
    edit = ModelEdit(model())
    [buffer] = [b for b in edit.model.buffers if b.data is not None]
    buffer.offset, buffer.size = 64, 16
    with pytest.raises(
        ValueError, match="is stored outside the flatbuffer, as in files above 2 GB"
    ):
        set_options(packed(edit.model), max_detections=3)


def test_weights_in_other_files() -> None:
    edit = ModelEdit(model())
    edit.model.externalBuffers = [schema.ExternalBufferT()]
    content = packed(edit.model)
    with pytest.raises(ValueError, match="keeps 1 of its buffers in other files, expected all"):
        tidy(content)


def test_files_above_2_gb(tmp_path: Path) -> None:
    path = tmp_path / "large.tflite"
    with path.open("wb") as file:
        file.truncate(1 << 31)
    words = r"large\.tflite has 2147483648 bytes, expected at most 2147483647: larger models keep"
    with pytest.raises(ValueError, match=words):
        tidy(path)
    with pytest.raises(ValueError, match=words):
        read_metadata(path)


def test_models_that_grow_above_2_gb(monkeypatch: pytest.MonkeyPatch) -> None:
    edit = ModelEdit(model())

    def full(builder: Any) -> int:
        raise flatbuffers.builder.BuilderSizeError

    monkeypatch.setattr(edit.model, "Pack", full)
    with pytest.raises(ValueError, match="the model would have more than 2147483647 bytes"):
        edit.save()


def test_a_memory_plan_that_counts_tensors() -> None:
    edit = ModelEdit(model())
    entry = schema.MetadataT()
    entry.name, entry.buffer = "OfflineMemoryAllocation", edit.add_buffer(b"plan")
    edit.model.metadata = [entry]
    graph = edit.graphs[0]
    set_options(edit.save(), max_detections=3)
    edit.add_tensor(graph, "unused", (1,), "float32")
    with pytest.raises(ValueError, match="holds OfflineMemoryAllocation, which counts its tensors"):
        tidy(edit.save())


def test_operators_that_the_schema_does_not_know() -> None:
    edit = ModelEdit(model())
    edit.graphs[0].operators[0].builtinOptionsType = 250
    with pytest.raises(ValueError, match=r"node 0, TFLite_Detection_PostProcess, has options that"):
        tidy(packed(edit.model))


def test_an_archive_that_unpacks_to_too_much() -> None:
    entry = zipfile.ZipInfo("zeros.bin")
    entry.compress_type = zipfile.ZIP_DEFLATED
    content = append_archive(model(), [AssociatedFile(entry, bytes((1 << 28) + 1))])
    assert len(content) < 1 << 20
    with pytest.raises(ValueError, match="have 268435457 bytes unpacked, expected at most"):
        tidy(content)


def test_a_damaged_archive() -> None:
    content = append_archive(model(), [AssociatedFile.of("labels.txt", b"cat\n")])
    with pytest.raises(ValueError, match="archive of associated files is damaged"):
        tidy(content.replace(b"cat\n", b"cut\n"))


@pytest.mark.parametrize("seed", range(30))
def test_damaged_models(seed: int) -> None:
    rng = np.random.default_rng(seed)
    data = np.frombuffer(model(), np.uint8).copy()
    for position in rng.integers(0, len(data), 8):
        data[position] = rng.integers(256)
    # Anything but a ValueError would be a fault.
    for edit in (lambda b: tidy(b, verify=False), lambda b: set_options(b, max_detections=2)):
        try:
            edit(data.tobytes())
        except ValueError:
            continue


def test_missing_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(public_schema.importlib, "import_module", missing)
    with pytest.raises(ImportError, match=r'pip install "detops\[convert\]"'):
        tidy(model())
    monkeypatch.setattr(
        public_schema.importlib,
        "import_module",
        lambda name: None if name == "flatbuffers" else missing(name),
    )
    with pytest.raises(ImportError, match=r'no TFLite schema is installed: pip install "detops\['):
        tidy(model())


def test_importing_needs_numpy_only() -> None:
    code = (
        "import sys, detops.convert, detops.cli; "
        "print([m for m in ('flatbuffers', 'ai_edge_litert', 'tensorflow') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_writer_of_graphs_without_the_op_is_refused() -> None:
    writer = GraphWriter()
    tensor = writer.tensor("x", (1,), np.dtype(np.float32))
    with pytest.raises(ValueError, match="has no TFLite_Detection_PostProcess node"):
        tidy(writer.finish([tensor], [tensor]))


def test_colour_model_keeps_its_picture() -> None:
    before = ColourModel(output_order=(3, 1, 0, 2)).build()
    after = tidy(before)
    graph = ModelFile.read(after).subgraphs[0]
    assert tuple(graph.tensors[index].name for index in graph.outputs) == OUTPUT_NAMES
