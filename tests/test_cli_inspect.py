# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""`detops inspect`: what it reads, what it foretells, and malformed models."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flatbuffers import flexbuffers
from hypothesis import given, settings
from hypothesis import strategies as st

import detops
from colour_model import ColourModel
from detops import _core
from detops.cli import main
from detops.model_file import ModelFile
from detops.nodes.facts import read_nodes
from detops.nodes.faults import find_faults
from detops.nodes.option_block import option_keys
from model_builder import PostprocessModel, default_options, random_case

ANCHORS = np.full((12, 4), 0.25, np.float32)


def _model(**changes: Any) -> PostprocessModel:
    fields = {"anchors": ANCHORS, "class_columns": 4, "options": default_options(3)}
    return PostprocessModel(**{**fields, **changes})


def _int8_model(**changes: Any) -> PostprocessModel:
    return _model(
        box_dtype=np.int8,
        box_quantization=(0.05, 3),
        score_dtype=np.int8,
        score_quantization=(1 / 256, -128),
        dequantize=True,
        **changes,
    )


@pytest.fixture
def inspect(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs inspect on a model: the JSON document and the text."""

    def run(model: PostprocessModel | ColourModel, *arguments: str) -> tuple[Any, str]:
        path = tmp_path / "model.tflite"
        path.write_bytes(model.build())
        assert main(["inspect", str(path), "--json", *arguments]) == 0
        document = json.loads(capsys.readouterr().out)
        assert main(["inspect", str(path), *arguments]) == 0
        return document, capsys.readouterr().out

    return run


def test_a_float_model(inspect: Any) -> None:
    document, text = inspect(_model())
    [node] = document["nodes"]
    assert (node["subgraph"], node["node"], node["of_nodes"]) == (0, 0, 1)
    assert (node["num_classes"], node["background_column"]) == (3, True)
    assert node["anchors"] == {"constant": True, "count": 12, "min": [0.25] * 4, "max": [0.25] * 4}
    assert (node["absent_options"], node["unused_options"]) == ([], [])
    assert node["fuses"] == []
    assert [output["graph_output"] for output in node["outputs"]] == [0, 1, 2, 3]
    assert (document["labels_packed"], document["metadata"]) == (0, [])
    assert [tensor["shape"] for tensor in document["inputs"]] == [[1, 12, 4], [1, 12, 4]]
    for expected in ("input of the graph", "12, constant", "3, and a background column"):
        assert expected in text


def test_int8_inputs_through_dequantize(inspect: Any) -> None:
    document, text = inspect(_int8_model(reshape_after_dequantize=True))
    [node] = document["nodes"]
    assert node["fuses"] == ["DEQUANTIZE", "DEQUANTIZE", "RESHAPE", "RESHAPE"]
    scores = node["inputs"]["scores"]
    assert scores["read_by_detops"]["quantization"]["zero_points"] == [-128]
    assert scores["fused"] == ["DEQUANTIZE", "RESHAPE"]
    assert node["background_column"] is True
    assert "(q + 128) * 0.00390625; fused" in text


def test_a_value_that_is_an_output_is_not_fused(inspect: Any) -> None:
    document, text = inspect(_int8_model(also_output_dequantized=True))
    assert document["nodes"][0]["fuses"] == []
    assert "not fused: its value is needed elsewhere" in text


def test_options_absent_and_unused(inspect: Any) -> None:
    options = default_options(3, use_regular_nms=None, detections_per_class=None)
    document, text = inspect(_model(options={**options, "_output_quantized": True}))
    [node] = document["nodes"]
    assert node["absent_options"] == ["detections_per_class", "use_regular_nms"]
    assert node["options"]["detections_per_class"] == 100
    assert node["unused_options"] == ["_output_quantized"]
    assert "not read by the op: _output_quantized" in text


def test_infinite_threshold_is_valid_json(inspect: Any) -> None:
    document, _ = inspect(_model(options=default_options(3, nms_score_threshold=-np.inf)))
    assert document["nodes"][0]["options"]["nms_score_threshold"] == "-inf"


def test_order_of_outputs(inspect: Any) -> None:
    document, text = inspect(ColourModel(output_order=(3, 1, 0), then="Custom"))
    outputs = document["nodes"][0]["outputs"]
    assert [output["graph_output"] for output in outputs] == [2, 1, None, 0]
    assert "not an output of the graph, read by nobody" in text
    _, text = inspect(ColourModel(output_order=(1, 2, 3), then="Custom"))
    assert "read by Custom (node 2)" in text


def test_dynamic_anchors_and_two_nodes(inspect: Any) -> None:
    document, text = inspect(_model(anchors=None, num_anchors=12, two_ops=True))
    assert [node["anchors"] for node in document["nodes"]] == [{"constant": False}] * 2
    assert text.count("TFLite_Detection_PostProcess, node") == 2


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"options": b"\x01\x02"}, "! the option block (2 bytes) is not usable"),
        ({"options": None}, "! the option block (0 bytes) is not usable"),
        ({"num_inputs": 2}, "  anchors are    missing"),
        ({"num_outputs": 6}, "extra 5"),
        ({"missing_inputs": (0, 1, 2)}, "anchors are"),
        ({"score_shape": (1, 12)}, "which the columns of scores do not fit"),
        ({"anchors": ANCHORS.ravel(), "num_anchors": 12}, "constant, shape [48]"),
        ({"score_dtype": np.int16}, "int16 [1, 12, 4] 'scores'"),
    ],
)
def test_malformed_nodes_are_shown_as_far_as_they_go(
    inspect: Any, changes: dict[str, Any], expected: str
) -> None:
    _, text = inspect(_model(**changes))
    assert expected in text


def test_a_runtime_confirms_what_is_fused(inspect: Any, runtime: str) -> None:
    document, text = inspect(_int8_model(), "--runtime", runtime)
    confirmed = (
        "detops runs 1 TFLite_Detection_PostProcess node, fused 2 nodes: DEQUANTIZE, DEQUANTIZE"
    )
    assert document["registered"] == confirmed
    assert f"{runtime}: {confirmed}" in text


def test_what_is_foretold_is_what_is_fused() -> None:
    pytest.importorskip("ai_edge_litert")
    for seed in range(120):
        model, _ = random_case(seed, stock=False, max_anchors=40)
        model = dataclasses.replace(
            model, also_output_dequantized=seed % 5 == 0, two_ops=seed % 3 == 0
        )
        content = model.build()
        nodes = read_nodes(ModelFile.read(content))
        inputs = [item for node in nodes for item in node.inputs.values() if item.fused]
        foretold = {(op.index, op.name) for item in inputs for op in item.traced}
        registration = detops.register_ops(detops.Interpreter(model_content=content))
        assert sorted(registration.fused) == sorted(name for _, name in foretold), seed
        assert not any(find_faults(node) for node in nodes), seed


@given(
    st.dictionaries(
        st.text("abcdefg_", min_size=1, max_size=12), st.integers(-(2**63), 2**63 - 1), max_size=40
    )
)
def test_keys_of_option_blocks(options: dict[str, int]) -> None:
    assert option_keys(bytes(flexbuffers.Dumps(options))) == sorted(options)


@settings(max_examples=300)
@given(st.binary(max_size=60))
def test_any_bytes_have_keys_or_none(block: bytes) -> None:
    _core.read_options(block)
    assert len(option_keys(block)) <= len(block)


def test_a_real_model(capsys: pytest.CaptureFixture[str], data_dir: Path) -> None:
    model = data_dir / "models" / "coco_ssd_mnv1_100_300_uint8_with_metadata.tflite"
    assert main(["inspect", str(model), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    [node] = document["nodes"]
    assert (document["labels_packed"], document["metadata"]) == (90, ["TFLITE_METADATA"])
    assert (node["num_classes"], node["background_column"]) == (90, True)
    assert node["anchors"]["count"] == 1917
    assert node["absent_options"] == ["detections_per_class", "use_regular_nms"]
    assert main(["inspect", str(model)]) == 0
    assert "90 packed" in capsys.readouterr().out
