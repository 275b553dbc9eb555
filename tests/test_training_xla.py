# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""A step of the smallest recipe under XLA in bfloat16, with what has to stay float32."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

keras = pytest.importorskip("keras", reason="the steps are made with keras")
tf = pytest.importorskip("tensorflow", reason="the steps are compiled by tensorflow")

from training import schedule, train  # noqa: E402
from training.config import load_config  # noqa: E402
from training.training_model import TERMS  # noqa: E402

SIDE = 64


@pytest.fixture
def bfloat16() -> Iterator[None]:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    yield
    keras.config.set_dtype_policy(before)


def _batches() -> Any:
    images = np.random.default_rng(0).integers(0, 256, (2, SIDE, SIDE, 3)).astype(np.uint8)
    truth = {
        "boxes": np.tile(np.float32([0.1, 0.1, 0.6, 0.6]), (2, 4, 1)),
        "classes": np.zeros((2, 4), np.int32),
        "valid": np.array([[True] * 4, [False] * 4]),
    }
    return tf.data.Dataset.from_tensors((images, truth)).repeat()


class _Terms(keras.callbacks.Callback):  # type: ignore[misc]
    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.values = [float(logs[name]) for name in TERMS]


@pytest.mark.parametrize("name", ["ssd_mobilenet_v1_ppn_300"])
@pytest.mark.parametrize("quantized", [False, True])
def test_a_step_compiles_in_bfloat16(
    bfloat16: None, monkeypatch: pytest.MonkeyPatch, name: str, quantized: bool
) -> None:
    rounded: set[str] = set()
    convolved: set[str] = set()
    fake_quantize = keras.quantizers.fake_quant_with_min_max_vars
    convolve = keras.ops.conv

    def note_rounded(inputs: Any, *args: Any, **settings: Any) -> Any:
        rounded.add(keras.backend.standardize_dtype(inputs.dtype))
        return fake_quantize(inputs, *args, **settings)

    def note_convolved(inputs: Any, *args: Any, **settings: Any) -> Any:
        convolved.add(keras.backend.standardize_dtype(inputs.dtype))
        return convolve(inputs, *args, **settings)

    config = load_config(
        name,
        [
            f"image_size={SIDE}",
            "depth_multiplier=0.25",
            "batch_size=2",
            "max_boxes=4",
            "mixed_precision=true",
            "jit_compile=true",
        ],
    )
    detector = train.build_model(config, 2)
    optimizer = schedule.optimizer(config)
    optimizer.build(detector.trainable_variables)
    phase = schedule.Phase(0, 2, quantized=quantized, batch_norm_frozen=False)
    monkeypatch.setattr(keras.quantizers, "fake_quant_with_min_max_vars", note_rounded)
    monkeypatch.setattr(keras.ops, "conv", note_convolved)
    model = train.compile_phase(detector, optimizer, config, phase)
    terms = _Terms()
    model.fit(_batches(), steps_per_epoch=2, callbacks=[terms], verbose=0, shuffle=False)

    assert np.isfinite(terms.values).all()
    assert convolved == {"bfloat16"}
    assert rounded == ({"float32"} if quantized else set())
    assert {v.dtype for v in detector.variables} == {"float32"}
