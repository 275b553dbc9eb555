# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""`detops doctor`: every kind of bad model that a file can show, against what detops then does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
import pytest
from flatbuffers import flexbuffers

import detops
from bad_models import BROKEN_FILES
from colour_model import ColourModel
from detops import convert
from detops.cli import main
from detops.cli.trial import try_invoke
from detops.model_file import ModelFile
from detops.random_inputs import random_inputs
from model_builder import PostprocessModel, default_options, schema

ROWS = 12
ANCHORS = np.full((ROWS, 4), 0.25, np.float32)
BYTES = (ANCHORS * 200).astype(np.uint8)
NEGATIVE, NOT_A_NUMBER = ANCHORS.copy(), ANCHORS.copy()
NEGATIVE[3, 2] = -0.1
NOT_A_NUMBER[5, 0] = np.nan
QUANTIZED = (0.05, 0)
BLOCK = bytes(flexbuffers.Dumps(default_options(3)))
INT8 = {"score_dtype": np.int8, "score_quantization": (1 / 256, -128)}


def _model(**changes: Any) -> PostprocessModel:
    fields = {"anchors": ANCHORS, "class_columns": 4, "options": default_options(3)}
    return PostprocessModel(**{**fields, **changes})


def _options(**changes: Any) -> dict[str, Any]:
    options = {**default_options(3), **changes}
    return {"options": {key: value for key, value in options.items() if value is not None}}


@pytest.fixture
def doctor(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs doctor on the bytes of a model: exit code, JSON document, text."""

    def run(content: bytes, *arguments: str) -> tuple[int, Any, str]:
        path = tmp_path / "model.tflite"
        path.write_bytes(content)
        code = main(["doctor", str(path), "--json", *arguments])
        document = json.loads(capsys.readouterr().out)
        assert main(["doctor", str(path), *arguments]) == code
        return code, document, capsys.readouterr().out

    return run


# ---------------------------------------------------------------------------------------------
# Faults
# ---------------------------------------------------------------------------------------------

FAULTS: list[tuple[str, dict[str, Any], str]] = [
    (
        "output_size",
        _options(max_detections=70_000, max_classes_per_detection=70_000),
        "4900000000 output slots",
    ),
    ("max_detections", _options(max_detections=-1), "max_detections is -1"),
    ("max_classes_per_detection", _options(max_classes_per_detection=0), "is 0"),
    ("max_classes_per_detection", _options(max_classes_per_detection=None), "0 when absent"),
    ("num_classes", _options(num_classes=0), "num_classes is 0"),
    ("num_classes", _options(num_classes=None), "num_classes is 0 (0 when absent)"),
    ("class_columns", {"class_columns": 6}, "6 class columns, expected num_classes 3"),
    ("class_columns", {"class_columns": 2}, "2 class columns, expected num_classes 3"),
    ("row_mismatch", {"anchors": ANCHORS[:5], "num_anchors": ROWS}, "anchors has 5 rows"),
    ("row_mismatch", {"num_anchors": 5}, "anchors has 12 rows, box_encodings has 5"),
    ("shape", {"anchors": ANCHORS[:, :3]}, "anchors has 3 columns"),
    ("shape", {"anchors": np.ones((ROWS, 5), np.float32)}, "anchors has 5 columns"),
    ("shape", {"anchors": ANCHORS.ravel(), "num_anchors": ROWS}, "anchors has shape [48]"),
    ("dtype", {"box_dtype": np.int16, "box_quantization": QUANTIZED}, "has type int16"),
    ("dtype", {"score_dtype": np.float16}, "scores has type float16"),
    ("dtype", {"box_dtype": np.int32}, "box_encodings has type int32"),
    ("quantization", {"score_dtype": np.uint8, "score_quantization": (0.0, 0)}, "scale 0,"),
    ("quantization", {"score_dtype": np.uint8, "score_quantization": (-1.0, 0)}, "scale -1,"),
    ("quantization", {"score_dtype": np.uint8, "score_quantization": (np.nan, 0)}, "scale nan"),
    ("quantization", {"score_dtype": np.uint8}, "uint8 without quantization"),
    (
        "quantization",
        {"score_dtype": np.int8, "score_quantization": (0.0, 0), "dequantize": True},
        "scores has quantization scale 0",
    ),
    ("scale", _options(y_scale=0.0), "y_scale is 0"),
    ("scale", _options(w_scale=np.nan), "w_scale is nan"),
    ("scale", _options(h_scale=None), "h_scale is 0 (0 when absent)"),
    ("option_block", {"options": None}, "it is empty"),
    ("option_block", {"options": b""}, "it is empty"),
    ("option_block", {"options": BLOCK[:-9]}, "out of range"),
    ("option_block", {"options": b"\x93hdjs\x01kd" * 8}, "out of range"),
    ("option_block", {"options": bytes(flexbuffers.Dumps([1, 2]))}, "not a map"),
    ("option_value", _options(max_detections="ten"), 'is the string "ten"'),
    ("option_value", _options(num_classes=[3]), "num_classes is a list"),
    ("nms_iou_threshold", _options(nms_iou_threshold=0.0), "expected more than 0"),
    ("nms_iou_threshold", _options(nms_iou_threshold=2.0), "at most 1"),
    ("nms_iou_threshold", _options(nms_iou_threshold=np.nan), "is nan"),
    ("nms_iou_threshold", _options(nms_iou_threshold=None), "0 when absent"),
    (
        "detections_per_class",
        _options(detections_per_class=0, use_regular_nms=True),
        "detections_per_class is 0",
    ),
    ("row_mismatch", {"score_shape": (1, 11, 4)}, "scores has 11 rows, box_encodings has 12"),
    ("row_mismatch", {"score_shape": (2, ROWS, 4)}, "scores has batch 2"),
    ("shape", {"box_columns": 3}, "box_encodings has 3 columns"),
    ("shape", {"box_shape": (ROWS, 4)}, "box_encodings has shape [12, 4]"),
    ("input_count", {"num_inputs": 2}, "it has 2 inputs, expected 3"),
    ("input_count", {"num_inputs": 4}, "it has 4 inputs, expected 3"),
    ("input_count", {"missing_inputs": (1,)}, "input 1 (scores) is missing"),
    ("output_count", {"num_outputs": 3}, "it has 3 outputs, expected 4"),
    ("output_count", {"num_outputs": 5}, "it has 5 outputs, expected 4"),
    ("output_count", {"shared_outputs": (0,)}, "outputs 0 and 3 are one tensor"),
    (
        "output_count",
        {"aliased_outputs": ((2, "scores"),)},
        "output 2 is the tensor of scores, 1, expected another",
    ),
    (
        "output_count",
        {**INT8, "dequantize": True, "aliased_outputs": ((1, "scores_dequantized"),)},
        "output 1 is the tensor of scores, 3, expected another",
    ),
]


FIELDS = {
    "no zero point": ({"zeroPoint": None}, "has 1 scales and 0 zero points, expected as many"),
    "two zero points": ({"zeroPoint": [0, 0]}, "has 1 scales and 2 zero points, expected as many"),
    "dimension 3": ({"quantizedDimension": 3}, "along dimension 3, expected 0 to 2"),
    "dimension -1": ({"quantizedDimension": -1}, "along dimension -1, expected 0 to 2"),
    "300 scales": (
        {"scale": [0.1] * 300, "zeroPoint": [0] * 300},
        "has 300 scales along dimension 0, expected 1 or 1",
    ),
    "wide zero point": ({"zeroPoint": [2**31]}, "has zero point 2147483648, expected one of 32"),
    "wider zero point": ({"zeroPoint": [-(2**63)]}, "point -9223372036854775808, expected one"),
}


@pytest.mark.fault
@pytest.mark.parametrize("row", FIELDS)
def test_fields_of_quantization_that_runtimes_refuse_or_cut(doctor: Any, row: str) -> None:
    changes, words = FIELDS[row]
    model = schema.ModelT.InitFromPackedBuf(_model(**INT8).build())
    [scores] = [t for t in model.subgraphs[0].tensors if t.name == b"scores"]
    types = {"scale": np.float32, "zeroPoint": np.int64}
    for field, value in changes.items():
        stored = np.asarray(value, types[field]) if isinstance(value, list) else value
        setattr(scores.quantization, field, stored)
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    content = bytes(builder.Output())
    code, document, _ = doctor(content)
    assert code == 1
    faults = [f for f in document["faults"] if f["name"] == "quantization_fields"]
    assert any("scores: tensor 1" in f["text"] and words in f["text"] for f in faults)
    for edit in (convert.tidy, convert.rewrite_quantized):
        with pytest.raises(ValueError, match=r"."):
            edit(content)
    pytest.importorskip("ai_edge_litert")
    with pytest.raises((ValueError, RuntimeError)):
        detops.Interpreter(model_content=content).allocate_tensors()


def test_an_output_that_is_a_constant(doctor: Any) -> None:
    content = _model(aliased_outputs=((3, "anchors"),)).build()
    code, document, _ = doctor(content)
    assert code == 1
    texts = [fault["text"] for fault in document["faults"]]
    assert "output 3 is tensor 2, a constant, expected another" in texts
    assert all(fault["stock"] != "not known" for fault in document["faults"])


def test_a_graph_with_a_circle(doctor: Any) -> None:
    changes = {**INT8, "dequantize": True, "aliased_outputs": ((2, "scores"),)}
    code, document, _ = doctor(_model(**changes).build())
    assert code == 1
    [fault] = document["faults"]
    assert fault["name"] == "circle"
    assert "node 0 (DEQUANTIZE) can never run" in fault["text"]


@pytest.mark.parametrize(
    ("row", "name", "place"),
    [
        ("an IF that runs its own subgraph", "circle", "subgraph 0"),
        ("a DEQUANTIZE without an output", "output_count", "node 0"),
    ],
)
def test_faults_of_the_file(doctor: Any, row: str, name: str, place: str) -> None:
    content, words = BROKEN_FILES[row]
    code, document, text = doctor(content)
    [fault] = document["faults"]
    assert (code, fault["name"], fault["place"]) == (1, name, place)
    assert all(word in fault["text"] for word in words)
    assert "1 fault, detops refuses this model" in text


@pytest.mark.parametrize(("name", "changes", "words"), FAULTS)
def test_faults(doctor: Any, name: str, changes: dict[str, Any], words: str) -> None:
    content = _model(**changes).build()
    code, document, text = doctor(content)
    assert (code, document["healthy"], document["hazards"]) == (1, False, [])
    [fault] = document["faults"]
    assert fault["name"] == name
    assert fault["place"].startswith("node ")
    assert words in fault["text"]
    assert fault["stock"] not in ("", "not known")
    assert "1 fault, detops refuses this model" in text
    pytest.importorskip("ai_edge_litert")
    # The file says what the runtime then meets, in the same words.
    with pytest.raises((ValueError, RuntimeError)) as refusal:
        detops.Interpreter(model_content=content).allocate_tensors()
    assert fault["text"] in str(refusal.value)


def test_all_faults_are_listed(doctor: Any) -> None:
    content = _model(**_options(y_scale=0.0, num_classes=0), score_dtype=np.int16).build()
    _, document, _ = doctor(content)
    assert [fault["name"] for fault in document["faults"]] == ["num_classes", "scale", "dtype"]


def _edit(content: bytes, edit: Any) -> bytes:
    root = schema.ModelT.InitFromPackedBuf(content, 0)
    edit(root)
    builder = flatbuffers.Builder(1024)
    builder.Finish(root.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def test_constants_of_a_wrong_size(doctor: Any) -> None:
    def cut(root: Any) -> None:
        root.buffers[-1].data = root.buffers[-1].data[:-8]

    code, document, _ = doctor(_edit(_model().build(), cut))
    [fault] = document["faults"]
    assert (code, fault["name"]) == (1, "buffer")
    assert "has 184 bytes, shape [12, 4] of float32 needs 192" in fault["text"]


# ---------------------------------------------------------------------------------------------
# Hazards
# ---------------------------------------------------------------------------------------------

HAZARDS: list[tuple[str | None, dict[str, Any], str]] = [
    (None, {}, ""),
    (None, {"anchors": np.zeros((0, 4), np.float32)}, ""),
    (None, {"anchors": None, "num_anchors": ROWS}, ""),
    (None, {**INT8, "dequantize": True}, ""),
    ("int8", INT8, "scores reach the op as int8"),
    (
        "anchor_type",
        {"box_dtype": np.uint8, "box_quantization": QUANTIZED},
        "box_encodings are uint8 but anchors float32",
    ),
    (
        "anchor_type",
        {"anchors": BYTES, "anchor_dtype": np.uint8, "anchor_quantization": (0.005, 0)},
        "box_encodings are float32 but anchors uint8",
    ),
    ("class_slots", _options(max_classes_per_detection=5), "is 5, but num_classes 3"),
    ("negative_anchor", {"anchors": NEGATIVE}, "1 of 12 anchors with a negative"),
    ("anchor_not_finite", {"anchors": NOT_A_NUMBER}, "the first is row 5"),
    ("batch", {"batch": 2}, "batch 2, stock expects 1"),
]


@pytest.mark.parametrize(("name", "changes", "words"), HAZARDS)
def test_hazards(doctor: Any, name: str | None, changes: dict[str, Any], words: str) -> None:
    code, document, text = doctor(_model(**changes).build())
    assert (code, document["healthy"], document["faults"]) == (0, True, [])
    names = [hazard["name"] for hazard in document["hazards"]]
    # Every model in fast mode has that one.
    assert sorted(names) == sorted(["stale_slots", *([name] if name else [])])
    assert any(words in hazard["text"] for hazard in document["hazards"])
    assert "healthy, no faults" in text


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({}, ["threads"]),
        ({"detections_per_class": 5}, ["threads", "threads_heap"]),
        ({"max_detections": 0}, ["threads", "no_detections"]),
    ],
)
def test_hazards_of_regular_mode(doctor: Any, options: Any, names: list[str]) -> None:
    content = _model(**_options(use_regular_nms=True, **options)).build()
    code, document, text = doctor(content)
    assert (code, [hazard["name"] for hazard in document["hazards"]]) == (0, names)
    assert f"{len(names)} hazard" in text


def test_a_file_without_faults_and_hazards(doctor: Any) -> None:
    options = default_options(1, use_regular_nms=True)
    code, document, text = doctor(_model(class_columns=2, options=options).build())
    assert (code, document["hazards"]) == (0, [])
    assert text.endswith("healthy, no faults\n")


def test_unaligned_anchors(doctor: Any) -> None:
    content = _model().build()

    def move_out(root: Any) -> None:
        # The buffer's data then stand behind the flatbuffer, wherever the offset says.
        root.buffers[-1].data = None
        root.buffers[-1].offset, root.buffers[-1].size = 2, ANCHORS.nbytes

    size = len(_edit(content, move_out))
    start = size + (1 - size) % 4

    def at_start(root: Any) -> None:
        move_out(root)
        root.buffers[-1].offset = start

    moved = _edit(content, at_start)
    assert len(moved) == size
    code, document, _ = doctor(moved + bytes(start - size) + ANCHORS.tobytes())
    assert code == 0
    assert "unaligned" in [hazard["name"] for hazard in document["hazards"]]


def test_what_only_run_time_knows(doctor: Any) -> None:
    def open_rows(root: Any) -> None:
        for tensor in root.subgraphs[0].tensors[:2]:
            tensor.shape = np.array([1, 1, 4], np.int32)
            tensor.shapeSignature = np.array([1, -1, 4], np.int32)

    code, document, text = doctor(_edit(_model().build(), open_rows))
    assert (code, document["faults"]) == (0, [])
    assert document["unchecked"] == ["node 0: box_encodings", "node 0: scores"]
    assert "not checked: node 0: box_encodings, node 0: scores" in text


def test_two_nodes(doctor: Any) -> None:
    _, document, _ = doctor(_model(two_ops=True, **_options(y_scale=0.0)).build())
    assert [fault["place"] for fault in document["faults"]] == ["node 0", "node 1"]


# ---------------------------------------------------------------------------------------------
# --run
# ---------------------------------------------------------------------------------------------


def test_run(doctor: Any) -> None:
    pytest.importorskip("ai_edge_litert")
    code, document, text = doctor(_model(**INT8).build(), "--run", "--runtime", "litert")
    runs = document["runs"]
    assert code == 0
    assert (runs["stock"]["status"], runs["detops"]["status"]) == ("error", "ok")
    assert "run with stock: fails: Node number 0" in text
    assert "run with detops: runs, 4 outputs" in text


def test_a_run_that_fails_is_a_problem(doctor: Any) -> None:
    pytest.importorskip("ai_edge_litert")
    code, document, _ = doctor(ColourModel(then="NoSuchOp").build(), "--run")
    assert (code, document["faults"], document["healthy"]) == (1, [], False)
    assert "NoSuchOp" in document["runs"]["detops"]["text"]


def test_a_crash_of_stock_is_reported(tmp_path: Path) -> None:
    pytest.importorskip("ai_edge_litert")
    path = tmp_path / "model.tflite"
    path.write_bytes(_model(options=None).build())
    arrays = random_inputs(ModelFile.read(path).subgraphs[0])
    stock = try_invoke(str(path), arrays, stock=True, runtime="litert")
    ours = try_invoke(str(path), arrays, stock=False, runtime="litert")
    assert (stock.status, ours.status) == ("crash", "error")
    assert str(stock) == f"crashes: {stock.text}"
    assert "option block (0 bytes)" in str(ours)


@pytest.mark.parametrize("what", ["input", "output", "signature"])
def test_a_name_that_is_not_utf8_is_told(doctor: Any, what: str) -> None:
    pytest.importorskip("ai_edge_litert")

    def rename(root: Any) -> None:
        graph = root.subgraphs[0]
        if what == "signature":
            root.signatureDefs = [schema.SignatureDefT()]
            root.signatureDefs[0].signatureKey = b"caf\xe9"
            root.signatureDefs[0].inputs = root.signatureDefs[0].outputs = []
        else:
            [*_, last] = graph.inputs if what == "input" else graph.outputs
            graph.tensors[last].name = b"caf\xe9"

    code, document, _ = doctor(_edit(_model().build(), rename), "--run")
    assert code == 1
    for run in document["runs"].values():
        assert "b'caf\\xe9'" in run["text"]
        assert "expected names in UTF-8" in run["text"]


def test_a_real_model(doctor: Any, data_dir: Path) -> None:
    model = data_dir / "models" / "coco_ssd_mnv1_100_300_uint8.tflite"
    code, document, _ = doctor(model.read_bytes())
    assert (code, [hazard["name"] for hazard in document["hazards"]]) == (0, ["stale_slots"])


@pytest.mark.parametrize("shape", [(1 << 20, 1 << 10, 4), (-1, ROWS, 4)])
def test_a_run_on_an_input_of_no_known_or_of_huge_size(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], shape: tuple[int, ...]
) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(_model(box_shape=shape).build())
    assert main(["doctor", str(path), "--run"]) == 1
    [line] = capsys.readouterr().err.splitlines()
    assert "input 'boxes' has shape" in line and "expected known sides" in line
