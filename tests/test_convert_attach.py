# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""detops.convert.attach_postprocess: every kind of raw model, against the op on its outputs."""

from __future__ import annotations

import dataclasses
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import detops
from detops.convert import attach_postprocess, equivalence
from detops.convert.model_edit import ModelEdit
from detops.interpreter import runtime_module
from detops.model_file import ModelFile
from model_builder import OUTPUT_NAMES
from raw_models import (
    ANCHORS,
    BOX_QUANTIZATION,
    CLASSES,
    OPTIONS,
    PROBABILITIES,
    ROWS,
    RawModel,
    op_names,
    run_outputs,
)
from reference import assert_same_bits

pytest.importorskip("flatbuffers")


def stock(content: bytes) -> Any:
    return runtime_module("litert").Interpreter(model_content=content, num_threads=1)


def expected(raw: RawModel, scores: Any = None) -> detops.Detections:
    """The op on what the raw model gives."""
    found = run_outputs(stock(raw.build()), raw.inputs())
    outputs = found[::-1] if raw.scores_first else found
    boxes = outputs[0].reshape(1, ROWS, -1)
    scores = (outputs[1] if scores is None else scores).reshape(1, ROWS, -1)
    narrow = raw.dtype != "float32"
    return detops.postprocess(
        boxes,
        scores,
        ANCHORS,
        OPTIONS,
        box_quantization=BOX_QUANTIZATION[raw.dtype] if narrow else None,
        score_quantization=PROBABILITIES[raw.dtype] if narrow else None,
    )


def assert_detects(model: bytes, raw: RawModel, wanted: detops.Detections) -> None:
    """With detops every slot, with stock those that it fills."""
    count = int(wanted.num_detections[0])
    assert 2 < count <= OPTIONS.max_detections
    ours = run_outputs(detops.Interpreter(model_content=model), raw.inputs())
    for name, a, b in zip(OUTPUT_NAMES, ours, wanted, strict=True):
        assert_same_bits(a, b, name)
    if raw.dtype == "int8" and "DEQUANTIZE" not in op_names(model):
        return
    theirs = run_outputs(stock(model), raw.inputs())
    for name, a, b in zip(OUTPUT_NAMES[:3], theirs, wanted, strict=False):
        assert_same_bits(a[:, :count], b[:, :count], f"stock {name}")
    assert theirs[3] == count


@pytest.mark.parametrize(
    ("anchors", "words"),
    [
        (np.full((ROWS, 4), 1e39), "NaN, infinity"),
        (np.full((ROWS, 4), 1j), "not real numbers"),
        (np.full((ROWS, 4), "a"), "not real numbers"),
        (np.full((ROWS, 4), None), "not real numbers"),
        ([[1, 2, 3, 4], [1]], "not real numbers"),
        (np.zeros(3, [("a", "f4")]), "not real numbers"),
    ],
)
def test_anchors_that_are_none(anchors: Any, words: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ValueError, match=words):
            attach_postprocess(RawModel().build(), anchors, OPTIONS)


@pytest.mark.parametrize("into", ["float32", "native"])
@pytest.mark.parametrize("scores_first", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "uint8", "int8"])
def test_probabilities(dtype: str, scores_first: bool, into: str) -> None:
    raw = RawModel(dtype=dtype, scores_first=scores_first)
    model = attach_postprocess(raw.build(), ANCHORS, OPTIONS, into=into)
    assert_detects(model, raw, expected(raw))
    left = {"float32": 0, "uint8": 1, "int8": 0}[dtype] if into == "native" else 2
    assert op_names(model).count("DEQUANTIZE") == (left if dtype != "float32" else 0)


@pytest.mark.parametrize("into", ["float32", "native"])
@pytest.mark.parametrize("dtype", ["float32", "uint8", "int8"])
def test_logits(dtype: str, into: str) -> None:
    raw = RawModel(dtype=dtype, logistic=False)
    with_sigmoid = dataclasses.replace(raw, logistic=True)
    scores = run_outputs(stock(with_sigmoid.build()), raw.inputs())[1]
    model = attach_postprocess(raw.build(), ANCHORS, OPTIONS, sigmoid=False, into=into)
    assert_detects(model, raw, expected(raw, scores))
    assert op_names(model).count("LOGISTIC") == 1


@pytest.mark.parametrize(
    ("box_shape", "score_shape"),
    [
        ((1, ROWS, 1, 4), (1, ROWS, 1, CLASSES + 1)),
        ((1, ROWS * 4), (1, ROWS * CLASSES)),
        ((ROWS, 4), (ROWS, CLASSES + 1)),
        ((1, ROWS, 8), (1, ROWS, CLASSES)),
    ],
)
@pytest.mark.parametrize("dtype", ["float32", "int8"])
def test_shapes(dtype: str, box_shape: tuple[int, ...], score_shape: tuple[int, ...]) -> None:
    raw = RawModel(dtype=dtype, box_shape=box_shape, score_shape=score_shape, scores_first=True)
    model = attach_postprocess(raw.build(), ANCHORS, OPTIONS, into="native")
    assert_detects(model, raw, expected(raw))
    # Only where the op needs another shape.
    own = op_names(raw.build()).count("RESHAPE")
    added = sum(len(shape) != 3 for shape in (box_shape, score_shape))
    assert op_names(model).count("RESHAPE") == own + added


def test_outputs_are_those_of_the_op() -> None:
    model = attach_postprocess(RawModel(signature=True).build(), ANCHORS, OPTIONS)
    graph = ModelFile.read(model).subgraphs[0]
    outputs = [graph.tensors[index] for index in graph.outputs]
    assert tuple(tensor.name for tensor in outputs) == OUTPUT_NAMES
    assert [tensor.shape for tensor in outputs] == [(1, 8, 4), (1, 8), (1, 8), (1,)]
    assert list(graph.outputs) == sorted(graph.outputs)
    [(_, node)] = ModelFile.read(model).postprocess_operators()
    assert detops.Options.from_bytes(node.custom_options or b"") == OPTIONS
    [signature] = ModelEdit(model).model.signatureDefs
    assert [entry.name.decode() for entry in signature.outputs] == list(OUTPUT_NAMES)
    assert [entry.tensorIndex for entry in signature.outputs] == list(graph.outputs)
    assert [entry.name.decode() for entry in signature.inputs] == ["boxes", "logits"]


@pytest.mark.parametrize(
    ("keys"), [{"boxes": "a"}, {"scores": "b"}, {"boxes": 0, "scores": 1}, {"scores": 1}]
)
def test_ambiguous_outputs(keys: dict[str, Any]) -> None:
    raw = RawModel(score_shape=(1, ROWS, 4))
    options = OPTIONS.replace(num_classes=4)
    with pytest.raises(ValueError, match=r"either output may be the boxes \('a' \[1, 24, 4\]"):
        attach_postprocess(raw.build(), ANCHORS, options)
    model = attach_postprocess(raw.build(), ANCHORS, options, **keys)
    graph, node = ModelFile.read(model).postprocess_operators()[0]
    assert [graph.tensors[index].name for index in node.inputs] == ["a", "b", "anchors"]


def test_the_result_is_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def other(*arguments: Any, **quantizations: Any) -> detops.Detections:
        found = detops.postprocess(*arguments, **quantizations)
        return found._replace(scores=found.scores + 1)

    monkeypatch.setattr(equivalence, "postprocess", other)
    with pytest.raises(ValueError, match="the edited model has other scores in random frame 0"):
        attach_postprocess(RawModel().build(), ANCHORS, OPTIONS)
    attach_postprocess(RawModel().build(), ANCHORS, OPTIONS, verify=False)


def test_a_missing_file() -> None:
    with pytest.raises(FileNotFoundError):
        attach_postprocess(Path("missing.tflite"), ANCHORS, OPTIONS)


@pytest.mark.parametrize(
    ("raw", "changes", "message"),
    [
        (RawModel(logistic=False), {}, "may hold probabilities or logits: say which, as sigmoid="),
        (RawModel(dtype="int8", logistic=False), {}, "may hold probabilities or logits"),
        (RawModel(), {"anchors": ANCHORS[:5]}, "for 5 anchors and 5 classes"),
        (RawModel(), {"anchors": ANCHORS[:, :3]}, r"anchors has shape \[24, 3\], expected \[N, 4"),
        (RawModel(), {"anchors": -ANCHORS}, "negative size"),
        (RawModel(), {"options": OPTIONS.replace(num_classes=9)}, "24 anchors and 9 classes"),
        (RawModel(), {"options": OPTIONS.replace(nms_iou_threshold=2.0)}, "nms_iou_threshold"),
        (RawModel(), {"boxes": "c"}, "boxes is 'c', expected one of 'a'"),
        (RawModel(), {"boxes": 2}, "boxes is 2, expected one of"),
        (RawModel(), {"boxes": 0, "scores": 0}, "boxes and scores are both 'a'"),
        (RawModel(), {"into": "int8"}, "into is 'int8', expected one of float32, native"),
        (RawModel(box_shape=(1, 4, ROWS)), {}, r"expected boxes \[1, 24, 4\]"),
        (RawModel(dtype="int16", logistic=False), {"sigmoid": True}, "is int16, expected one of"),
        (
            RawModel(dtype="int8", score_quantization=((0.1,) * 6, 0)),
            {"sigmoid": True},
            "int8 without one scale for the whole tensor",
        ),
    ],
)
def test_refusals(raw: RawModel, changes: dict[str, Any], message: str) -> None:
    arguments = {"anchors": ANCHORS, "options": OPTIONS, **changes}
    with pytest.raises(ValueError, match=message):
        attach_postprocess(raw.build(), **arguments)


def test_a_model_that_has_the_op() -> None:
    model = attach_postprocess(RawModel().build(), ANCHORS, OPTIONS)
    with pytest.raises(ValueError, match="has a TFLite_Detection_PostProcess node already"):
        attach_postprocess(model, ANCHORS, OPTIONS)
    with pytest.raises(TypeError, match=r"options is a dict, expected detops\.Options"):
        attach_postprocess(RawModel().build(), ANCHORS, {})  # type: ignore[arg-type]
