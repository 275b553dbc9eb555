# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""detops.convert.rewrite_quantized: the same detections, bit for bit, in detops and in stock."""

from __future__ import annotations

import itertools
import warnings
from typing import Any

import numpy as np
import pytest

import detops
from detops.convert import equivalence, rewrite_quantized
from detops.interpreter import runtime_module
from detops.model_file import ModelFile
from model_builder import PostprocessModel, default_options, quantize, random_case
from raw_models import op_names, run_outputs
from reference import Case, assert_same_bits

pytest.importorskip("flatbuffers")

ROWS, CLASSES = 30, 3
SCORES = {"int8": (1 / 256, -128), "uint8": (1 / 256, 0)}
BOXES = {"int8": (0.03, -8), "uint8": (0.03, 120)}
ANCHORS = {"int8": (0.004, -128), "uint8": (0.004, 0)}


def case(box: str, score: str, anchor: str = "float32", **changes: Any) -> Case:
    """Boxes, scores and constant anchors of the given types."""
    rng = np.random.default_rng(5)
    anchors = np.concatenate(
        [rng.uniform(0.2, 0.8, (ROWS, 2)), rng.uniform(0.1, 0.4, (ROWS, 2))], 1
    )
    quantizations = (BOXES.get(box), SCORES.get(score), ANCHORS.get(anchor))
    quantizations = changes.pop("quantizations", quantizations)
    real = [rng.normal(0, 1, (1, ROWS, 4)), rng.random((1, ROWS, CLASSES + 1)), anchors]
    stored = [
        quantize(array.astype(np.float32), np.dtype(dtype), quantization)
        for array, dtype, quantization in zip(
            real, (box, score, anchor), quantizations, strict=True
        )
    ]
    fields: dict[str, Any] = {
        "anchors": stored[2],
        "class_columns": CLASSES + 1,
        "box_dtype": np.dtype(box),
        "score_dtype": np.dtype(score),
        "anchor_dtype": np.dtype(anchor),
        "box_quantization": quantizations[0],
        "score_quantization": quantizations[1],
        "anchor_quantization": quantizations[2],
        "options": default_options(CLASSES),
    }
    model = PostprocessModel(**{**fields, **changes})
    return model, model.graph_inputs(*stored[:2])


def op_types(model: bytes) -> list[str]:
    """Of the op's boxes, scores and anchors."""
    [(graph, node)] = ModelFile.read(model).postprocess_operators()
    return [graph.tensors[index].dtype for index in node.inputs]


def outputs(model: bytes, inputs: Any, runtime: str | None = None) -> list[Any]:
    """With detops, or with the stock op of a runtime; without what stock leaves unset."""
    if runtime is None:
        interpreter = detops.Interpreter(model_content=model)
    else:
        interpreter = runtime_module(runtime).Interpreter(model_content=model, num_threads=1)
    found = run_outputs(interpreter, inputs)
    count = int(found[3].flat[0])
    return [*(array[:, :count] for array in found[:3]), found[3]]


def assert_same(got: list[Any], wanted: list[Any]) -> None:
    assert wanted[3].flat[0] > 2
    for name, a, b in zip(("boxes", "classes", "scores", "count"), got, wanted, strict=True):
        assert_same_bits(a, b, name)


@pytest.mark.parametrize("reshape", [False, True])
@pytest.mark.parametrize(
    ("box", "score", "dequantize"),
    [
        ("int8", "int8", True),
        ("uint8", "uint8", True),
        ("int8", "uint8", True),
        ("int8", "int8", False),
        ("float32", "int8", True),
    ],
)
def test_every_way(box: str, score: str, dequantize: bool, reshape: bool) -> None:
    model, inputs = case(box, score, dequantize=dequantize, reshape_after_dequantize=reshape)
    before = model.build()
    wanted = outputs(before, inputs)
    narrow = {"int8": box if box == "float32" else "int8", "uint8": "float32", "float32": "float32"}
    for into in ("int8", "uint8", "float32"):
        after = rewrite_quantized(before, into)
        scores = "float32" if into == "float32" else into
        assert op_types(after) == [narrow[into], scores, "float32"], into
        assert_same(outputs(after, inputs), wanted)
        if into != "int8":
            assert_same(outputs(after, inputs, "litert"), wanted)
        assert_same(outputs(rewrite_quantized(after, into), inputs), wanted)


def test_stock_agrees_in_each_runtime(runtime: str) -> None:
    model, inputs = case("int8", "int8", dequantize=True)
    before = outputs(model.build(), inputs, runtime)
    for into in ("uint8", "float32"):
        assert_same(outputs(rewrite_quantized(model.build(), into), inputs, runtime), before)


@pytest.mark.parametrize("reshape", [False, True])
def test_there_and_back_leaves_nothing_behind(reshape: bool) -> None:
    model, _ = case("int8", "int8", dequantize=True, reshape_after_dequantize=reshape)
    names = sorted(op_names(model.build()))
    for first, second in itertools.permutations(("int8", "uint8")):
        there = rewrite_quantized(rewrite_quantized(model.build(), first), second)
        back = rewrite_quantized(there, "float32")
        assert sorted(op_names(back)) == names
        assert len(ModelFile.read(back).subgraphs[0].tensors) == len(
            ModelFile.read(model.build()).subgraphs[0].tensors
        )
    direct = rewrite_quantized(model.build(), "int8")
    assert {"DEQUANTIZE", "QUANTIZE"}.isdisjoint(op_names(direct))


@pytest.mark.parametrize("anchor", ["int8", "uint8"])
@pytest.mark.parametrize("box", ["int8", "uint8"])
def test_narrow_anchors(box: str, anchor: str) -> None:
    model, inputs = case(box, box, anchor)
    wanted = outputs(model.build(), inputs)
    as_uint8 = rewrite_quantized(model.build(), "uint8")
    assert op_types(as_uint8) == ["uint8"] * 3
    assert_same(outputs(as_uint8, inputs), wanted)
    assert_same(outputs(as_uint8, inputs, "litert"), wanted)
    as_float = rewrite_quantized(model.build(), "float32")
    assert op_types(as_float) == ["float32"] * 3
    assert op_names(as_float).count("DEQUANTIZE") == 2
    assert_same(outputs(as_float, inputs), wanted)
    assert_same(outputs(as_float, inputs, "litert"), wanted)
    assert op_types(rewrite_quantized(model.build(), "int8")) == ["int8", "int8", anchor]


def test_uint8_boxes_with_float_anchors_are_made_safe_for_stock() -> None:
    model, inputs = case("uint8", "uint8")
    after = rewrite_quantized(model.build(), "uint8")
    assert op_types(after) == ["float32", "uint8", "float32"]
    assert_same(outputs(after, inputs, "litert"), outputs(model.build(), inputs))


def test_values_that_others_read_stay() -> None:
    model, inputs = case("int8", "int8", dequantize=True, also_output_dequantized=True)
    after = rewrite_quantized(model.build(), "int8")
    assert op_names(after).count("DEQUANTIZE") == 2
    before = run_outputs(detops.Interpreter(model_content=model.build()), inputs)
    for a, b in zip(
        run_outputs(detops.Interpreter(model_content=after), inputs), before, strict=True
    ):
        assert_same_bits(a, b, "outputs")


def test_two_nodes() -> None:
    model, _ = case("int8", "int8", dequantize=True, two_ops=True)
    nodes = ModelFile.read(rewrite_quantized(model.build(), "int8")).postprocess_operators()
    assert [[g.tensors[i].dtype for i in op.inputs] for g, op in nodes] == [
        ["int8", "int8", "float32"]
    ] * 2


@pytest.mark.parametrize("seed", range(20))
def test_random_cases(seed: int) -> None:
    dtypes: tuple[str, str, str] = [("int8", "int8", "float32"), ("uint8", "int8", "uint8")][
        seed % 2
    ]
    model, inputs = random_case(seed, dtypes=dtypes, dequantize=seed % 4 < 2, stock=False)
    if model.dequantize and dtypes[2] != "float32":
        return
    scale, zero_point = model.score_quantization or (0, 0)
    exact = zero_point == -128 or np.frexp(scale)[0] == 0.5
    wanted = run_outputs(detops.Interpreter(model_content=model.build()), inputs)
    for into in ("int8", "uint8", "float32"):
        if into == "uint8" and not exact:
            with pytest.raises(ValueError, match="so the last bit would change"):
                rewrite_quantized(model.build(), into)
            continue
        after = rewrite_quantized(model.build(), into)
        got = run_outputs(detops.Interpreter(model_content=after), inputs)
        for name, a, b in zip(("boxes", "classes", "scores", "count"), got, wanted, strict=True):
            assert_same_bits(a, b, f"{into} {name}")


# ---------------------------------------------------------------------------------------------
# Refusals
# ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("into", ["int8", "uint8"])
def test_a_float_model(into: str) -> None:
    model, _ = case("float32", "float32")
    with pytest.raises(ValueError, match=r"reach the op as float32.*expected a quantised model"):
        rewrite_quantized(model.build(), into)
    assert op_names(rewrite_quantized(model.build(), "float32")) == op_names(model.build())


def test_scores_that_round_differently() -> None:
    odd = (BOXES["int8"], (0.0041, -100), None)
    model, inputs = case("int8", "int8", dequantize=True, quantizations=odd)
    with pytest.raises(ValueError, match=r"zero point -100: as uint8.*expected zero point -128 or"):
        rewrite_quantized(model.build(), "uint8")
    assert_same(
        outputs(rewrite_quantized(model.build(), "int8"), inputs), outputs(model.build(), inputs)
    )


def test_other_refusals() -> None:
    model, _ = case("int8", "int8", dequantize=True)
    with pytest.raises(ValueError, match="into is 'int16', expected one of int8, uint8, float32"):
        rewrite_quantized(model.build(), "int16")
    with pytest.raises(ValueError, match="TFL3"):
        rewrite_quantized(b"no model at all", "int8")
    no_op, _ = case("int8", "int8", custom_code="Other")
    with pytest.raises(ValueError, match="has no TFLite_Detection_PostProcess node"):
        rewrite_quantized(no_op.build(), "int8")
    two, _ = case("int8", "int8", num_inputs=2)
    with pytest.raises(ValueError, match="2 inputs and 4 outputs, expected 3 and 4"):
        rewrite_quantized(two.build(), "int8")
    slices = (BOXES["int8"], ((0.1, 0.2, 0.1, 0.2), 0), None)
    sliced, _ = case("int8", "int8", quantizations=slices)
    with pytest.raises(ValueError, match="scores come from 'scores', int8 without one scale"):
        rewrite_quantized(sliced.build(), "float32")


def test_the_check_finds_a_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    model, _ = case("int8", "int8", dequantize=True)
    other, _ = case(
        "int8", "int8", dequantize=True, options=default_options(CLASSES, nms_iou_threshold=0.1)
    )
    assert equivalence.check_same_detections(model.build(), model.build())
    with pytest.raises(ValueError, match="the edited model has other"):
        equivalence.check_same_detections(model.build(), other.build())
    with pytest.raises(ValueError, match="the edited model does not run"):
        equivalence.check_same_detections(
            model.build(), case("int8", "int8", num_inputs=2)[0].build()
        )

    def missing(**arguments: Any) -> Any:
        raise ImportError("no TFLite runtime is installed")

    monkeypatch.setattr(equivalence, "Interpreter", missing)
    assert not equivalence.check_same_detections(model.build(), other.build())


def test_anchors_of_the_largest_scale_and_widest_zero_point() -> None:
    """No warning, no OverflowError: infinity as the runtimes have it, or an error."""
    rows = np.full((6, 4), 100, np.int8)
    for quantization, words in (
        ((3.4e38, 0), None),
        ((0.01, 2**63 - 1), "expected one of 32 bits"),
    ):
        model = PostprocessModel(
            class_columns=4,
            anchors=rows,
            anchor_dtype=np.int8,
            anchor_quantization=quantization,
            score_dtype=np.int8,
            score_quantization=(1 / 256, -128),
            options=default_options(3),
        ).build()
        for into in ("float32", "uint8"):
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                if words is None:
                    assert rewrite_quantized(model, into, verify=False)
                    continue
                with pytest.raises(ValueError, match=words):
                    rewrite_quantized(model, into, verify=False)
