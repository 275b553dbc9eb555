# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""The .tflite reader against the runtime's own view of a model, and against broken bytes."""

from __future__ import annotations

import os
import struct
import time
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from detops.model_file import ModelFile, ModelFileError, Tensor
from model_builder import (
    PostprocessModel,
    default_options,
    quantize,
    random_case,
    schema,
)

REAL_MODELS = {
    "coco_ssd_mnv1_100_300_uint8.tflite": (90, 0.07902788370847702, 191),
    "pets37_ssd_mnv1_075_300_uint8.tflite": (37, 0.06906193494796753, 167),
}


def _interpreter(content: bytes) -> Any:
    runtime = pytest.importorskip("ai_edge_litert.interpreter")
    return runtime.Interpreter(model_content=content)


def _data_file(relative: str) -> Path:
    root = os.environ.get("DETOPS_DATA")
    if not root:
        pytest.skip("DETOPS_DATA is not set")
    return Path(root) / relative


def _int8_model() -> PostprocessModel:
    rng = np.random.default_rng(0)
    anchors = quantize(rng.random((12, 4)), np.int8, (0.005, -128))
    return PostprocessModel(
        anchors=anchors,
        class_columns=4,
        box_dtype=np.int8,
        score_dtype=np.int8,
        anchor_dtype=np.int8,
        box_quantization=(0.05, 3),
        score_quantization=(1 / 256, -128),
        anchor_quantization=(0.005, -128),
        dequantize=True,
        reshape_after_dequantize=True,
        two_ops=True,
        options=default_options(3),
    )


def _assert_agrees(content: bytes) -> None:
    graph = ModelFile.read(content).subgraphs[0]
    interpreter = _interpreter(content)
    interpreter.allocate_tensors()
    details = {detail["index"]: detail for detail in interpreter.get_tensor_details()}
    for tensor in graph.tensors:
        _assert_tensor_agrees(tensor, details[tensor.index], interpreter)
    assert list(graph.inputs) == [d["index"] for d in interpreter.get_input_details()]
    assert list(graph.outputs) == [d["index"] for d in interpreter.get_output_details()]


def _assert_tensor_agrees(tensor: Tensor, detail: dict[str, Any], interpreter: Any) -> None:
    assert tensor.name == detail["name"]
    # The op decides the shape of outputs that a model declares as [].
    assert tensor.shape in (tuple(detail["shape"]), ()), tensor
    assert tensor.dtype == np.dtype(detail["dtype"]).name
    quantization = detail["quantization_parameters"]
    scales = tensor.quantization.scales if tensor.quantization else ()
    zero_points = tensor.quantization.zero_points if tensor.quantization else ()
    assert scales == tuple(quantization["scales"].tolist())
    assert zero_points == tuple(quantization["zero_points"].tolist())
    value = tensor.constant()
    if value is not None:
        assert value.dtype == detail["dtype"]
        assert not value.flags.writeable
        np.testing.assert_array_equal(value, interpreter.get_tensor(tensor.index))


@pytest.mark.parametrize("seed", range(30))
def test_random_models_agree_with_the_runtime(seed: int) -> None:
    _assert_agrees(random_case(seed)[0].build())


def test_int8_model_agrees_with_the_runtime() -> None:
    _assert_agrees(_int8_model().build())


@pytest.mark.parametrize("name", REAL_MODELS)
def test_real_model_agrees_with_the_runtime(name: str) -> None:
    _assert_agrees(_data_file(f"models/{name}").read_bytes())


@pytest.mark.parametrize("name", REAL_MODELS)
def test_real_model_from_a_path(name: str) -> None:
    classes, scale, zero_point = REAL_MODELS[name]
    model = ModelFile.read(_data_file(f"models/{name}"))
    assert (model.version, model.description) == (3, "TOCO Converted.")
    [(graph, operator)] = model.postprocess_operators()
    boxes, scores, anchors = (graph.tensors[i] for i in operator.inputs)
    assert boxes.shape == (1, 1917, 4)
    assert boxes.quantization is not None
    assert boxes.quantization.scales == (pytest.approx(scale, rel=1e-7),)
    assert boxes.quantization.zero_points == (zero_point,)
    assert scores.shape == (1, 1917, classes + 1)
    value = anchors.constant()
    assert value is not None
    assert (value.shape, value.dtype) == ((1917, 4), np.uint8)
    assert operator.custom_options is not None
    assert b"num_classes\0" in operator.custom_options
    assert graph.operators[0].name == "CONV_2D"
    assert not graph.operators[0].is_custom


def test_metadata_names() -> None:
    path = _data_file("models/coco_ssd_mnv1_100_300_uint8_with_metadata.tflite")
    assert ModelFile.read(path).metadata_names == ("TFLITE_METADATA",)


def test_per_channel_quantisation() -> None:
    path = _data_file("weights/mobilenet_v1_1.0_224_quant_embedding_extractor.tflite")
    _assert_agrees(path.read_bytes())


def test_operators_of_a_built_model() -> None:
    model = ModelFile.read(_int8_model().build())
    names = [operator.name for operator in model.subgraphs[0].operators]
    assert names[:5] == ["DEQUANTIZE"] * 3 + ["RESHAPE"] * 2
    assert len(model.postprocess_operators()) == 2
    assert all(operator.is_custom for _, operator in model.postprocess_operators())


def test_bytes_like_sources_are_equal() -> None:
    content = _int8_model().build()
    views = [content, bytearray(content), memoryview(content)]
    names = [[t.name for t in ModelFile.read(view).subgraphs[0].tensors] for view in views]
    assert names[0] == names[1] == names[2]


def test_a_mutable_source_gives_read_only_constants() -> None:
    graph = ModelFile.read(bytearray(_int8_model().build())).subgraphs[0]
    anchors = next(t for t in graph.tensors if t.name == "anchors").constant()
    assert anchors is not None
    assert not anchors.flags.writeable


@pytest.mark.parametrize("options", [None, b"", b"\x01\x02\x03"])
def test_custom_options_are_returned_as_stored(options: bytes | None) -> None:
    model = PostprocessModel(anchors=np.ones((2, 4)), class_columns=2, options=options)
    [(_, operator)] = ModelFile.read(model.build()).postprocess_operators()
    assert operator.custom_options == options


def test_optional_input() -> None:
    model = PostprocessModel(anchors=np.ones((2, 4)), class_columns=2, missing_inputs=(2,))
    [(_, operator)] = ModelFile.read(model.build()).postprocess_operators()
    assert operator.inputs[2] == -1


def test_no_anchors() -> None:
    model = PostprocessModel(anchors=np.ones((0, 4)), class_columns=2)
    graph = ModelFile.read(model.build()).subgraphs[0]
    value = next(t for t in graph.tensors if t.name == "anchors").constant()
    assert value is not None
    assert value.shape == (0, 4)


def test_wrong_buffer_size() -> None:
    model = PostprocessModel(anchors=np.ones((2, 4)), class_columns=2, anchor_shape=(3, 4))
    graph = ModelFile.read(model.build()).subgraphs[0]
    anchors = next(t for t in graph.tensors if t.name == "anchors")
    with pytest.raises(ModelFileError, match=r"'anchors' has 32 bytes, shape \[3, 4\].* needs 48"):
        anchors.constant()


def test_negative_shape() -> None:
    model = PostprocessModel(anchors=np.ones((2, 4)), class_columns=2, anchor_shape=(-2, -4))
    graph = ModelFile.read(model.build()).subgraphs[0]
    with pytest.raises(ModelFileError, match="shape"):
        next(t for t in graph.tensors if t.name == "anchors").constant()


# ---------------------------------------------------------------------------------------------
# Parts of the schema that no writer here emits
# ---------------------------------------------------------------------------------------------


# Offsets that occur nowhere else in the file, to be replaced once its length is known.
OPTIONS_MARK, BUFFER_MARK = 0x1122334455667788, 0x2233445566778899


def _rewritten(content: bytes, change: Any) -> bytes:
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    change(model)
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def _large_data(model: Any) -> None:
    for operator in model.subgraphs[0].operators:
        if operator.customOptions is not None:
            operator.customOptions = None
            operator.largeCustomOptionsOffset, operator.largeCustomOptionsSize = OPTIONS_MARK, 3
    for tensor in model.subgraphs[0].tensors:
        if tensor.name == b"anchors":
            buffer = model.buffers[tensor.buffer]
            buffer.data, buffer.offset, buffer.size = None, BUFFER_MARK, 32


def _with_large_data() -> bytes:
    content = PostprocessModel(anchors=np.ones((2, 4)), class_columns=2).build()
    return _rewritten(content, _large_data)


def test_data_outside_the_flatbuffer() -> None:
    content = _with_large_data()
    tail = np.arange(8, dtype=np.float32)
    content = content.replace(struct.pack("<Q", OPTIONS_MARK), struct.pack("<Q", len(content)))
    content = content.replace(struct.pack("<Q", BUFFER_MARK), struct.pack("<Q", len(content) + 3))
    [(graph, operator)] = ModelFile.read(content + b"abc" + tail.tobytes()).postprocess_operators()
    assert operator.custom_options == b"abc"
    value = graph.tensors[operator.inputs[2]].constant()
    assert value is not None
    np.testing.assert_array_equal(value, tail.reshape(2, 4))


def test_data_outside_the_file() -> None:
    with pytest.raises(ModelFileError, match=r"data of buffer 1 needs bytes .* the file has"):
        ModelFile.read(_with_large_data())


def test_what_is_inside_the_flatbuffer_goes_before_what_is_behind_it() -> None:
    def change(model: Any) -> None:
        [operator], buffer = model.subgraphs[0].operators, model.buffers[1]
        options, anchors = operator.customOptions, buffer.data
        _large_data(model)
        operator.customOptions, buffer.data = options, anchors

    plain = PostprocessModel(anchors=np.ones((2, 4)), class_columns=2).build()
    [(_, alone)] = ModelFile.read(plain).postprocess_operators()
    content = _rewritten(plain, change)
    _assert_agrees(content)
    [(_, both)] = ModelFile.read(content).postprocess_operators()
    assert both.custom_options == alone.custom_options


def test_the_name_of_an_op_ends_at_a_nul() -> None:
    def change(model: Any) -> None:
        model.operatorCodes[0].customCode += b"\0another"

    content = _rewritten(PostprocessModel(anchors=np.ones((2, 4)), class_columns=2).build(), change)
    _assert_agrees(content)
    assert len(ModelFile.read(content).postprocess_operators()) == 1


@pytest.mark.parametrize(
    ("deprecated", "builtin", "name"),
    [(6, 0, "DEQUANTIZE"), (127, 150, "GELU"), (127, 9999, "BUILTIN_9999"), (0, 22, "RESHAPE")],
)
def test_both_code_fields(deprecated: int, builtin: int, name: str) -> None:
    def change(model: Any) -> None:
        code = model.operatorCodes[0]
        code.deprecatedBuiltinCode, code.builtinCode = deprecated, builtin

    content = PostprocessModel(anchors=np.ones((2, 4)), class_columns=2).build()
    [operator] = ModelFile.read(_rewritten(content, change)).subgraphs[0].operators
    assert (operator.name, operator.is_custom) == (name, False)


@pytest.mark.parametrize(
    ("name", "fields", "called"),
    [
        ("If", {"thenSubgraphIndex": 3, "elseSubgraphIndex": -1}, (3, -1)),
        ("While", {"condSubgraphIndex": 1, "bodySubgraphIndex": 2}, (1, 2)),
        ("CallOnce", {"initSubgraphIndex": 5}, (5,)),
        ("If", None, (0, 0)),
        ("Reshape", {"newShape": [1]}, ()),
    ],
)
def test_subgraphs_that_an_operator_runs(
    name: str, fields: dict[str, Any] | None, called: tuple[int, ...]
) -> None:
    def change(model: Any) -> None:
        code, operator = model.operatorCodes[0], model.subgraphs[0].operators[0]
        number = {"If": "IF", "While": "WHILE", "CallOnce": "CALL_ONCE", "Reshape": "RESHAPE"}[name]
        code.builtinCode = getattr(schema.BuiltinOperator, number)
        code.deprecatedBuiltinCode = min(code.builtinCode, 127)
        if fields is not None:
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, f"{name}Options")
            operator.builtinOptions = getattr(schema, f"{name}OptionsT")()
            vars(operator.builtinOptions).update(fields)

    content = PostprocessModel(anchors=np.ones((2, 4)), class_columns=2).build()
    [operator] = ModelFile.read(_rewritten(content, change)).subgraphs[0].operators
    assert operator.called == called


@pytest.mark.parametrize(
    ("signature", "read"),
    [
        ([1, -1, 4], (1, -1, 4)),
        ([1, 300, 7], (1, 2, 4)),
        ([2**31 - 1, -1, 0], (1, -1, 4)),
        ([-1], (1, 2, 4)),
        ([1] * 9, (1, 2, 4)),
    ],
)
def test_a_signature_opens_sides_and_says_no_more(
    signature: list[int], read: tuple[int, ...]
) -> None:
    def change(model: Any) -> None:
        model.subgraphs[0].tensors[0].shapeSignature = np.array(signature, np.int32)

    plain = PostprocessModel(anchors=np.ones((2, 4)), class_columns=2).build()
    content = _rewritten(plain, change)
    _assert_agrees(content)
    assert ModelFile.read(content).subgraphs[0].tensors[0].shape_signature == read


def test_every_builtin_name_is_the_schema_s() -> None:
    from detops.model_file import _BUILTIN_NAMES

    names = {code: name for name, code in vars(schema.BuiltinOperator).items() if name.isupper()}
    assert {code: names[code] for code in range(len(_BUILTIN_NAMES))} == dict(
        enumerate(_BUILTIN_NAMES)
    )


def test_every_type_name_is_the_schema_s() -> None:
    from detops.model_file import _TENSOR_TYPES

    names = {code: name for name, code in vars(schema.TensorType).items() if name.isupper()}
    known = range(min(len(names), len(_TENSOR_TYPES)))
    assert [names[code].lower() for code in known] == [_TENSOR_TYPES[code] for code in known]


# ---------------------------------------------------------------------------------------------
# Broken bytes
# ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("attribute", "message"),
    [
        ("inputs", "input 0 of subgraph 0, operator 0 is tensor 99, the subgraph has"),
        ("opcodeIndex", "operator 0 has code 99, the file has 1"),
    ],
)
def test_index_out_of_range(attribute: str, message: str) -> None:
    def change(model: Any) -> None:
        setattr(model.subgraphs[0].operators[0], attribute, 99 if "op" in attribute else [99])

    content = PostprocessModel(anchors=np.ones((2, 4)), class_columns=2).build()
    with pytest.raises(ModelFileError, match=message):
        ModelFile.read(_rewritten(content, change))


def test_buffer_index_out_of_range() -> None:
    def change(model: Any) -> None:
        model.subgraphs[0].tensors[1].buffer = 77

    content = PostprocessModel(anchors=np.ones((2, 4)), class_columns=2).build()
    with pytest.raises(ModelFileError, match="tensor 1 has buffer 77, the file has 2"):
        ModelFile.read(_rewritten(content, change))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the header needs bytes 0 to 8, the file has 0"),
        (b"\x10\0\0\0TFL2", "identifier is b'TFL2', expected b'TFL3'"),
        (b"\xff\xff\xff\xffTFL3", "the model needs bytes 4294967295"),
    ],
)
def test_not_a_model(content: bytes, message: str) -> None:
    with pytest.raises(ModelFileError, match=message):
        ModelFile.read(content)


def test_bad_paths(tmp_path: Path) -> None:
    (tmp_path / "empty.tflite").touch()
    (tmp_path / "short.tflite").write_bytes(b"abcd")
    with pytest.raises(ModelFileError, match=r"empty\.tflite is empty"):
        ModelFile.read(tmp_path / "empty.tflite")
    with pytest.raises(ModelFileError, match=r"short\.tflite: the header"):
        ModelFile.read(tmp_path / "short.tflite")
    with pytest.raises(FileNotFoundError):
        ModelFile.read(tmp_path / "absent.tflite")


def _read_everything(content: bytes | bytearray) -> None:
    """Any bytes may be refused; nothing else may happen."""
    try:
        model = ModelFile.read(content)
        model.postprocess_operators()
    except ModelFileError:
        return
    for graph in model.subgraphs:
        for tensor in graph.tensors:
            try:
                tensor.constant()
            except ModelFileError:
                continue


def test_truncations() -> None:
    content = _int8_model().build()
    start = time.monotonic()
    for size in range(0, len(content), 97):
        _read_everything(content[:size])
    assert time.monotonic() - start < 10


def test_truncations_of_a_real_model() -> None:
    content = _data_file("models/pets37_ssd_mnv1_075_300_uint8.tflite").read_bytes()
    # The tables lie at the front; further on only weights are cut, and the step can be wider.
    sizes = [*range(0, 60_000, 97), *range(60_000, len(content), 9_973)]
    start = time.monotonic()
    for size in sizes:
        _read_everything(content[:size])
    assert time.monotonic() - start < 60


def test_byte_flips() -> None:
    rng = np.random.default_rng(1)
    content = _int8_model().build()
    start = time.monotonic()
    for _ in range(2000):
        broken = bytearray(content)
        for position in rng.integers(len(broken), size=rng.integers(1, 4)):
            broken[position] = int(rng.choice([0, 1, 127, 128, 255, rng.integers(256)]))
        _read_everything(broken)
    assert time.monotonic() - start < 30


def test_tables_that_share_one_huge_vector_end_soon() -> None:
    """A subgraph repeated 50,000 times, each with the same long list of tensors."""
    count = 50_000
    builder = flatbuffers.Builder(1 << 20)
    builder.StartObject(1)
    tensor = builder.EndObject()
    builder.StartVector(4, count, 4)
    for _ in range(count):
        builder.PrependUOffsetTRelative(tensor)
    tensors = builder.EndVector()
    builder.StartObject(1)
    builder.PrependUOffsetTRelativeSlot(0, tensors, 0)
    subgraph = builder.EndObject()
    builder.StartVector(4, count, 4)
    for _ in range(count):
        builder.PrependUOffsetTRelative(subgraph)
    subgraphs = builder.EndVector()
    builder.StartObject(3)
    builder.PrependUOffsetTRelativeSlot(2, subgraphs, 0)
    builder.Finish(builder.EndObject(), file_identifier=b"TFL3")
    start = time.monotonic()
    with pytest.raises(ModelFileError, match="too many times"):
        ModelFile.read(bytes(builder.Output()))
    assert time.monotonic() - start < 30


@given(st.binary(max_size=300), st.integers(0, 400))
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_random_bytes(noise: bytes, root: int) -> None:
    _read_everything(noise)
    _read_everything(struct.pack("<I", root) + b"TFL3" + noise)


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_random_words_in_a_valid_model(data: st.DataObject) -> None:
    content = bytearray(_SMALL)
    word = st.one_of(st.integers(0, 2**32 - 1), st.integers(0, len(content)))
    for position in data.draw(st.lists(st.integers(0, len(content) - 4), max_size=4)):
        struct.pack_into("<I", content, position, data.draw(word))
    _read_everything(content)


_SMALL = PostprocessModel(anchors=np.ones((2, 4)), class_columns=2).build()
