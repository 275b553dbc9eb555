# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""The op against the stock op of both runtimes, bit for bit, and against tests/reference.py."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import detops
from model_builder import (
    OUTPUT_NAMES,
    PostprocessModel,
    default_options,
    quantize,
    random_case,
    run,
)
from reference import (
    Case,
    assert_like_reference,
    assert_same_bits,
    raw_inputs,
    seen_as_floats,
)
from stock import FLOATS, INT8, UINT8, assert_like_stock, make, with_detops

SEEDS = 100
REAL_MODELS = ("coco_ssd_mnv1_100_300_uint8.tflite", "pets37_ssd_mnv1_075_300_uint8.tflite")


def assert_same_detections(ours: Any, expected: Any, what: str) -> None:
    for name, got, want in zip(OUTPUT_NAMES, ours, expected, strict=True):
        assert_same_bits(got, want, f"{what}: {name}")


def postprocess(case: Case) -> detops.Detections:
    """detops.postprocess on the tensors that the op sees."""
    model, _ = case
    if model.dequantize:
        arrays, quantizations = seen_as_floats(case), [None] * 3
    else:
        arrays = raw_inputs(case)
        quantizations = [
            model.box_quantization,
            model.score_quantization,
            model.anchor_quantization,
        ]
    assert isinstance(model.options, Mapping)
    return detops.postprocess(
        *arrays,
        detops.Options(**model.options),
        box_quantization=quantizations[0],
        score_quantization=quantizations[1],
        anchor_quantization=quantizations[2],
    )


# ---------------------------------------------------------------------------------------------
# Families of random cases
# ---------------------------------------------------------------------------------------------


def _with_options(**choices: list[Any]) -> Callable[[int], Case]:
    """Random cases with some options drawn from lists instead."""

    def draw(seed: int) -> Case:
        rng = np.random.default_rng([seed, 7])
        options = {key: values[rng.integers(len(values))] for key, values in choices.items()}
        return random_case(seed, options=options)

    return draw


def _kind(**keywords: Any) -> Callable[[int], Case]:
    return lambda seed: random_case(seed, **keywords)


def _sprinkled(case: Case, which: int, values: list[float], seed: int) -> Case:
    """Replaces a third of an input by odd values."""
    model, inputs = case
    rng = np.random.default_rng([seed, 11])
    array = inputs[which].copy()
    spots = rng.random(array.shape) < 0.3
    array[spots] = rng.choice(np.array(values, np.float32), int(spots.sum()))
    return model, [array if i == which else other for i, other in enumerate(inputs)]


TINY = float(np.finfo(np.float32).smallest_subnormal)
LARGEST = float(np.finfo(np.float32).max)
ODD_SCORES = [0.0, -0.0, np.inf, -np.inf, TINY, -TINY, 3e5 * TINY, LARGEST, -LARGEST, 1.0]
ODD_ENCODINGS = [np.nan, np.inf, -np.inf, LARGEST, -LARGEST, 1e4, -1e4, 450.0, TINY, -0.0]


def _odd_scores(seed: int) -> Case:
    return _sprinkled(random_case(seed, dtypes=FLOATS), 1, ODD_SCORES, seed)


def _odd_encodings(seed: int) -> Case:
    return _sprinkled(random_case(seed, dtypes=FLOATS), 0, ODD_ENCODINGS, seed)


def _nan_scores(seed: int) -> Case:
    # Only in regular mode: the argmax of stock's fast mode may crash on NaN.
    case = random_case(seed, dtypes=FLOATS, regular=True)
    return _sprinkled(case, 1, [np.nan, 0.5, 0.9], seed)


def _zero_size_anchors(seed: int) -> Case:
    case = random_case(seed, dtypes=FLOATS, dynamic_anchors=True)
    return _sprinkled(case, 2, [0.0, -0.0], seed)


def _equal_overlaps(seed: int) -> Case:
    """Boxes on a coarse grid, so that many pairs have an IoU of exactly 1, 1/2, 1/3 or 3/5."""
    rng = np.random.default_rng([seed, 13])
    options = {"nms_iou_threshold": float(rng.choice([1.0, 0.5, np.float32(1 / 3), 0.6]))}
    model, inputs = random_case(seed, dtypes=FLOATS, dynamic_anchors=True, options=options)
    rows = model.rows
    sizes = rng.choice(np.array([0.25, 0.5, 1.0], np.float32), (rows, 2))
    # With w_scale at any value, a size encoding of zero is the anchor's own size.
    centres = rng.integers(0, 4, (rows, 2)) * np.float32(0.125)
    anchors = np.concatenate([centres, sizes], axis=1).astype(np.float32)
    return model, [np.zeros_like(inputs[0]), inputs[1], anchors]


def _one_anchor(seed: int) -> Case:
    return random_case(seed, max_anchors=1)


FAMILIES: dict[str, Callable[[int], Case]] = {
    "float": _kind(dtypes=FLOATS),
    "uint8 in the op": _kind(dtypes=UINT8, dequantize=False),
    "uint8 before DEQUANTIZE": _kind(dtypes=UINT8, dequantize=True),
    "int8 before DEQUANTIZE": _kind(dtypes=INT8, dequantize=True),
    "mixed types": _kind(),
    "mixed types before DEQUANTIZE": _kind(dequantize=True),
    "ties, fast": _kind(score_kind="ties", regular=False),
    "ties, regular": _kind(score_kind="ties", regular=True),
    "ties in uint8": _kind(score_kind="ties", dtypes=UINT8, dequantize=False),
    "scores all equal": _kind(score_kind="equal"),
    "scores at the threshold": _kind(score_kind="boundary"),
    "scores of both signs": _kind(score_kind="signed"),
    "hardly any score above": _kind(score_kind="background"),
    "constant anchors": _kind(dynamic_anchors=False),
    "dynamic anchors": _kind(dynamic_anchors=True),
    "one anchor": _one_anchor,
    "overlaps at the threshold": _equal_overlaps,
    "many classes per detection": _with_options(
        max_classes_per_detection=[2, 3, 5, 30], use_regular_nms=[False]
    ),
    "many classes per detection, regular": _with_options(
        max_classes_per_detection=[2, 3, 5, 30], use_regular_nms=[True]
    ),
    "score thresholds": _with_options(
        nms_score_threshold=[0.0, -0.0, 0.3, 1e-8, -np.inf, np.inf, np.nan]
    ),
    "IoU thresholds": _with_options(nms_iou_threshold=[1.0, 0.5, 1e-6, TINY]),
    "one detection": _with_options(max_detections=[1]),
    "more detections than candidates": _with_options(
        max_detections=[500, 1000], detections_per_class=[1, 100, 1000]
    ),
    "few per class": _with_options(use_regular_nms=[True], detections_per_class=[1, 2, 5]),
    "scales": _with_options(
        y_scale=[1.0, 10.0, 0.3, -10.0, np.inf], h_scale=[1.0, 5.0, 0.1, -5.0, np.inf]
    ),
    "odd scores": _odd_scores,
    "NaN scores, regular": _nan_scores,
    "odd encodings": _odd_encodings,
    "anchors without size": _zero_size_anchors,
}

# Only detops runs these: types that stock refuses, and NaN where it may crash.
OWN_FAMILIES: dict[str, Callable[[int], Case]] = {
    "any mix of types": _kind(stock=False, dequantize=False),
    "int8 in the op": _kind(stock=False, dtypes=INT8, dequantize=False),
    "batch of three": _kind(stock=False, batch=3),
    "NaN scores, fast": lambda seed: _sprinkled(
        random_case(seed, dtypes=FLOATS, regular=False), 1, [np.nan, 0.5, 0.9], seed
    ),
    "negative anchors": lambda seed: _sprinkled(
        random_case(seed, dtypes=FLOATS, dynamic_anchors=True), 2, [-0.1, 0.4], seed
    ),
}

ALL_FAMILIES = {**FAMILIES, **OWN_FAMILIES}


def seeds_of(family: str, stream: int, count: int) -> range:
    """Seeds of which no other family, and no other stream of this one, has any."""
    first = 10_000 * list(ALL_FAMILIES).index(family) + 3_000 * stream
    return range(first, first + count)


@pytest.mark.parametrize("family", FAMILIES)
def test_random_models_equal_stock(runtime: str, family: str) -> None:
    found = 0.0
    for seed in seeds_of(family, 0, SEEDS):
        model, inputs = FAMILIES[family](seed)
        content = model.build()
        stock = run(make(runtime, content), inputs)
        found += stock["num_detections"][0]
        what = f"{runtime}, {family}, seed {seed}"
        before = run(with_detops(runtime, content), inputs)
        assert_like_stock(before, stock, model.options, f"{what}, before allocation")
        if seed % 3 == 0:
            later = run(with_detops(runtime, content, after=True), inputs)
            assert_like_stock(later, stock, model.options, f"{what}, after allocation")
        if seed % 3 == 1:
            for threads in (2, 4):
                many = run(with_detops(runtime, content, num_threads=threads), inputs)
                assert_like_stock(many, stock, model.options, f"{what}, {threads} threads")
        if seed % 3 == 2:
            assert_like_stock(
                dict(zip(OUTPUT_NAMES, postprocess((model, inputs)), strict=True)),
                stock,
                model.options,
                f"{what}, detops.postprocess",
            )
    # A family that never detects anything would compare nothing but zeros.
    assert found > SEEDS / 2


@pytest.mark.parametrize("family", ALL_FAMILIES)
def test_random_models_equal_the_function(runtime: str, family: str) -> None:
    for seed in seeds_of(family, 1, SEEDS):
        case = ALL_FAMILIES[family](seed)
        outputs = run(with_detops(runtime, case[0].build()), case[1])
        what = f"{runtime}, {family}, seed {seed}"
        assert_same_detections([outputs[name] for name in OUTPUT_NAMES], postprocess(case), what)


@pytest.mark.parametrize("family", ALL_FAMILIES)
def test_function_equals_the_reference(family: str) -> None:
    for seed in seeds_of(family, 2, 30):
        case = ALL_FAMILIES[family](seed)
        assert_like_reference(postprocess(case), case, f"{family}, seed {seed}")


@pytest.mark.parametrize("regular", [False, True])
@pytest.mark.parametrize("batch", [1, 2])
def test_int8_equals_float32_on_dequantised_tensors(
    runtime: str, regular: bool, batch: int
) -> None:
    for seed in range(SEEDS):
        case = random_case(
            seed, stock=False, dtypes=INT8, dequantize=False, regular=regular, batch=batch
        )
        model, inputs = case
        floats = dataclasses.replace(
            model,
            anchors=None,
            **dict.fromkeys(["box_dtype", "score_dtype", "anchor_dtype"], np.float32),
            **dict.fromkeys(["box_quantization", "score_quantization", "anchor_quantization"]),
        )
        ours = run(with_detops(runtime, model.build()), inputs)
        wanted = run(
            with_detops(runtime, floats.build()), floats.graph_inputs(*seen_as_floats(case))
        )
        for name in OUTPUT_NAMES:
            assert_same_bits(ours[name], wanted[name], f"{runtime}, seed {seed}: {name}")


# ---------------------------------------------------------------------------------------------
# Large cases
# ---------------------------------------------------------------------------------------------


def _large_case(
    rows: int,
    quantized: bool,
    clusters: int,
    options: Mapping[str, Any],
    classes: int = 90,
) -> Case:
    """Few clusters of much-overlapping boxes, so that most candidates are looked at in vain."""
    rng = np.random.default_rng(0)
    middles = rng.uniform(0.2, 0.8, (clusters, 2))
    anchors = np.empty((rows, 4), np.float32)
    anchors[:, :2] = middles[rng.integers(clusters, size=rows)] + rng.normal(0, 0.002, (rows, 2))
    anchors[:, 2:] = rng.uniform(0.2, 0.22, (rows, 2))
    encodings = rng.normal(0, 0.1, (1, rows, 4)).astype(np.float32)
    scores = (rng.random((1, rows, classes + 1)) ** 4).astype(np.float32)
    model = PostprocessModel(
        anchors=anchors,
        class_columns=classes + 1,
        options=default_options(classes, **options),
    )
    if not quantized:
        return model, [encodings, scores]
    quantizations = [(0.05, 120), (1 / 256, 0), (0.004, 0)]
    arrays = [
        quantize(array, np.uint8, quantization)
        for array, quantization in zip((encodings, scores, anchors), quantizations, strict=True)
    ]
    model = dataclasses.replace(
        model,
        anchors=arrays[2],
        **dict.fromkeys(["box_dtype", "score_dtype", "anchor_dtype"], np.uint8),
        box_quantization=quantizations[0],
        score_quantization=quantizations[1],
        anchor_quantization=quantizations[2],
    )
    return model, arrays[:2]


LARGE_OPTIONS: dict[str, dict[str, Any]] = {
    "fast": {},
    "regular": {"use_regular_nms": True},
    # 90 classes of few clusters hold fewer survivors than asked for: every pair is looked at, in
    # more pieces than the queue of candidates has room for.
    "regular, never full": {"use_regular_nms": True, "max_detections": 3000},
    # Classes fill up one after the other; the last survivors come from deep in the order.
    "regular, few per class": {
        "use_regular_nms": True,
        "max_detections": 400,
        "detections_per_class": 5,
    },
}


@pytest.mark.parametrize("mode", LARGE_OPTIONS)
@pytest.mark.parametrize("quantized", [False, True], ids=["float", "uint8"])
@pytest.mark.parametrize("rows", [1917, 12804])
def test_large_models_equal_stock(runtime: str, rows: int, quantized: bool, mode: str) -> None:
    options = {"nms_score_threshold": 1e-8, "max_detections": 100, **LARGE_OPTIONS[mode]}
    model, inputs = _large_case(rows, quantized, 6, options)
    content = model.build()
    stock = run(make(runtime, content), inputs)
    assert stock["num_detections"][0] >= 6
    ours = run(with_detops(runtime, content, num_threads=2), inputs)
    assert_like_stock(ours, stock, model.options, f"{runtime}, {rows}, {mode}")


@pytest.mark.parametrize("regular", [False, True], ids=["fast", "regular"])
@pytest.mark.parametrize("quantized", [False, True], ids=["float", "uint8"])
@pytest.mark.parametrize(("rows", "classes"), [(5000, 90), (51150, 4)])
def test_survivor_at_the_very_end_of_the_order(
    runtime: str, rows: int, classes: int, quantized: bool, regular: bool
) -> None:
    # All boxes are one but the last, whose only score is the least of all: each pass has to go
    # deeper than the one before, until nothing is left, and to drop nothing on the way.
    options = {
        "nms_score_threshold": 1e-8,
        "use_regular_nms": regular,
        "max_detections": 100,
        "nms_iou_threshold": 0.05,
    }
    model, inputs = _large_case(rows, quantized, 1, options, classes)
    assert model.anchors is not None
    anchors = model.anchors.copy()
    anchors[-1, :2] = anchors[0, :2] / 4
    inputs[1] = np.maximum(inputs[1], 2 if quantized else np.float32(0.01))
    inputs[1][0, -1] = 0
    last = classes // 2
    inputs[1][0, -1, 1 + last] = 1 if quantized else 0.005
    model = dataclasses.replace(model, anchors=anchors)
    content = model.build()
    stock = run(make(runtime, content), inputs)
    count = int(stock["num_detections"][0])
    assert stock["detection_classes"][0, count - 1] == last
    assert stock["detection_scores"][0, count - 1] < 0.006
    ours = run(with_detops(runtime, content), inputs)
    assert_like_stock(ours, stock, model.options, runtime)


@pytest.mark.parametrize("iou_threshold", [0.6, 1.0])
@pytest.mark.parametrize("quantized", [False, True], ids=["float", "uint8"])
def test_classes_alike_overflow_the_queue_at_once(
    runtime: str, quantized: bool, iou_threshold: float
) -> None:
    # Each anchor is as good in every class, so the first pass, which stops at few anchors, meets
    # many times more candidates than the queue has room for.
    options = {
        "use_regular_nms": True,
        "nms_score_threshold": 1e-8,
        "max_detections": 9000,
        "detections_per_class": 100,
        "nms_iou_threshold": iou_threshold,
    }
    model, inputs = _large_case(6000, quantized, 100, options)
    inputs[1] = np.ascontiguousarray(np.broadcast_to(inputs[1][..., :1], inputs[1].shape))
    stock = run(make(runtime, model.build()), inputs)
    assert stock["num_detections"][0] > 2000
    ours = run(with_detops(runtime, model.build()), inputs)
    assert_like_stock(ours, stock, model.options, runtime)


@pytest.mark.parametrize("quantized", [False, True], ids=["float", "uint8"])
def test_more_survivors_than_the_queue_has_room_for(runtime: str, quantized: bool) -> None:
    # 1800 boxes apart in 90 classes: all 162000 pairs are detections, in several refills of the
    # greatest queue there is for so many (65536).
    rows, classes = 1800, 90
    options = {
        "use_regular_nms": True,
        "nms_score_threshold": 1e-8,
        "max_detections": rows * classes,
        "detections_per_class": rows,
    }
    model, inputs = _large_case(rows, quantized, 1, options)
    assert model.anchors is not None
    y, x = np.divmod(np.arange(rows), 43)
    # In units of the quantisation step, so that the uint8 anchors are as far apart.
    anchors = np.stack([5 * y, 5 * x, np.full(rows, 2), np.full(rows, 2)], axis=1)
    anchors = anchors if quantized else anchors * 0.004
    inputs[0][...] = 120 if quantized else 0
    inputs[1] = np.maximum(inputs[1], 1 if quantized else np.float32(0.01))
    model = dataclasses.replace(model, anchors=anchors.astype(model.anchors.dtype))
    stock = run(make(runtime, model.build()), inputs)
    assert stock["num_detections"][0] == rows * classes
    ours = run(with_detops(runtime, model.build()), inputs)
    assert_like_stock(ours, stock, model.options, runtime)


# ---------------------------------------------------------------------------------------------
# Real models
# ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", REAL_MODELS)
def test_real_models_equal_stock_on_every_photo(runtime: str, data_dir: Path, name: str) -> None:
    image_module = pytest.importorskip("PIL.Image")
    content = (data_dir / "models" / name).read_bytes()
    options = _real_options(content)
    interpreters = {
        "stock": make(runtime, content),
        "before": with_detops(runtime, content),
        "after": with_detops(runtime, content, after=True),
        "2 threads": with_detops(runtime, content, num_threads=2),
    }
    photos = sorted((data_dir / "images").glob("*.jpg"))
    assert photos
    best = 0.0
    for photo in photos:
        with image_module.open(photo) as opened:
            pixels = np.asarray(opened.convert("RGB").resize((300, 300)), np.uint8)[np.newaxis]
        outputs = {}
        for label, interpreter in interpreters.items():
            interpreter.allocate_tensors()
            interpreter.set_tensor(interpreter.get_input_details()[0]["index"], pixels)
            interpreter.invoke()
            details = interpreter.get_output_details()
            arrays = [interpreter.get_tensor(detail["index"]) for detail in details]
            outputs[label] = dict(zip(OUTPUT_NAMES, arrays, strict=True))
        best = max(best, float(outputs["stock"]["detection_scores"].max()))
        for label in list(interpreters)[1:]:
            what = f"{runtime}, {photo.name}, {label}"
            assert_like_stock(outputs[label], outputs["stock"], options, what)
    assert best > 0.5


def _real_options(content: bytes) -> dict[str, Any]:
    from detops.model_file import ModelFile

    [(_, operator)] = ModelFile.read(content).postprocess_operators()
    return dataclasses.asdict(detops.Options.from_bytes(operator.custom_options or b""))
