# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Warm starts from Keras weights, archives of arrays and our own checkpoints."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

keras = pytest.importorskip("keras", reason="training needs keras")
pytest.importorskip("tensorflow", reason="the tests run Keras on TensorFlow")

from training import warm_start  # noqa: E402
from training.models import build_detector  # noqa: E402
from training.warm_start.block_weights import BlockWeights, check_fits  # noqa: E402
from training.warm_start.input_normalization import InputNormalization  # noqa: E402
from training.warm_start.own_weights import is_own  # noqa: E402

Array = NDArray[Any]
SIDE = 96


def _detector(architecture: str = "ssd_mobilenet_v1", **settings: Any) -> Any:
    arguments = {"num_classes": 3, "image_size": SIDE, "depth_multiplier": 0.25, **settings}
    return build_detector(architecture=architecture, **arguments)


@pytest.fixture(scope="module")
def images() -> Array:
    return np.random.default_rng(1).integers(0, 256, (4, SIDE, SIDE, 3), np.uint8)


def _lively(images: Array, **settings: Any) -> Any:
    """A detector whose activations do not fade."""
    model = _detector(**settings)
    warm_start.calibrate_batch_norm(model, images)
    return model


def _outputs(model: Any, images: Array) -> list[Array]:
    return [np.asarray(value) for value in model(images, training=False).values()]


def _application(name: str, **arguments: Any) -> Any:
    """A classifier with weights that nothing hides: no statistic is 0 or 1."""
    build = getattr(keras.applications, name)
    shape = (SIDE, SIDE, 3)
    source = build(weights=None, include_top=False, input_shape=shape, **arguments)
    rng = np.random.default_rng(5)
    for layer in source.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            count = layer.gamma.shape[0]
            layer.gamma.assign(rng.uniform(0.7, 1.5, count))
            layer.beta.assign(rng.uniform(-0.5, 0.5, count))
            layer.moving_mean.assign(rng.normal(0, 0.2, count))
            layer.moving_variance.assign(rng.uniform(0.05, 0.5, count))
    return source


def _decibels(wanted: Array, got: Array) -> float:
    noise = np.square(wanted - got).sum()
    return float(10 * np.log10(np.square(wanted).sum() / max(noise, 1e-30)))


@pytest.mark.parametrize(
    ("name", "architecture", "depth", "tap", "layer", "suffix"),
    [
        ("MobileNet", "ssd_mobilenet_v1", 0.25, 1, "conv_pw_13_relu", "weights.h5"),
        ("MobileNet", "ssd_mobilenet_v1", 0.25, 1, "conv_pw_13_relu", "h5"),
        # Keras does not scale the last layer, so that is left out.
        ("MobileNetV2", "ssd_mobilenet_v2", 0.35, 0, "block_13_expand_relu", "weights.h5"),
    ],
)
def test_backbone_computes_what_the_classifier_does(
    tmp_path: Path,
    images: Array,
    name: str,
    architecture: str,
    depth: float,
    tap: int,
    layer: str,
    suffix: str,
) -> None:
    source = _application(name, alpha=depth)
    path = tmp_path / f"source.{suffix}"
    (_save_legacy if suffix == "h5" else lambda s, p: s.save_weights(p))(source, path)
    model = _detector(architecture, depth_multiplier=depth)
    report = warm_start.load(model, path)
    left = [block.path for block in model.backbone.blocks() if block.path in report.fresh]
    assert len(left) == (name == "MobileNetV2")
    assert not report.folded and report.notes
    pixels = (images.astype(np.float32) - 128) / 128
    got = np.asarray(model.backbone(pixels)[tap])
    part = keras.Model(source.input, source.get_layer(layer).output)
    wanted = np.asarray(part(images.astype(np.float32) / 127.5 - 1))
    # Not the same bits: the padding is 0 on both sides, and 0 is not the same colour.
    assert _decibels(wanted, got) > 35


def _save_legacy(source: Any, path: Path) -> None:
    from keras.src.legacy.saving import legacy_h5_format

    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "w") as file:
        legacy_h5_format.save_weights_to_hdf5_group(file, source)


def test_first_layer_is_the_same_but_at_the_border(tmp_path: Path, images: Array) -> None:
    source = _application("MobileNet", alpha=0.25)
    source.save_weights(tmp_path / "source.weights.h5")
    model = _detector()
    warm_start.load(model, tmp_path / "source.weights.h5")
    got = np.asarray(model.backbone.first((images.astype(np.float32) - 128) / 128))
    first = keras.Model(source.input, source.get_layer("conv1_relu").output)
    wanted = np.asarray(first(images.astype(np.float32) / 127.5 - 1))
    np.testing.assert_allclose(got[:, :-1, :-1], wanted[:, :-1, :-1], atol=2e-5)
    np.testing.assert_allclose(got, wanted, atol=0.1)


def test_archive_of_arrays(data_dir: Path) -> None:
    path = data_dir / "weights" / "mobilenet_v1_0.25_224_float_keras.npz"
    model = _detector()
    report = warm_start.load(model, path)
    with np.load(path) as archive:
        arrays = [archive[name] for name in archive.files]
    for number, block in enumerate(model.backbone.blocks()):
        kernel, gamma, beta, _, variance = arrays[5 * number : 5 * number + 5]
        if number:
            np.testing.assert_array_equal(block.kernel, kernel)
        np.testing.assert_allclose(block.gamma, gamma, rtol=1e-6)
        np.testing.assert_array_equal(block.beta, beta)
        np.testing.assert_array_equal(block.moving_variance, variance)
    assert report.unused == ("conv_preds",)


def test_archive_of_another_depth(data_dir: Path, images: Array) -> None:
    model = _detector(depth_multiplier=0.5)
    before = _outputs(model, images)
    with pytest.raises(ValueError, match=r"alpha.: 0\.5"):
        warm_start.load(model, data_dir / "weights" / "mobilenet_v1_0.25_224_float_keras.npz")
    for old, new in zip(before, _outputs(model, images), strict=True):
        np.testing.assert_array_equal(old, new)


def test_own_weights(tmp_path: Path, images: Array) -> None:
    source, model = _lively(images), _detector()
    source.save_weights(tmp_path / "best.weights.h5")
    report = warm_start.load(model, tmp_path / "best.weights.h5")
    assert not report.fresh
    for old, new in zip(_outputs(source, images), _outputs(model, images), strict=True):
        np.testing.assert_array_equal(old, new)


def test_own_weights_of_other_classes(tmp_path: Path, images: Array) -> None:
    source, model = _lively(images, num_classes=5), _detector()
    head = model.predictor.class_heads[0][-1]
    before = np.asarray(head.kernel)
    source.save_weights(tmp_path / "best.weights.h5")
    report = warm_start.load(model, tmp_path / "best.weights.h5")
    assert len(report.fresh) == 6 and all("/classes_" in name for name in report.fresh)
    np.testing.assert_array_equal(_outputs(model, images)[0], _outputs(source, images)[0])
    np.testing.assert_array_equal(np.asarray(head.kernel), before)


def test_own_weights_of_another_depth_change_nothing(tmp_path: Path, images: Array) -> None:
    source, model = _detector(depth_multiplier=0.5), _detector()
    before = _outputs(model, images)
    source.save_weights(tmp_path / "best.weights.h5")
    with pytest.raises(ValueError, match="same architecture and depth"):
        warm_start.load(model, tmp_path / "best.weights.h5")
    for old, new in zip(before, _outputs(model, images), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.onnx", b"", "expected .weights.h5, .npz or .tflite"),
        ("a.weights.h5", b"no archive", "not a readable .h5 file"),
        ("a.npz", b"no archive", "not a readable .npz archive"),
        ("a.tflite", b"no model at all", "identifier"),
    ],
)
def test_files_of_another_kind(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=message):
        warm_start.load(_detector(), tmp_path / name)


@pytest.mark.fault
def test_damage_anywhere_in_a_file_of_weights_is_one_error_that_names_it(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    path = tmp_path / "a.weights.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("backbone/block/vars/0", data=np.arange(600.0))
    good = path.read_bytes()
    read = 0
    for place in range(0, len(good), 16):
        for damaged in (good[:place], good[:place] + b"\xff" * 8 + good[place + 8 :]):
            path.write_bytes(damaged)
            try:
                read += is_own(path)
            except ValueError as error:
                assert str(path) in str(error)
    # Numbers have no checksum.
    assert 0 < read < len(good) // 8


@pytest.mark.fault
@pytest.mark.parametrize(
    "header",
    ["(" * 900, "-" * 9000 + "1", "{'descr': '''", "{'descr': '<f4', 'shape': (9" + "9" * 30],
)
def test_an_archive_of_arrays_whose_header_is_damaged_is_named(tmp_path: Path, header: str) -> None:
    text = header.encode() + b"\n"
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        content = b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + bytes(160)
        archive.writestr("a.npy", content)
    with pytest.raises(ValueError, match=r"a\.npz is not a readable \.npz archive: .+"):
        warm_start.load(_detector(), tmp_path / "a.npz")


@pytest.mark.fault
def test_damage_anywhere_in_a_compressed_archive_is_one_error_that_names_it(
    tmp_path: Path,
) -> None:
    path = tmp_path / "a.npz"
    np.savez_compressed(path, np.arange(600.0))
    good, model = path.read_bytes(), _detector()
    for place in range(0, len(good), len(good) // 8):
        path.write_bytes(good[:place] + b"\xff" * 8 + good[place + 8 :])
        with pytest.raises(ValueError, match=r"a\.npz"):
            warm_start.load(model, path)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"nothing\.npz"):
        warm_start.load(_detector(), tmp_path / "nothing.npz")


def test_calibration_keeps_the_function_and_measures(images: Array) -> None:
    model = _lively(images[:2])
    for block in model.backbone.blocks():
        block.gamma.assign(np.asarray(block.gamma) * 0.9)
    kept = model.backbone.blocks()
    pixels = (images.astype(np.float32) - 128) / 128
    before = np.asarray(model.backbone(pixels)[-1])
    warm_start.calibrate_batch_norm(model, images, keep=kept)
    assert model.phase.measure is None
    after = np.asarray(model.backbone(pixels)[-1])
    np.testing.assert_allclose(after, before, atol=1e-4 * np.abs(before).max())
    # With the statistics of the batch itself the function is the same: live batch norm may begin.
    live = np.asarray(model.backbone(pixels, training=True)[-1])
    np.testing.assert_allclose(live, before, atol=1e-3 * np.abs(before).max())
    # The others have statistics only.
    fresh = model.feature_maps.steps[0][0]
    assert (np.asarray(fresh.gamma) == 1).all() and (np.asarray(fresh.beta) == 0).all()
    assert not (np.asarray(fresh.moving_mean) == 0).any()


def test_calibration_needs_images() -> None:
    with pytest.raises(ValueError, match="images is empty"):
        warm_start.calibrate_batch_norm(_detector(), np.zeros((0, SIDE, SIDE, 3), np.uint8))


def _weights(channels: int = 8, **known: Any) -> BlockWeights:
    kernel = np.random.default_rng(2).normal(size=(3, 3, 3, channels)).astype(np.float32)
    return BlockWeights.folded("node 0", kernel, np.zeros(channels, np.float32), **known)


@pytest.mark.parametrize(
    ("mean", "std", "bgr"),
    [((127.5,), (127.5,), False), ((10.0, 20.0, 30.0), (1.0, 2.0, 3.0), True)],
)
def test_normalization_is_folded(
    mean: tuple[float, ...], std: tuple[float, ...], bgr: bool, images: Array
) -> None:
    weights = _weights()
    folded, note = InputNormalization(mean, std, bgr).folded_into(weights)
    assert "folded" in note
    pixels = images[:1].astype(np.float64)
    theirs = (pixels[..., ::-1] if bgr else pixels) - np.asarray(mean)
    theirs /= np.asarray(std)
    convolve = keras.ops.conv
    wanted = convolve(theirs.astype(np.float32), weights.kernel, padding="valid")
    ours = ((pixels - 128) / 128).astype(np.float32)
    got = np.asarray(convolve(ours, folded.kernel, padding="valid")) - folded.moving_mean
    np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-3 * np.abs(wanted).max())


def test_same_normalization_changes_nothing() -> None:
    weights = _weights()
    assert InputNormalization((128,), (128.0,)).folded_into(weights) == (weights, "")


@pytest.mark.parametrize(
    ("known", "message"),
    [
        ({}, ""),
        ({"strides": 1}, "strides are 1, expected 2"),
        ({"clamp": (0.0, 6.0)}, ""),
        ({"clamp": (-np.inf, np.inf), "output_range": (0.0, 6.0)}, ""),
        ({"clamp": (0.0, 6.0), "output_range": (-6.2, 6.9)}, ""),
        ({"clamp": (-np.inf, np.inf), "output_range": (-3.0, 6.0)}, "expected those of relu6"),
        ({"clamp": (0.0, np.inf)}, "expected those of relu6"),
    ],
)
def test_fit(known: dict[str, Any], message: str) -> None:
    block = _detector().backbone.first
    if not message:
        check_fits(block, _weights(**known))
        return
    with pytest.raises(ValueError, match=message):
        check_fits(block, _weights(**known))


def test_shapes_are_compared() -> None:
    block = _detector().backbone.first
    with pytest.raises(ValueError, match=r"kernel is \[3, 3, 3, 9\], expected \[3, 3, 3, 8\]"):
        check_fits(block, _weights(9))
