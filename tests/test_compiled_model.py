# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""detops as the custom op kernel of LiteRT's CompiledModel, in the real runtime."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import detops
from detops.convert import tidy
from tests.compiled_model import CompiledModel, RuntimeFailed, library_path
from tests.model_builder import OUTPUT_NAMES, PostprocessModel, default_options, random_case, run

pytestmark = pytest.mark.skipif(library_path() is None, reason="no libLiteRt.so is installed")

Open = Callable[..., CompiledModel]


@pytest.fixture
def compiled(tmp_path: Path) -> Iterator[Open]:
    opened: list[CompiledModel] = []

    def open_model(content: bytes, **inputs: tuple[str, float, int]) -> CompiledModel:
        path = tmp_path / f"model{len(opened)}.tflite"
        path.write_bytes(content)
        by_number = {("boxes", "scores", "anchors").index(k): v for k, v in inputs.items()}
        opened.append(CompiledModel(path, by_number))
        return opened[-1]

    yield open_model
    for model in opened:
        model.close()


def _assert_same(found: dict[str, Any], expected: dict[str, Any]) -> None:
    for name in OUTPUT_NAMES:
        assert found[name].shape == expected[name].shape
        assert found[name].tobytes() == expected[name].tobytes(), name


@pytest.mark.parametrize("seed", range(12))
def test_float_nodes_give_the_bits_of_the_interpreter(compiled: Open, seed: int) -> None:
    model, inputs = random_case(
        seed, dtypes=("float32", "float32", "float32"), dequantize=False, dynamic_anchors=seed < 6
    )
    content = tidy(model.build(), verify=False)
    expected = run(detops.Interpreter(model_content=content, runtime="litert"), inputs)
    _assert_same(compiled(content).run(inputs), expected)


@pytest.mark.parametrize("seed", range(12))
def test_quantized_nodes_whose_inputs_are_declared(compiled: Open, seed: int) -> None:
    dtypes = [("int8", "int8", "int8"), ("uint8", "uint8", "uint8"), ("float32", "uint8", "int8")]
    model, inputs = random_case(
        seed, stock=False, dtypes=dtypes[seed % 3], dequantize=False, dynamic_anchors=True
    )
    declared = {
        name: (np.dtype(dtype).name, *quantization)
        for name, dtype, quantization in (
            ("boxes", model.box_dtype, model.box_quantization),
            ("scores", model.score_dtype, model.score_quantization),
            ("anchors", model.anchor_dtype, model.anchor_quantization),
        )
        if quantization is not None
    }
    content = tidy(model.build(), verify=False)
    expected = run(detops.Interpreter(model_content=content, runtime="litert"), inputs)
    _assert_same(compiled(content, **declared).run(inputs), expected)


def test_the_packaged_detector(compiled: Open) -> None:
    content = (Path(str(detops.__file__)).parent / "models" / "pet_faces.tflite").read_bytes()
    picture = np.random.default_rng(1).integers(0, 256, (1, 256, 256, 3), np.uint8)
    expected = run(detops.Interpreter(model_content=content, runtime="litert"), [picture])
    _assert_same(compiled(content).run([picture]), expected)


def test_a_real_detector(compiled: Open, data_dir: Path) -> None:
    content = tidy(data_dir / "models" / "coco_ssd_mnv1_100_300_uint8.tflite")
    picture = np.random.default_rng(1).integers(0, 256, (1, 300, 300, 3), np.uint8)
    interpreter = detops.Interpreter(model_content=content, runtime="litert")
    expected = run(interpreter, [picture])
    found = compiled(content, **_declared(content)).run([picture])
    _assert_same(found, expected)


def _declared(content: bytes) -> dict[str, tuple[str, float, int]]:
    """The quantisation of the node's inputs, as a program would take it from `detops inspect`."""
    from detops.convert.model_edit import ModelEdit
    from detops.convert.postprocess_node import nodes_of

    edit = ModelEdit(content)
    graph, node = next(iter(nodes_of(edit)))
    names = {edit.schema.TensorType.UINT8: "uint8", edit.schema.TensorType.INT8: "int8"}
    declared = {}
    for name, index in zip(("boxes", "scores", "anchors"), node.inputs, strict=True):
        tensor = graph.tensors[index]
        if tensor.type in names:
            quantization = tensor.quantization
            declared[name] = (
                names[tensor.type],
                float(quantization.scale[0]),
                int(quantization.zeroPoint[0]),
            )
    return declared


def _small(**changes: Any) -> tuple[PostprocessModel, list[np.ndarray[Any, Any]]]:
    rows = 6
    model = PostprocessModel(class_columns=2, num_anchors=rows, **changes)
    rng = np.random.default_rng(0)
    shapes = model.input_shapes
    return model, [rng.random(shape, np.float32) for shape in shapes]


def test_a_fault_is_told_and_stops_the_model(compiled: Open) -> None:
    model, inputs = _small(options=default_options(7))
    opened = compiled(model.build())
    with pytest.raises(RuntimeFailed, match="scores has 2 class columns, expected num_classes 7"):
        opened.run(inputs)


def test_an_undeclared_type_gives_no_detections_and_says_how_to_declare_it(compiled: Open) -> None:
    model, inputs = _small(
        options=default_options(1), score_dtype=np.uint8, score_quantization=(1 / 256, 0)
    )
    inputs[1] = (inputs[1] * 255).astype(np.uint8)
    opened = compiled(model.build())
    found = opened.run(inputs)
    assert "scores has type uint8" in opened.message
    assert "detops_litert_kernel_set_input" in opened.message
    assert not any(values.any() for values in found.values())


def test_a_type_that_is_declared_too_late_is_not_read_as_another(compiled: Open) -> None:
    """The kernel was prepared for floats: four bytes of each score, past the end of the buffer."""
    model, inputs = _small(
        options=default_options(1), score_dtype=np.uint8, score_quantization=(1 / 256, 0)
    )
    inputs[1] = np.full(inputs[1].shape, 63, np.uint8)
    opened = compiled(model.build())
    opened.run(inputs)
    opened.declare(1, "uint8", 1 / 256, 0)
    found = opened.run(inputs)
    assert "scores has type uint8 (LiteRT's number 3), expected float32" in opened.message
    assert not any(values.any() for values in found.values())


def test_two_nodes_need_two_kernels(compiled: Open) -> None:
    model, inputs = _small(options=default_options(1), two_ops=True)
    opened = compiled(model.build())
    with pytest.raises(RuntimeFailed, match="2 nodes share one kernel"):
        opened.run(inputs)
