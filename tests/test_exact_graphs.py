# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""The op among other nodes, frame after frame, inputs resized: bit for bit as the stock op."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

import detops
from detops.interpreter import runtime_module
from model_builder import OUTPUT_NAMES, PostprocessModel, default_options, random_case, run
from reference import Case, assert_same_bits, raw_inputs
from stock import FLOATS, INT8, UINT8, assert_like_stock, make, with_detops

SEEDS = 100


@pytest.mark.parametrize("regular", [False, True])
def test_second_frame_with_fewer_detections_has_a_zero_tail(runtime: str, regular: bool) -> None:
    options = {
        "max_detections": 25,
        "max_classes_per_detection": 2,
        "nms_score_threshold": 0.3,
        "nms_iou_threshold": 1.0,
    }
    case = random_case(4, dtypes=FLOATS, regular=regular, options=options, score_kind="uniform")
    model = dataclasses.replace(case[0], reshape_after_dequantize=False)
    inputs = raw_inputs(case)[: len(case[1])]
    assert model.rows > 8
    interpreter = with_detops(runtime, model.build())
    first = run(interpreter, inputs)
    fewer = inputs[1].copy()
    fewer[..., 2:, :] = 0
    second = run(interpreter, [inputs[0], fewer, *inputs[2:]])
    assert 0 < second["num_detections"][0] < first["num_detections"][0]
    fresh = run(make(runtime, model.build()), [inputs[0], fewer, *inputs[2:]])
    assert_like_stock(second, fresh, model.options, runtime)
    third = run(interpreter, inputs)
    for name in OUTPUT_NAMES:
        assert_same_bits(third[name], first[name], name)


@pytest.mark.parametrize("dtypes", [FLOATS, UINT8], ids=["float", "uint8"])
@pytest.mark.parametrize("regular", [False, True])
def test_resized_inputs(runtime: str, dtypes: Any, regular: bool) -> None:
    def draw(rows: int) -> Case:
        case = random_case(
            5,
            dtypes=dtypes,
            dequantize=False,
            regular=regular,
            dynamic_anchors=True,
            score_kind="uniform",
            options={"nms_score_threshold": 0.0},
        )
        model = dataclasses.replace(case[0], reshape_after_dequantize=False)
        return model, [np.resize(array, _with_rows(array, rows)) for array in raw_inputs(case)]

    interpreter = with_detops(runtime, draw(20)[0].build())
    for rows in (20, 150, 7, 1, 0, 64):
        model, inputs = draw(rows)
        stock = make(runtime, model.build())
        for each in (interpreter, stock):
            for detail, array in zip(each.get_input_details(), inputs, strict=True):
                each.resize_tensor_input(detail["index"], array.shape)
        expected = run(stock, inputs)
        assert (expected["num_detections"][0] > 0) == (rows > 0)
        assert_like_stock(run(interpreter, inputs), expected, model.options, f"{rows} rows")


def _with_rows(array: np.ndarray[Any, Any], rows: int) -> tuple[int, ...]:
    return (1, rows, array.shape[2]) if array.ndim == 3 else (rows, array.shape[1])


def test_no_anchors(runtime: str) -> None:
    for regular in (False, True):
        model = PostprocessModel(
            anchors=np.zeros((0, 4), np.float32),
            class_columns=4,
            options=default_options(3, use_regular_nms=regular),
        )
        inputs = [np.zeros((1, 0, 4), np.float32), np.zeros((1, 0, 4), np.float32)]
        outputs = run(with_detops(runtime, model.build()), inputs)
        assert outputs["detection_boxes"].shape == (1, 10, 4)
        for name in OUTPUT_NAMES:
            assert not outputs[name].any(), name


@pytest.mark.parametrize("dtypes", [FLOATS, UINT8], ids=["float", "uint8"])
@pytest.mark.parametrize("regular", [False, True])
def test_batch_of_two_equals_two_single_runs(runtime: str, dtypes: Any, regular: bool) -> None:
    for seed in range(SEEDS):
        model, inputs = random_case(
            seed,
            dtypes=dtypes,
            dequantize=False,
            regular=regular,
            batch=2,
            dynamic_anchors=seed % 2 == 0,
        )
        both = run(with_detops(runtime, model.build()), inputs)
        slots = model.options["max_detections"] * model.options["max_classes_per_detection"]
        assert both["detection_boxes"].shape == (2, slots, 4)
        assert both["num_detections"].shape == (2,)
        single = dataclasses.replace(model, batch=1)
        for image in range(2):
            one = [inputs[0][image : image + 1], inputs[1][image : image + 1], *inputs[2:]]
            stock = run(make(runtime, single.build()), one)
            ours = {name: both[name][image : image + 1] for name in OUTPUT_NAMES}
            what = f"{runtime}, seed {seed}, image {image}"
            assert_like_stock(ours, stock, model.options, what)


GRAPHS: dict[str, dict[str, Any]] = {
    "two ops": {"two_ops": True},
    "dequantised values are outputs too": {"also_output_dequantized": True},
    "both": {"two_ops": True, "also_output_dequantized": True},
    "RESHAPE between": {"reshape_after_dequantize": True},
    "RESHAPE to [1, -1, K] between": {
        "reshape_after_dequantize": True,
        "reshape_infers_rows": True,
    },
    "RESHAPE between, two ops": {"reshape_after_dequantize": True, "two_ops": True},
    "RESHAPE between, dequantised values are outputs too": {
        "reshape_after_dequantize": True,
        "also_output_dequantized": True,
    },
    "outputs of unknown shape": {"declared_output_shapes": False},
}


@pytest.mark.parametrize("graph", GRAPHS)
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_graphs_around_the_op(runtime: str, graph: str, after: bool) -> None:
    changes = GRAPHS[graph]
    for seed in range(40):
        # int8 and uint8 boxes or scores behind DEQUANTIZE in any mix.
        model, inputs = random_case(seed, dequantize=True)
        model = dataclasses.replace(
            model,
            **{"reshape_after_dequantize": False, "also_output_dequantized": False, **changes},
        )
        inputs = model.graph_inputs(*inputs)
        content = model.build()
        stock = run(make(runtime, content), inputs)
        interpreter = make(runtime, content)
        if after:
            interpreter.allocate_tensors()
        registration = detops.register_ops(interpreter)
        what = f"{runtime}, {graph}, seed {seed}"
        assert registration.nodes == 1 + model.two_ops, what
        expected = _fused_by(model)
        # After allocation it depends on what the runtime's own delegate has left.
        assert after or expected is None or list(registration.fused) == expected, what
        ours = run(interpreter, inputs)
        assert list(ours) == list(stock)
        for suffix in ("", "_2")[: 1 + model.two_ops]:
            assert_like_stock(ours, stock, model.options, what, suffix)
        for name in ours:
            if name.endswith("_dequantized"):
                assert_same_bits(ours[name], stock[name], f"{what}: {name}")


def _fused_by(model: PostprocessModel) -> list[str] | None:
    """What is expected to disappear into the op when it is registered before allocation.

    None where it is the runtime's choice: a RESHAPE of floats, which nobody claims, may come
    between the DEQUANTIZE nodes and the op and so part them.
    """
    if model.also_output_dequantized:
        return []
    dtypes = (model.box_dtype, model.score_dtype, model.anchor_dtype)
    quantized = [np.dtype(dtype) != np.float32 for dtype in dtypes]
    if model.reshape_after_dequantize and not all(quantized[:2]):
        return None
    reshapes = sum(quantized[:2]) if model.reshape_after_dequantize else 0
    return ["DEQUANTIZE"] * sum(quantized) + ["RESHAPE"] * reshapes


@pytest.mark.parametrize("reshaped", [False, True])
def test_int8_inputs_are_fused(runtime: str, reshaped: bool) -> None:
    model, inputs = random_case(1, dtypes=INT8, dequantize=True, dynamic_anchors=True)
    model = dataclasses.replace(model, reshape_after_dequantize=reshaped)
    interpreter = make(runtime, model.build())
    registration = detops.register_ops(interpreter)
    expected = ("DEQUANTIZE",) * 3 + ("RESHAPE",) * (2 if reshaped else 0)
    assert (registration.nodes, registration.fused) == (1, expected)
    stock = run(make(runtime, model.build()), model.graph_inputs(*inputs))
    ours = run(interpreter, model.graph_inputs(*inputs))
    assert_like_stock(ours, stock, model.options, runtime)


def _flat_int8(infers: bool) -> PostprocessModel:
    model, _ = random_case(
        7,
        dtypes=INT8,
        dequantize=True,
        dynamic_anchors=True,
        score_kind="uniform",
        options={"nms_score_threshold": 0.0},
    )
    return dataclasses.replace(model, reshape_after_dequantize=True, reshape_infers_rows=infers)


def test_resized_inputs_before_a_fused_reshape(runtime: str) -> None:
    model = _flat_int8(infers=True)
    rng = np.random.default_rng(0)
    interpreter = with_detops(runtime, model.build())
    for rows in (9, 40, 1, 25):
        shapes = [(1, rows * model.box_columns), (1, rows * model.class_columns), (rows, 4)]
        inputs = [rng.integers(-128, 128, shape).astype(np.int8) for shape in shapes]
        inputs[2] = np.maximum(inputs[2], model.anchor_quantization[1])
        stock = make(runtime, model.build())
        for each in (interpreter, stock):
            for detail, shape in zip(each.get_input_details(), shapes, strict=True):
                each.resize_tensor_input(detail["index"], shape)
        expected = run(stock, inputs)
        assert expected["num_detections"][0] > 0
        assert_like_stock(run(interpreter, inputs), expected, model.options, f"{rows} rows")


@pytest.mark.parametrize("infers", [False, True])
def test_inputs_that_do_not_fit_a_fused_reshape(runtime: str, infers: bool) -> None:
    model = _flat_int8(infers)
    for position, name in enumerate(("box_encodings", "scores")):
        interpreter = with_detops(runtime, model.build())
        detail = interpreter.get_input_details()[position]
        columns = (model.box_columns, model.class_columns)[position]
        interpreter.resize_tensor_input(detail["index"], [1, 7 * columns + 1])
        with pytest.raises(RuntimeError, match=f"RESHAPE before {name} does not fit"):
            interpreter.allocate_tensors()


INTERPRETER_ARGUMENTS: dict[str, dict[str, Any]] = {
    "no default delegates": {"experimental_op_resolver_type": "BUILTIN_WITHOUT_DEFAULT_DELEGATES"},
    "reference kernels": {"experimental_op_resolver_type": "BUILTIN_REF"},
    "no clustering": {"experimental_disable_delegate_clustering": True},
    "no node fusion": {"experimental_disable_delegate_node_fusion": True},
}


@pytest.mark.parametrize("arguments", INTERPRETER_ARGUMENTS)
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_interpreter_arguments(runtime: str, arguments: str, after: bool) -> None:
    keywords = dict(INTERPRETER_ARGUMENTS[arguments])
    module = runtime_module(runtime)
    resolver = keywords.get("experimental_op_resolver_type")
    if resolver is not None:
        keywords["experimental_op_resolver_type"] = getattr(module.OpResolverType, resolver)
    if "experimental_disable_delegate_node_fusion" in keywords and runtime == "tensorflow":
        pytest.skip("this runtime has no such argument")
    for seed in range(SEEDS):
        # Without XNNPACK the DEQUANTIZE node rounds in another way, which a fused op, made before
        # the runtime chooses, does not follow: there the types that the op itself reads.
        dtypes = None if resolver is None else (FLOATS, UINT8)[seed % 2]
        model, inputs = random_case(
            seed, dtypes=dtypes, dequantize=None if resolver is None else False
        )
        content = model.build()
        stock = run(make(runtime, content, **keywords), inputs)
        ours = run(with_detops(runtime, content, after=after, **keywords), inputs)
        assert_like_stock(ours, stock, model.options, f"{runtime}, {arguments}, seed {seed}")
