# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""`detops bench`: answers first, then times; and stock ops that cannot run the model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from colour_model import ColourModel, picture
from detops.cli import main
from detops.cli.bench import Timing, cpu_name
from detops.cli.comparison import compare_answers
from detops.cli.trial import Outcome
from detops.model_file import ModelFile
from detops.nodes.facts import read_nodes
from detops.random_inputs import random_inputs
from model_builder import PostprocessModel, default_options, random_case

pytest.importorskip("ai_edge_litert")

ANCHORS = np.full((12, 4), 0.25, np.float32)


@pytest.fixture
def bench(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs bench on a model: exit code, stdout, stderr."""

    def run(model: PostprocessModel | ColourModel, *arguments: str) -> tuple[int, str, str]:
        path = tmp_path / "model.tflite"
        path.write_bytes(model.build())
        code = main(["bench", str(path), "--runs", "5", *arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def _spread_anchors(rows: int) -> Any:
    places = np.linspace(0.1, 0.9, rows)
    return np.stack([places, places, *[np.full(rows, 0.01)] * 2], axis=1).astype(np.float32)


def test_same_answers_then_times(bench: Any, runtime: str) -> None:
    code, out, _ = bench(ColourModel(), "--json", "--runtime", runtime)
    document = json.loads(out)
    assert code == 0
    assert (document["differences"], document["stock_cannot_run"]) == ([], None)
    for name in ("stock", "detops"):
        timing = document["milliseconds"][name]
        assert 0 < timing["min"] <= timing["median"] <= timing["max"]
    assert document["median_ratio"] > 0
    assert document["cpu"] == cpu_name() != ""
    assert set(document["versions"]) == {"detops", "runtime", "numpy", "python", "system"}


def test_text(bench: Any) -> None:
    code, out, _ = bench(ColourModel())
    assert code == 0
    for expected in (cpu_name(), "the same, bit for bit", "min", "median of stock / median"):
        assert expected in out


@pytest.mark.parametrize("seed", range(6))
def test_random_models_agree(bench: Any, seed: int) -> None:
    # Random 8-bit anchors could have negative sizes, which stock refuses.
    types = ("float32", "float32", "float32") if seed % 2 else None
    model, _ = random_case(seed, max_anchors=40, dtypes=types, dynamic_anchors=types is not None)
    code, out, err = bench(model, "--json")
    document = json.loads(out)
    assert (code, document["differences"], document["stock_cannot_run"]) == (0, [], None), err


def test_a_picture_as_input(bench: Any, tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    path = tmp_path / "photo.png"
    image.fromarray(picture((1, 2, (0, 200, 0)))).save(path)
    code, out, _ = bench(ColourModel(), "--image", str(path), "--json")
    assert (code, json.loads(out)["input"]) == (0, str(path))
    open_size = ColourModel(input_shape=(1, 1, 1, 3), input_signature=(1, -1, -1, 3))
    assert bench(open_size, "--input-size", "4x6")[0] == 0


def test_stock_that_cannot_run_is_left_out(bench: Any) -> None:
    code, out, _ = bench(ColourModel(dtype="int8"))
    assert code == 0
    assert "stock fails: Node number 1 (TFLite_Detection_PostProcess) failed to invoke" in out
    code, out, _ = bench(ColourModel(dtype="int8"), "--json")
    document = json.loads(out)
    assert (code, set(document["milliseconds"])) == (0, {"detops"})
    assert (document["median_ratio"], document["differences"]) == (None, None)


def test_answers_that_differ(bench: Any) -> None:
    # Stock with threads in regular mode leaves a class out.
    model = PostprocessModel(
        anchors=_spread_anchors(40),
        class_columns=5,
        options=default_options(5, use_regular_nms=True, max_detections=100),
    )
    code, out, _ = bench(model, "--threads", "2")
    assert code == 1
    assert "the answers differ" in out
    assert "known: use_regular_nms is true" in out
    code, out, _ = bench(model, "--threads", "2", "--json")
    document = json.loads(out)
    assert (code, document["milliseconds"]) == (1, {})
    assert document["differences"]
    assert bench(model, "--threads", "1")[0] == 0


def test_stock_that_would_break_the_heap_is_not_tried(bench: Any) -> None:
    options = default_options(5, use_regular_nms=True, max_detections=50, detections_per_class=2)
    model = PostprocessModel(anchors=ANCHORS, class_columns=5, options=options)
    code, out, _ = bench(model, "--threads", "2")
    assert code == 0
    assert "stock not tried: detections_per_class 2 is less than max_detections 50" in out


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (ColourModel(options={"y_scale": 0.0}), "option y_scale is 0"),
        (ColourModel(output_order=(0, 1, 2)), "1 of its outputs are not outputs of the model"),
        (ColourModel(then="NoSuchOp"), "NoSuchOp"),
    ],
)
def test_what_cannot_be_timed(bench: Any, model: ColourModel, words: str) -> None:
    code, out, err = bench(model)
    assert (code, out) == (1, "")
    assert words in err


def test_a_model_on_which_the_runtime_crashes_is_an_error(
    bench: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("detops.cli.bench.try_invoke", lambda *_, **__: Outcome("crash", "SIGSEGV"))
    code, out, err = bench(ColourModel())
    assert (code, out) == (1, "")
    assert "model.tflite: the runtime crashes with either op (SIGSEGV)" in err


# ---------------------------------------------------------------------------------------------
# Pieces
# ---------------------------------------------------------------------------------------------


class _Answers:
    """Stands for an interpreter: tensors by index."""

    def __init__(self, *tensors: Any) -> None:
        self._tensors = [np.asarray(tensor, np.float32) for tensor in tensors]

    def get_tensor(self, index: int) -> Any:
        return self._tensors[index - 3]


def _compare(stock: list[Any], ours: list[Any], **options: Any) -> list[str]:
    model = PostprocessModel(
        anchors=ANCHORS, class_columns=3, options=default_options(3, **options)
    )
    nodes = read_nodes(ModelFile.read(model.build()))
    return compare_answers(nodes, _Answers(*stock), _Answers(*ours))


def test_slots_past_the_count_do_not_matter() -> None:
    boxes, classes = np.zeros((1, 3, 4)), [[0, 1, 2]]
    stock = [boxes, classes, [[0.9, 0.8, 7.0]], [2]]
    assert _compare(stock, [boxes, classes, [[0.9, 0.8, 0.0]], [2]]) == []
    [difference] = _compare(stock, [boxes, classes, [[0.9, 0.7, 0.0]], [2]])
    assert "scores differ in 1 of 2 values, first in slot 1: stock 0.8" in difference
    [difference] = _compare(stock, [boxes, classes, [[0.9, 0.8, 0.0]], [1]])
    assert difference == "node 0: stock counts 2, detops 1"
    [difference] = _compare(stock, [boxes[:, :2], classes, [[0.9, 0.8, 0.0]], [2]])
    assert "boxes of stock have shape [1, 3, 4]" in difference


def test_slots_of_classes_that_do_not_exist_do_not_matter() -> None:
    boxes, classes = np.zeros((1, 4, 4)), np.zeros((1, 4))
    options = {"max_classes_per_detection": 4, "max_detections": 1}
    stock = [boxes, classes, [[0.9, 0.8, 0.7, 5.0]], [1]]
    assert _compare(stock, [boxes, classes, [[0.9, 0.8, 0.7, 0.0]], [1]], **options) == []
    assert _compare(stock, [boxes, classes, [[0.9, 0.8, 0.6, 0.0]], [1]], **options)


def test_bits_count() -> None:
    boxes = np.zeros((1, 1, 4))
    nan, other_zero = [boxes, [[0]], [[np.nan]], [1]], [boxes * -1.0, [[0]], [[np.nan]], [1]]
    assert _compare(nan, nan) == []
    assert "boxes differ in 4 of 4" in _compare(nan, other_zero)[0]


def test_timing_and_inputs() -> None:
    assert Timing.of([0.003, 0.001, 0.002]) == Timing(1.0, 2.0, 3.0)
    [graph] = ModelFile.read(ColourModel(dtype="float32").build()).subgraphs
    [array] = random_inputs(graph)
    assert (array.dtype, array.shape) == (np.float32, (1, 4, 6, 3))
    assert 0 <= array.min() < array.max() < 1


def test_a_real_model(capsys: pytest.CaptureFixture[str], data_dir: Path) -> None:
    model = data_dir / "models" / "coco_ssd_mnv1_100_300_uint8.tflite"
    image = data_dir / "images" / "cat.jpg"
    assert main(["bench", str(model), "--image", str(image), "--runs", "3"]) == 0
    assert "the answers are the same" in capsys.readouterr().out
