# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Models with the op through the TFLite converter: what the files hold and what they detect."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flatbuffers import flexbuffers

import detops
import model_builder
from detops.convert import rewrite_quantized
from detops.model_file import ModelFile, Operator, Subgraph

tf = pytest.importorskip("tensorflow")
from detops.tf import DetectionPostProcess, detection_postprocess  # noqa: E402

pytestmark = [
    # TensorFlow's and Keras's own notices.
    pytest.mark.filterwarnings("ignore:.*Statistics for quantized inputs:UserWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]

Array = np.ndarray[Any, Any]

ROWS, CLASSES, FEATURES = 24, 3, 8
# Values that differ from the defaults, and a limit that matters.
OPTIONS = detops.Options(
    num_classes=CLASSES,
    max_detections=12,
    detections_per_class=2,
    use_regular_nms=True,
    nms_score_threshold=1e-8,
    nms_iou_threshold=0.5,
    y_scale=8.0,
)
ANCHORS = np.random.default_rng(0).uniform(0.05, 0.9, (ROWS, 4)).astype(np.float32)


class FakeQuantize(tf.keras.layers.Layer):
    """A fixed range, as quantisation-aware training leaves one."""

    def __init__(self, low: float, high: float) -> None:
        super().__init__()
        self.low, self.high = low, high

    def call(self, value: Any) -> Any:
        return tf.quantization.fake_quant_with_min_max_args(value, self.low, self.high)


def keras_model(
    options: detops.Options = OPTIONS, *, op: str = "composite", aware: bool = False
) -> Any:
    """[1, ROWS, FEATURES] through one dense layer each to boxes and scores."""
    tf.keras.utils.set_random_seed(1)
    start = tf.keras.Input((ROWS, FEATURES), batch_size=1)
    boxes = tf.keras.layers.Dense(4)(start)
    scores = tf.keras.layers.Dense(CLASSES + 1, activation="sigmoid")(start)
    if aware:
        boxes = FakeQuantize(-8.0, 8.0)(boxes)
        scores = FakeQuantize(0.0, 255 / 256)(scores)
    return tf.keras.Model(start, DetectionPostProcess(options, ANCHORS, op=op)([boxes, scores]))


def frames(count: int = 3) -> list[Array]:
    rng = np.random.default_rng(2)
    return [rng.normal(size=(1, ROWS, FEATURES)).astype(np.float32) for _ in range(count)]


def representative_dataset() -> Iterator[list[Array]]:
    for frame in frames(8):
        yield [frame]


def converted(converter: Any, *, quantize: bool = False, calibrate: bool = False) -> bytes:
    assert detops.register_ops(converter)
    if quantize or calibrate:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if calibrate:
        converter.representative_dataset = representative_dataset
    model: bytes = converter.convert()
    return model


def from_keras(model: Any, **arguments: bool) -> bytes:
    return converted(tf.lite.TFLiteConverter.from_keras_model(model), **arguments)


def only_node(model: bytes) -> tuple[Subgraph, Operator]:
    [found] = ModelFile.read(model).postprocess_operators()
    return found


def input_types(model: bytes) -> list[str]:
    graph, node = only_node(model)
    return [graph.tensors[index].dtype for index in node.inputs]


def feeding(model: bytes) -> list[str | None]:
    """Names of the operators that make the node's inputs; None for a constant."""
    graph, node = only_node(model)
    makers = {index: maker.name for maker in graph.operators for index in maker.outputs}
    return [makers.get(index) for index in node.inputs]


def operator_names(model: bytes) -> list[str]:
    return [operator.name for operator in ModelFile.read(model).subgraphs[0].operators]


def assert_complete(model: bytes, options: detops.Options = OPTIONS) -> None:
    """All options, static shapes, stock order, names."""
    graph, node = only_node(model)
    assert node.custom_options
    written = detops.Options.from_bytes(node.custom_options)
    for name, value in vars(options).items():
        assert getattr(written, name) == pytest.approx(value, rel=1e-7), name
    assert set(flexbuffers.Loads(node.custom_options)) == set(vars(options))
    slots = options.max_detections * options.max_classes_per_detection
    outputs = [graph.tensors[index] for index in node.outputs]
    assert graph.outputs == node.outputs
    assert [t.name for t in outputs] == list(model_builder.OUTPUT_NAMES)
    assert [t.shape for t in outputs] == [(1, slots, 4), (1, slots), (1, slots), (1,)]
    assert all(t.dtype == "float32" for t in outputs)


def detect(interpreter: Any, frame: Array) -> list[Array]:
    return list(model_builder.run(interpreter, [frame]).values())


def stock(model: bytes) -> Any:
    return tf.lite.Interpreter(model_content=model)


def assert_same_detections(got: list[Any], expected: list[Any], tolerance: float = 1e-5) -> None:
    assert float(np.asarray(expected[3])[0]) > 3
    for ours, theirs in zip(got, expected, strict=True):
        np.testing.assert_allclose(np.asarray(ours), np.asarray(theirs), tolerance, tolerance)


def assert_detops_like_stock(model: bytes) -> None:
    for frame in frames():
        ours = detect(detops.Interpreter(model_content=model), frame)
        assert_same_detections(ours, detect(stock(model), frame), 0.0)


def test_float_model() -> None:
    model = keras_model()
    file = from_keras(model)
    assert_complete(file)
    assert input_types(file) == ["float32"] * 3
    for frame in frames():
        assert_same_detections(detect(stock(file), frame), model(frame))
    assert_detops_like_stock(file)


@pytest.mark.parametrize(
    ("per_class", "regular"), [(1, True), (100, True), (101, False), (0, False), (2**31 - 1, True)]
)
@pytest.mark.parametrize("op", ["composite", "node"])
def test_every_option_survives(op: str, per_class: int, regular: bool) -> None:
    options = OPTIONS.replace(
        detections_per_class=per_class,
        use_regular_nms=regular,
        max_classes_per_detection=2,
        nms_score_threshold=-np.inf,
    )
    assert_complete(from_keras(keras_model(options, op=op)), options)


@pytest.mark.parametrize("op", ["composite", "node"])
def test_post_training_quantisation(op: str) -> None:
    file = from_keras(keras_model(op=op), calibrate=True)
    assert_complete(file)
    # Calibration converts the file again and forgets what the node says about quantisation.
    assert input_types(file) == ["float32"] * 3
    assert feeding(file) == ["DEQUANTIZE", "DEQUANTIZE", None]
    assert_detops_like_stock(file)
    interpreter = detops.Interpreter(model_content=file)
    interpreter.allocate_tensors()
    assert detops.register_ops(interpreter).fused == ("DEQUANTIZE", "DEQUANTIZE")


def test_quantisation_aware_composite_is_dequantised() -> None:
    file = from_keras(keras_model(aware=True), quantize=True)
    assert_complete(file)
    assert input_types(file) == ["float32"] * 3
    assert feeding(file) == ["DEQUANTIZE", "DEQUANTIZE", None]
    assert_detops_like_stock(file)


def test_quantisation_aware_node_is_fed_int8() -> None:
    direct = from_keras(keras_model(op="node", aware=True), quantize=True)
    assert_complete(direct)
    assert input_types(direct) == ["int8"] * 3
    assert "DEQUANTIZE" not in feeding(direct)
    float_anchors = from_keras(keras_model(aware=True), quantize=True)
    graph, node = only_node(direct)
    quantization = graph.tensors[node.inputs[2]].quantization
    assert quantization
    for frame in frames():
        ours = detect(detops.Interpreter(model_content=direct), frame)
        theirs = detect(stock(float_anchors), frame)
        # Same scores; the corners move with the anchors, by less than a step of theirs.
        np.testing.assert_array_equal(ours[2], theirs[2])
        np.testing.assert_array_equal(ours[1], theirs[1])
        np.testing.assert_allclose(ours[0], theirs[0], atol=4 * quantization.scales[0])


@pytest.mark.parametrize("op", ["node", "composite"])
def test_the_uint8_twin_detects_the_same(op: str) -> None:
    """Int8 anchors of the node become uint8, the float ones of the composite stay: either way the
    numbers do, and so do the bits."""
    file = from_keras(keras_model(op=op, aware=True), quantize=True)
    fed_int8, twin = (rewrite_quantized(file, into) for into in ("int8", "uint8"))
    anchors = {"node": ("int8", "uint8"), "composite": ("float32", "float32")}[op]
    assert input_types(fed_int8) == ["int8", "int8", anchors[0]]
    boxes = "uint8" if op == "node" else "float32"
    assert input_types(twin) == [boxes, "uint8", anchors[1]]
    for frame in frames():
        ours = detect(detops.Interpreter(model_content=fed_int8), frame)
        theirs = detect(stock(twin), frame)
        count = int(theirs[3][0])
        assert count > 3 and ours[3][0] == count
        for a, b in zip(ours[:3], theirs[:3], strict=True):
            assert a[:, :count].tobytes() == b[:, :count].tobytes()


def test_model_of_unknown_batch() -> None:
    start = tf.keras.Input((ROWS, FEATURES))
    boxes, scores = start[..., :4], tf.keras.ops.sigmoid(start[..., 4:])
    model = tf.keras.Model(start, detection_postprocess(boxes, scores, ANCHORS, OPTIONS))
    file = from_keras(model)
    assert_complete(file)
    assert_detops_like_stock(file)


def module_with_model(model: Any) -> Any:
    module = tf.Module()
    module.model = model
    module.detect = tf.function(
        lambda frame: model(frame),
        input_signature=[tf.TensorSpec([1, ROWS, FEATURES], tf.float32)],
        autograph=False,
    )
    return module


def test_saved_model(tmp_path: Path) -> None:
    model = keras_model()
    model.export(str(tmp_path), verbose=False)
    file = converted(tf.lite.TFLiteConverter.from_saved_model(str(tmp_path)))
    assert_complete(file)
    assert_same_detections(detect(stock(file), frames()[0]), model(frames()[0]))


@pytest.mark.parametrize("tracked", [False, True])
@pytest.mark.filterwarnings("ignore:.*trackable_obj.*")
def test_concrete_functions(tracked: bool) -> None:
    """Neither is the op inlined without a tracked object, nor do the variables stay variables with
    one that does not see them."""
    model = keras_model()
    module = module_with_model(model)
    functions = [module.detect.get_concrete_function()]
    holder = module if tracked else None
    file = converted(tf.lite.TFLiteConverter.from_concrete_functions(functions, holder))
    assert_complete(file)
    assert not {"VAR_HANDLE", "READ_VARIABLE"} & set(operator_names(file))
    assert_same_detections(detect(stock(file), frames()[0]), model(frames()[0]))


def test_two_nodes_keep_their_own_options() -> None:
    start = tf.keras.Input((ROWS, FEATURES), batch_size=1)
    boxes, scores = start[..., :4], tf.keras.ops.sigmoid(start[..., 4:])
    limits = (2, 5)
    found = [
        detection_postprocess(boxes, scores, ANCHORS, OPTIONS.replace(detections_per_class=limit))
        for limit in limits
    ]
    file = from_keras(tf.keras.Model(start, [*found[0], *found[1]]))
    nodes = ModelFile.read(file).postprocess_operators()
    written = [detops.Options.from_bytes(node.custom_options or b"") for _, node in nodes]
    assert sorted(options.detections_per_class for options in written) == list(limits)
    names = {detail["name"] for detail in stock(file).get_output_details()}
    assert names == {f"{n}{s}" for n in model_builder.OUTPUT_NAMES for s in ("", "_1")}
    for frame in frames():
        ours = model_builder.run(detops.Interpreter(model_content=file), [frame])
        for name, value in model_builder.run(stock(file), [frame]).items():
            np.testing.assert_array_equal(ours[name], value, name)


def test_registering_again() -> None:
    model = keras_model()
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    first = detops.register_ops(converter)
    assert detops.register_ops(converter) is first
    assert "allows custom ops" in str(first) and "completes the node" in str(first)
    file = converter.convert()
    assert_complete(file)
    assert_complete(converter.convert())
    other = tf.lite.TFLiteConverter.from_keras_model(model)
    assert "found TFLite_Detection_PostProcess" in str(detops.register_ops(other))
    assert_complete(other.convert())


def test_signature_names_still_lead_to_the_outputs() -> None:
    interpreter = stock(from_keras(keras_model()))
    runner = interpreter.get_signature_runner()
    [name] = runner.get_input_details()
    found = runner(**{name: frames()[0]})
    assert sorted(value.shape for value in found.values()) == [(1,), (1, 12), (1, 12), (1, 12, 4)]


def test_a_model_without_the_op_is_told() -> None:
    start = tf.keras.Input((4,))
    converter = tf.lite.TFLiteConverter.from_keras_model(tf.keras.Model(start, start * 2))
    detops.register_ops(converter)
    with pytest.warns(UserWarning, match="holds no TFLite_Detection_PostProcess node"):
        assert converter.convert()


WRONG: dict[str, tuple[Callable[[], Any], str]] = {
    "class": (lambda: tf.lite.TFLiteConverter, "got the class TFLiteConverter"),
    "version 1": (lambda: v1_converter(), "got tensorflow.lite.python.lite"),
}


def v1_converter() -> Any:
    graph = tf.Graph()
    with graph.as_default(), tf.compat.v1.Session(graph=graph) as session:
        start = tf.compat.v1.placeholder(tf.float32, [1])
        return tf.compat.v1.lite.TFLiteConverter.from_session(session, [start], [start + 1])


@pytest.mark.parametrize("name", list(WRONG))
@pytest.mark.filterwarnings("ignore")
def test_other_converters_are_refused(name: str) -> None:
    make, words = WRONG[name]
    with pytest.raises(TypeError, match=words):
        detops.register_ops(make())
