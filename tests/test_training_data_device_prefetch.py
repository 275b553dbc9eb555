# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Batches that are sent ahead are the same batches, where Keras would have put them."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("keras")

SCRIPT = """
import keras
import numpy as np

from training.data.device_prefetch import on_devices

asked = []


def batches():
    for step in range(6):
        asked.append(step)
        truth = {"valid": np.full((4, 3), step % 2 == 0)}
        yield np.full((4, 8, 8, 3), step, np.uint8), truth


first = next(on_devices(batches(), ahead=3))
assert asked == [0, 1, 2, 3], asked
assert len(first[0].sharding.device_set) == 1

keras.distribution.set_distribution(keras.distribution.DataParallel())
images, truth = zip(*on_devices(batches()))
assert [int(batch[0, 0, 0, 0]) for batch in images] == list(range(6))
for step, batch in enumerate(images):
    assert {shard.data.shape for shard in batch.addressable_shards} == {(2, 8, 8, 3)}
    assert batch.dtype == np.uint8
    assert bool(truth[step]["valid"].all()) == (step % 2 == 0)

# Keras takes them as they are.
inputs = keras.Input((8, 8, 3))
model = keras.Model(inputs, keras.layers.Dense(1)(keras.layers.Flatten()(inputs)))
model.compile(loss="mse", optimizer="sgd")
pairs = ((images, truth["valid"][:, :1].astype("float32")) for images, truth in batches())
model.fit(on_devices(pairs), steps_per_epoch=3, verbose=0)
print("sent")
"""


def test_under_jax_on_two_devices() -> None:
    if importlib.util.find_spec("jax") is None:
        pytest.skip("JAX is not installed")
    path = os.pathsep.join([str(Path(__file__).parent.parent), *sys.path])
    settings = {
        "PYTHONPATH": path,
        "KERAS_BACKEND": "jax",
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": "--xla_force_host_platform_device_count=2",
    }
    ended = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        capture_output=True,
        text=True,
        env={**os.environ, **settings},
    )
    assert ended.stdout == "sent\n", ended.stderr


def test_tensorflow_keeps_its_own_way() -> None:
    import keras

    from training.data.device_prefetch import on_devices

    with pytest.raises(ValueError, match="ahead is 0"):
        on_devices([], ahead=0)
    if keras.backend.backend() == "tensorflow":
        batches = object()
        assert on_devices(batches) is batches
