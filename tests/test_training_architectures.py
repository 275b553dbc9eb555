# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Every architecture: its anchors, a step of training under XLA, its file in 8 bits."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from detops import multiscale_anchors
from detops.model_file import ModelFile

keras = pytest.importorskip("keras", reason="the models are made with keras")
pytest.importorskip("tensorflow", reason="the steps and files are made with tensorflow")

import tensorflow as tf  # noqa: E402
from tensorflow.python.framework.convert_to_constants import (  # noqa: E402
    convert_variables_to_constants_v2,
)

from training.models import ARCHITECTURES, Detector, build_detector  # noqa: E402
from training.models.blocks import Blocks  # noqa: E402
from training.models.conv_block import EPSILON  # noqa: E402
from training.models.mobilenet_v1 import MobileNetV1  # noqa: E402
from training.models.mobilenet_v2 import MobileNetV2  # noqa: E402
from training.models.phase import Phase  # noqa: E402
from training.models.resnet50 import ResNet50  # noqa: E402
from training.models.shared_box_predictor import SharedBoxPredictor  # noqa: E402
from training.models.upsampling import upsample  # noqa: E402

ROOT = Path(__file__).parent.parent
# Size in pixels of the published configuration, and its number of anchors.
PUBLISHED = {
    "ssd_mobilenet_v1": (300, 1917),
    "ssd_mobilenet_v2": (300, 1917),
    "ssdlite_mobilenet_v2": (300, 1917),
    "ssd_mobilenet_v1_ppn": (300, 3000),
    "ssd_mobilenet_v1_fpn": (640, 51150),
    "ssd_mobilenet_v2_fpnlite": (320, 12804),
    "retinanet_resnet50": (640, 51150),
}
# Those that together have every part.
FILES = (
    "ssdlite_mobilenet_v2",
    "ssd_mobilenet_v1_ppn",
    "ssd_mobilenet_v2_fpnlite",
    "retinanet_resnet50",
)
CLASSES = 3
# The models take images of any size; the steps and files of the tests are of this one.
SIDE = 64


def _randomized(detector: Detector) -> Detector:
    """Weights as far from those of a fresh model as training would bring them."""
    rng = np.random.default_rng(0)
    for variable in detector.trainable_variables:
        # Activations away from zero: noise that decides a ReLU grows from layer to layer.
        shift = {"beta": 2.0, "bias": 0.0}.get(variable.name)
        if shift is not None:
            variable.assign(variable + shift + rng.normal(0, 0.1, variable.shape))
    return detector


@pytest.fixture(scope="module", params=PUBLISHED)
def detector(request: pytest.FixtureRequest) -> Detector:
    made = build_detector(
        architecture=request.param,
        num_classes=CLASSES,
        image_size=PUBLISHED[request.param][0],
        depth_multiplier=0.25,
        batch_norm_momentum=0.0,
    )
    return _randomized(made)


@pytest.fixture(scope="module")
def gradients(detector: Detector) -> list[Any]:
    """Of one step, which also sets the ranges and statistics."""
    return _step(detector, _images())[1]


def _step(detector: Detector, images: Any) -> tuple[Any, list[Any]]:
    with tf.GradientTape() as tape:
        outputs = detector(images, training=True)
        loss = keras.ops.mean(outputs["box_encodings"] ** 2)
        loss += keras.ops.mean(keras.ops.softplus(outputs["logits"]))
    return loss, tape.gradient(loss, [v.value for v in detector.trainable_variables])


def _images(side: int = SIDE, count: int = 2) -> NDArray[np.uint8]:
    coarse = np.random.default_rng(1).integers(0, 256, (count, 8, 8, 3))
    cell = -(-side // 8)
    return coarse.repeat(cell, 1).repeat(cell, 2)[:, :side, :side].astype(np.uint8)


def test_the_table_is_whole() -> None:
    assert set(ARCHITECTURES) == set(PUBLISHED)


def test_an_unknown_architecture_is_refused() -> None:
    with pytest.raises(ValueError, match="architecture is 'yolo', expected one of ssd_mobilenet"):
        build_detector(architecture="yolo", num_classes=1, image_size=64)


@pytest.mark.parametrize("architecture", ["ssd_mobilenet_v1", "ssd_mobilenet_v1_ppn"])
def test_anchors_of_own_sizes(architecture: str) -> None:
    scales = (0.05, 0.1, 0.2, 0.3, 0.5, 0.8)
    settings = {"num_classes": 1, "image_size": 64, "depth_multiplier": 0.25}
    detector = build_detector(architecture=architecture, anchor_scales=scales, **settings)
    # Grids of 4, 2, 1, 1, 1 and 1 cells to a side, six anchors in each.
    assert len(detector.anchors) == 6 * (16 + 4 + 4)
    assert detector.anchors[0, 2:] == pytest.approx(0.05)
    with pytest.raises(ValueError, match="scales has 1 entries"):
        build_detector(architecture=architecture, anchor_scales=(0.1,), **settings)


def test_a_feature_pyramid_has_no_anchors_of_own_sizes() -> None:
    with pytest.raises(ValueError, match="anchor_scales are for SSD and PPN"):
        build_detector(
            architecture="ssd_mobilenet_v1_fpn",
            num_classes=1,
            image_size=128,
            depth_multiplier=0.25,
            anchor_scales=(0.1,) * 6,
        )


def test_anchors_are_as_many_as_published(detector: Detector) -> None:
    # That the outputs have as many rows is checked where a detector is made.
    assert detector.anchors.dtype == np.float32
    assert (detector.image_size, len(detector.anchors)) in PUBLISHED.values()


def test_every_variable_has_a_gradient(detector: Detector, gradients: list[Any]) -> None:
    pairs = zip(detector.trainable_variables, gradients, strict=True)
    sizes = {v.path: float(np.abs(np.asarray(gradient)).max()) for v, gradient in pairs}
    assert np.isfinite(list(sizes.values())).all()
    assert not [path for path, size in sizes.items() if size == 0]


@pytest.mark.filterwarnings("ignore:Statistics for quantized inputs were expected:UserWarning")
@pytest.mark.parametrize("detector", FILES, indirect=True)
@pytest.mark.usefixtures("gradients")
def test_the_file_computes_in_8_bits_what_the_model_does(detector: Detector) -> None:
    detector.set_mode("quantized")
    model = _converted(detector)

    names = [operator.name for operator in ModelFile.read(model).subgraphs[0].operators]
    assert names.count("QUANTIZE") == 1, "the input's"
    assert names.count("DEQUANTIZE") == 2, "the outputs'"
    allowed = {"CONV_2D", "DEPTHWISE_CONV_2D", "ADD", "PAD", "MAX_POOL_2D", "CONCATENATION"}
    assert set(names) <= allowed | {"RESHAPE", "LOGISTIC", "QUANTIZE", "DEQUANTIZE"}

    images = _images()[:1]
    expected = detector(images)
    boxes, scores = _run(model, images)
    # A rounding that falls to the other side is carried on by all layers behind it.
    assert _decibels(expected["box_encodings"], boxes) > 15
    assert _decibels(keras.ops.sigmoid(expected["logits"]), scores) > 15


def _converted(detector: Detector) -> bytes:
    @tf.function(input_signature=[tf.TensorSpec((1, SIDE, SIDE, 3), tf.float32)])  # type: ignore[untyped-decorator]
    def graph(pixels: Any) -> Any:
        outputs = detector.from_pixels(pixels)
        scores = keras.quantizers.fake_quant_with_min_max_vars(
            keras.ops.sigmoid(outputs["logits"]), 0.0, 255 / 256
        )
        return {"boxes": outputs["box_encodings"], "scores": scores}

    frozen = convert_variables_to_constants_v2(graph.get_concrete_function())
    converter = tf.lite.TFLiteConverter.from_concrete_functions([frozen])
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.inference_input_type = tf.uint8
    return bytes(converter.convert())


def _run(model: bytes, images: NDArray[np.uint8]) -> tuple[Any, Any]:
    interpreter = tf.lite.Interpreter(model_content=model, num_threads=1)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], images)
    interpreter.invoke()
    found = {o["shape"][-1]: o["index"] for o in interpreter.get_output_details()}
    return interpreter.get_tensor(found[4]), interpreter.get_tensor(found[CLASSES])


def _decibels(expected: Any, got: Any) -> float:
    expected = np.asarray(expected)
    return float(10 * np.log10((expected**2).sum() / ((expected - got) ** 2).sum()))


# Parts


def test_a_shared_predictor_has_one_kernel_and_a_batch_norm_for_each_level() -> None:
    predictor = SharedBoxPredictor(
        Blocks(), num_classes=CLASSES, levels=3, depth=8, layers=2, separable=False
    )
    maps = [np.ones((1, side, side, 5), np.float32) for side in (4, 2, 1)]
    boxes, logits = predictor(maps)
    assert boxes.shape == (1, 21 * 6, 4)
    assert logits.shape == (1, 21 * 6, CLASSES)
    names = [variable.name for variable in predictor.trainable_variables]
    # Two towers of two layers, two heads.
    assert names.count("kernel") == 2 * 2 + 2
    assert names.count("gamma") == names.count("beta") == 2 * 2 * 3
    assert names.count("bias") == 2
    np.testing.assert_allclose(logits, -np.log(99), atol=0.5)


@pytest.mark.parametrize("mode", ["float", "quantized"])
def test_shared_weights_train_under_xla(mode: Any) -> None:
    predictor = SharedBoxPredictor(
        Blocks(Phase(mode)), num_classes=CLASSES, levels=2, depth=8, layers=1, separable=True
    )
    maps = [np.full((1, side, side, 5), side, np.float32) for side in (2, 1)]
    predictor(maps)

    @tf.function(jit_compile=True)  # type: ignore[untyped-decorator]
    def step() -> Any:
        with tf.GradientTape() as tape:
            loss = sum(keras.ops.mean(rows**2) for rows in predictor(maps, training=True))
        return tape.gradient(loss, [v.value for v in predictor.trainable_variables])

    assert all(np.isfinite(gradient).all() for gradient in step())


def test_a_level_folds_its_own_batch_norm_into_the_shared_kernel() -> None:
    blocks = Blocks(Phase("quantized"))
    first = blocks.conv(4, 1, name="first")
    second = blocks.conv(4, 1, weights_of=first, name="second")
    images = np.random.default_rng(0).normal(size=(1, 3, 3, 2)).astype(np.float32)
    first(images)
    second(images)
    assert second.kernel is first.kernel
    second.gamma.assign([1.0, 2.0, 3.0, 4.0])
    kernel, _ = second.folded()
    factor = np.array([1, 2, 3, 4]) / np.sqrt(1 + EPSILON)
    np.testing.assert_allclose(kernel, np.asarray(first.kernel) * factor, rtol=1e-5)


def test_a_pyramid_takes_sizes_that_halve_unevenly() -> None:
    side = 75
    made = build_detector(
        architecture="ssd_mobilenet_v2_fpnlite",
        num_classes=CLASSES,
        image_size=side,
        depth_multiplier=0.1,
    )
    outputs = made(_images(side, 1))
    assert outputs["logits"].shape[1] == len(multiscale_anchors(side))
    assert np.isfinite(outputs["box_encodings"]).all()


def test_upsampling_repeats_the_nearest_cell() -> None:
    maps = np.arange(2 * 3 * 2 * 2, dtype=np.float32).reshape(2, 3, 2, 2)
    doubled = maps.repeat(2, 1).repeat(2, 2)
    np.testing.assert_array_equal(upsample(maps, 6, 4), doubled)
    np.testing.assert_array_equal(upsample(maps, 5, 3), doubled[:, :5, :3])
    with pytest.raises(ValueError, match="a map of 3 x 2 cells lies above one of 7 x 4"):
        upsample(maps, 7, 4)


@pytest.mark.parametrize(
    ("backbone", "settings", "application", "arguments"),
    [
        (MobileNetV1, {"taps": (13,), "depth_multiplier": 0.25}, "MobileNet", {"alpha": 0.25}),
        (MobileNetV2, {"taps": (19,)}, "MobileNetV2", {}),
        (ResNet50, {"taps": (5,)}, "ResNet50", {}),
    ],
)
def test_a_backbone_is_that_of_keras(
    backbone: Any, settings: dict[str, Any], application: str, arguments: dict[str, Any]
) -> None:
    source = getattr(keras.applications, application)(
        weights=None, include_top=False, input_shape=(SIDE, SIDE, 3), **arguments
    )
    own = backbone(Blocks(), **settings)
    images = np.random.default_rng(0).uniform(-1, 1, (1, SIDE, SIDE, 3)).astype(np.float32)
    own(images)
    # ResNet's layers are not listed unit by unit; their names sort as the units are.
    ordered = sorted(source.layers, key=lambda layer: layer.name if backbone is ResNet50 else "")
    layers = [layer for layer in ordered if "Conv2D" in type(layer).__name__]
    norms = [layer for layer in ordered if "BatchNorm" in type(layer).__name__]
    assert len(layers) == len(norms) == len(own.blocks())
    for block, layer, norm in zip(own.blocks(), layers, norms, strict=True):
        block.kernel.assign(keras.ops.reshape(layer.kernel, block.kernel.shape))
        # Batch norm is fresh, but for its epsilon.
        block.gamma.assign(keras.ops.full(block.gamma.shape, _rescaled(norm.epsilon)))
    [found] = own(images)
    np.testing.assert_allclose(found, source(images), rtol=1e-3, atol=1e-4)


def _rescaled(epsilon: float) -> float:
    """The gamma that makes up for another epsilon, where the variance is 1."""
    return float(np.sqrt((1 + EPSILON) / (1 + epsilon)))


_UNDER_JAX = """
import sys, numpy as np
from training.models import build_detector
architecture, folder = sys.argv[1:]
detector = build_detector(
    architecture=architecture, num_classes=3, image_size=64, depth_multiplier=0.25
)
stored = np.load(f"{folder}/weights.npz")
for number, variable in enumerate(detector.variables):
    variable.assign(stored[f"v{number}"])
for mode in ("float", "quantized"):
    detector.set_mode(mode)
    outputs = detector(stored["images"])
    columns = [outputs["box_encodings"], outputs["logits"]]
    np.save(f"{folder}/{mode}.npy", np.concatenate(columns, -1))
"""


@pytest.mark.parametrize("architecture", ["ssdlite_mobilenet_v2", "retinanet_resnet50"])
def test_jax_gives_the_same_numbers(architecture: str, tmp_path: Path) -> None:
    pytest.importorskip("jax", reason="the numbers of the JAX backend are compared")
    detector = build_detector(
        architecture=architecture, num_classes=CLASSES, image_size=SIDE, depth_multiplier=0.25
    )
    images = _images()
    detector(images, training=True)
    arrays: dict[str, Any] = {
        f"v{n}": np.asarray(variable) for n, variable in enumerate(detector.variables)
    }
    np.savez(tmp_path / "weights.npz", images=images, **arrays)
    subprocess.run(
        [sys.executable, "-c", _UNDER_JAX, architecture, str(tmp_path)],
        check=True,
        cwd=ROOT,
        env={**os.environ, "KERAS_BACKEND": "jax"},
    )
    outputs = detector(images)
    expected = np.concatenate([outputs["box_encodings"], outputs["logits"]], -1)
    np.testing.assert_allclose(np.load(tmp_path / "float.npy"), expected, rtol=1e-2, atol=1e-3)
    assert np.isfinite(np.load(tmp_path / "quantized.npy")).all()
