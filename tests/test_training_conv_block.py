# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""The unit of the training models: folding, correction, quantisation, ranges."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

keras = pytest.importorskip("keras", reason="training needs keras")

from training.models.activation_range import ActivationRange  # noqa: E402
from training.models.conv_block import EPSILON, ConvBlock  # noqa: E402
from training.models.phase import Phase  # noqa: E402

Array = NDArray[np.float32]


def _inputs(channels: int = 6) -> Array:
    return np.random.default_rng(3).normal(0.4, 1, (4, 9, 9, channels)).astype(np.float32)


def _block(phase: Phase, **settings: Any) -> ConvBlock:
    block = ConvBlock(phase, 5, 3, activation=None, observed=False, **settings)
    block.build((None, 9, 9, 6))
    rng = np.random.default_rng(7)
    if block.batch_norm:
        for weight, low, high in (
            (block.gamma, -1.5, 1.5),
            (block.beta, -1, 1),
            (block.moving_mean, -1, 1),
            (block.moving_variance, 0.2, 3),
        ):
            weight.assign(rng.uniform(low, high, weight.shape))
    return block


def _convolved(block: ConvBlock, kernel: Array, inputs: Array) -> Array:
    convolve = keras.ops.depthwise_conv if block.depthwise else keras.ops.conv
    return np.asarray(convolve(inputs, kernel, strides=block.strides, padding="same"))


def _spread(block: ConvBlock, factor: Array) -> Array:
    return factor[:, None] if block.depthwise else factor


def _numbers(block: ConvBlock) -> list[Array]:
    names = ("kernel", "gamma", "beta", "moving_mean", "moving_variance")
    return [keras.ops.convert_to_numpy(getattr(block, name)) for name in names]


def _quantized_kernel(kernel: Array, axes: tuple[int, ...] | None) -> Array:
    """Symmetric, 127 steps to each side."""
    scale = np.abs(kernel).max(axis=axes, keepdims=axes is not None) / np.float32(127)
    return (np.round(kernel / scale) * scale).astype(np.float32)


@pytest.mark.parametrize("depthwise", [False, True])
@pytest.mark.parametrize("strides", [1, 2])
def test_inference_is_batch_norm_with_long_term_statistics(depthwise: bool, strides: int) -> None:
    block = _block(Phase(), depthwise=depthwise, strides=strides)
    kernel, gamma, beta, mean, variance = _numbers(block)
    plain = _convolved(block, kernel, _inputs())
    expected = (plain - mean) / np.sqrt(variance + EPSILON) * gamma + beta
    np.testing.assert_allclose(block(_inputs()), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("depthwise", [False, True])
def test_training_is_batch_norm_with_statistics_of_the_batch(depthwise: bool) -> None:
    block = _block(Phase(), depthwise=depthwise, momentum=0.9)
    kernel, gamma, beta, mean, variance = _numbers(block)
    plain = _convolved(block, kernel, _inputs())
    axes = (0, 1, 2)
    expected = (plain - plain.mean(axes)) / np.sqrt(plain.var(axes) + EPSILON) * gamma + beta
    np.testing.assert_allclose(block(_inputs(), training=True), expected, rtol=1e-3, atol=1e-3)
    moved = (mean * 0.9 + plain.mean(axes) * 0.1, variance * 0.9 + plain.var(axes) * 0.1)
    np.testing.assert_allclose(block.moving_mean, moved[0], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(block.moving_variance, moved[1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("mode", ["float", "quantized"])
def test_frozen_batch_norm_trains_as_it_infers_and_keeps_its_statistics(mode: Any) -> None:
    phase = Phase(mode, batch_norm_frozen=True)
    block = _block(phase)
    before = _numbers(block)
    np.testing.assert_array_equal(block(_inputs(), training=True), block(_inputs()))
    for old, new in zip(before, _numbers(block), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize("depthwise", [False, True])
@pytest.mark.parametrize("per_channel", [False, True])
def test_inference_quantises_the_folded_kernel(depthwise: bool, per_channel: bool) -> None:
    block = _block(Phase("quantized"), depthwise=depthwise, per_channel=per_channel)
    kernel, gamma, beta, mean, variance = _numbers(block)
    factor = gamma / np.sqrt(variance + np.float32(EPSILON))
    axes = None
    if per_channel:
        axes = (0, 1) if depthwise else (0, 1, 2)
    folded = _quantized_kernel(kernel * _spread(block, factor), axes)
    expected = _convolved(block, folded, _inputs()) + beta - mean * factor
    # A weight that lies on a tie may round to either side.
    step = np.abs(kernel * _spread(block, factor)).max() / 127
    np.testing.assert_allclose(block(_inputs()), expected, atol=2 * step)
    assert np.abs(np.asarray(block(_inputs())) - expected).mean() < step / 20


def test_live_batch_norm_corrects_the_quantised_kernel_to_the_batch() -> None:
    block = _block(Phase("quantized"), momentum=1.0)
    kernel, gamma, beta, _, variance = _numbers(block)
    plain = _convolved(block, kernel, _inputs())
    batch = np.sqrt(plain.var((0, 1, 2)) + EPSILON)
    long_term = np.sqrt(variance + EPSILON)
    folded = _quantized_kernel(kernel * gamma / long_term, None)
    expected = _convolved(block, folded, _inputs()) * (long_term / batch)
    expected += beta - gamma * plain.mean((0, 1, 2)) / batch
    got = np.asarray(block(_inputs(), training=True))
    assert np.abs(got - expected).mean() < 1e-2
    # The correction matters: without it the result is that of inference.
    assert np.abs(got - np.asarray(block(_inputs()))).mean() > 0.1


def test_a_dead_channel_keeps_a_usable_scale() -> None:
    block = _block(Phase("quantized"), per_channel=True, batch_norm=False)
    kernel = keras.ops.convert_to_numpy(block.kernel).copy()
    kernel[..., 2] = 0
    block.kernel.assign(kernel)
    assert np.isfinite(block(_inputs())).all()
    sizes = np.asarray(block._largest(keras.ops.convert_to_tensor(kernel)))
    assert sizes[2] == pytest.approx(np.abs(kernel).max() * 1e-4)


def test_gradients_pass_the_rounding() -> None:
    tf = pytest.importorskip("tensorflow", reason="gradients are taken with tensorflow")
    block = _block(Phase("quantized"))
    with tf.GradientTape() as tape:
        loss = keras.ops.mean(block(_inputs(), training=True) ** 2)
    gradients = tape.gradient(loss, [w.value for w in block.trainable_variables])
    assert all(np.abs(gradient).max() > 0 for gradient in gradients)


def test_weights_stay_float32_under_mixed_precision() -> None:
    policy = keras.dtype_policies.DTypePolicy("mixed_bfloat16")
    keras.config.set_dtype_policy(policy)
    try:
        block = _block(Phase("quantized"))
        outputs = block(_inputs())
    finally:
        keras.config.set_dtype_policy("float32")
    assert str(keras.backend.standardize_dtype(outputs.dtype)) == "bfloat16"
    assert {str(weight.dtype) for weight in block.weights} == {"float32"}


def test_a_fresh_depthwise_kernel_keeps_the_size_of_its_input() -> None:
    block = ConvBlock(Phase(), 0, 3, depthwise=True, activation=None, observed=False)
    block.build((None, 9, 9, 1024))
    deviation = float(np.std(keras.ops.convert_to_numpy(block.kernel)))
    assert deviation == pytest.approx(np.sqrt(2 / 9), rel=0.05)


# Ranges


def test_a_range_starts_with_the_first_batch_and_then_moves_slowly() -> None:
    layer = ActivationRange(Phase())
    layer(np.array([-1.0, 3.0], np.float32), training=True)
    assert (float(layer.minimum), float(layer.maximum)) == (-1, 3)
    layer(np.array([-2.0, 13.0], np.float32), training=True)
    assert float(layer.minimum) == pytest.approx(-1.02)
    assert float(layer.maximum) == pytest.approx(3.2)


def test_a_range_holds_zero_and_rests_in_inference() -> None:
    layer = ActivationRange(Phase("quantized"))
    layer(np.array([2.0, 5.0], np.float32), training=True)
    layer(np.array([-9.0, 50.0], np.float32))
    assert (float(layer.minimum), float(layer.maximum)) == (0, 5)


def test_a_range_in_float_mode_changes_nothing() -> None:
    values = np.linspace(-3, 3, 1001, dtype=np.float32)
    layer = ActivationRange(Phase())
    np.testing.assert_array_equal(layer(values, training=True), values)


def test_a_range_quantises_to_256_numbers() -> None:
    values = np.linspace(-2, 3, 5001, dtype=np.float32)
    layer = ActivationRange(Phase("quantized"))
    outputs = np.asarray(layer(values, training=True))
    assert len(np.unique(outputs)) == 256
    assert np.abs(outputs - values).max() <= 5 / 255 * 1.01
    assert 0.0 in outputs


def test_every_pixel_passes_its_range_unchanged() -> None:
    pixels = (np.arange(256, dtype=np.float32) - 128) / 128
    layer = ActivationRange(Phase("quantized"), fixed=(-1.0, 127 / 128))
    np.testing.assert_array_equal(layer(pixels), pixels)
    assert layer.variables == []


def test_an_unknown_mode_is_refused() -> None:
    with pytest.raises(ValueError, match="mode is 'int8', expected one of float, quantized"):
        Phase().set_mode("int8")  # type: ignore[arg-type]
