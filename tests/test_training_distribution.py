# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""The same run on one device and several, under TensorFlow and JAX."""

from __future__ import annotations

import importlib.util
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("keras")
pytest.importorskip("tensorflow")
pytest.importorskip("PIL")
pytest.importorskip("pycocotools")
pytest.importorskip("matplotlib")

import tiny_training
from training import distribution, replicas
from training.config import Config

if importlib.util.find_spec("jax") is None:
    pytest.skip("JAX is not installed", allow_module_level=True)

# Backend, devices, and what else differs from the plain run.
RUNS: dict[str, tuple[str, int, dict[str, Any]]] = {
    "tensorflow": ("tensorflow", 1, {}),
    "tensorflow on 2": ("tensorflow", 2, {}),
    "tensorflow on 4": ("tensorflow", 4, {}),
    "jax": ("jax", 1, {}),
    "jax on 2": ("jax", 2, {}),
    "jax on 4": ("jax", 4, {}),
    "tensorflow on 2, apart": ("tensorflow", 2, {"synchronized_batch_norm": False}),
    "jax on 2, apart": ("jax", 2, {"synchronized_batch_norm": False}),
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders of finished runs, by name."""
    folder = tmp_path_factory.mktemp("runs")
    pictures = tiny_training.write_pictures(folder / "pictures")

    def train(name: str) -> Path:
        backend, devices, changes = RUNS[name]
        kind = "replicas" if devices > 1 else "none"
        process = tiny_training.start(
            tiny_training.config(pictures, distribute=kind, ema=0.5, **changes),
            folder / name,
            backend=backend,
            devices=devices,
        )
        _, error = process.communicate(timeout=600)
        assert process.returncode == 0, error
        return folder / name

    with ThreadPoolExecutor(2) as pool:
        return dict(zip(RUNS, pool.map(train, RUNS), strict=True))


def _check_same_curve(found: Path, expected: Path) -> None:
    ours, theirs = _loss_curve(found), _loss_curve(expected)
    assert ours[:4] == pytest.approx(theirs[:4], rel=2e-6)
    # Quantised steps: a number on a tie may be rounded to either side.
    assert ours[4:] == pytest.approx(theirs[4:], rel=2e-4)


def _loss_curve(run: Path) -> list[float]:
    curve = [line["loss"] for line in tiny_training.losses(run)]
    assert len(curve) == 6
    return curve


def _gradients(run: Path) -> Any:
    """Of step 1, times the learning rate: what momentum holds then."""
    arrays = tiny_training.saved(run, 1)
    return np.concatenate([a.ravel() for name, a in arrays.items() if name.endswith("_momentum")])


@pytest.mark.parametrize(
    "name", ["jax", "tensorflow on 2", "tensorflow on 4", "jax on 2", "jax on 4"]
)
def test_every_backend_and_number_of_devices_has_the_same_loss_curve(
    runs: dict[str, Path], name: str
) -> None:
    # Float and quantised steps, one after another: also the weights between them are the same.
    expected = _loss_curve(runs["tensorflow"])
    assert max(expected) > 1.01 * min(expected)
    _check_same_curve(runs[name], runs["tensorflow"])


@pytest.mark.parametrize(
    "name", ["jax", "tensorflow on 2", "tensorflow on 4", "jax on 2", "jax on 4"]
)
def test_gradients_are_those_of_one_device(runs: dict[str, Path], name: str) -> None:
    expected, found = _gradients(runs["tensorflow"]), _gradients(runs[name])
    # They are clipped to norm 1, and the learning rate is 0.02: the clip is that of the sum.
    assert np.linalg.norm(expected) == pytest.approx(0.02, rel=1e-3)
    assert np.linalg.norm(found - expected) < 1e-5 * np.linalg.norm(expected)


@pytest.mark.parametrize(
    "name", ["jax", "tensorflow on 2", "tensorflow on 4", "jax on 2", "jax on 4"]
)
def test_all_that_is_saved_is_that_of_one_device(runs: dict[str, Path], name: str) -> None:
    # Weights and their averages, long-term statistics, ranges.
    expected, found = tiny_training.saved(runs["tensorflow"], 4), tiny_training.saved(runs[name], 4)
    assert list(found) == list(expected)
    assert [n for n in found if n.endswith("/maximum")]
    for variable, values in expected.items():
        np.testing.assert_allclose(found[variable], values, rtol=1e-4, atol=1e-4, err_msg=variable)


def test_batch_norm_of_each_device_alone_is_the_same_under_both(runs: dict[str, Path]) -> None:
    _check_same_curve(runs["jax on 2, apart"], runs["tensorflow on 2, apart"])
    together = _loss_curve(runs["tensorflow"])[3]
    assert abs(_loss_curve(runs["tensorflow on 2, apart"])[3] - together) > 1e-4 * together


def test_a_jax_run_goes_on_under_tensorflow(runs: dict[str, Path], tmp_path: Path) -> None:
    """Its checkpoint of step 4 is all there is."""
    values = tiny_training.config(runs["jax"].parent / "pictures", ema=0.5)
    checkpoints = tmp_path / "run" / "checkpoints"
    checkpoints.mkdir(parents=True)
    kept = "step_00000004.npz"
    (checkpoints / kept).write_bytes((runs["jax"] / "checkpoints" / kept).read_bytes())
    process = tiny_training.start(values, tmp_path / "run", backend="tensorflow")
    _, error = process.communicate(timeout=600)
    assert process.returncode == 0, error
    assert "not bit for bit as without a stop: backend jax is now tensorflow" in error
    curve = [line["loss"] for line in tiny_training.losses(tmp_path / "run")]
    assert curve == pytest.approx(_loss_curve(runs["jax"])[4:], rel=2e-4)


def test_a_jax_run_is_exported_by_tensorflow(
    runs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files of the run under JAX and of that under TensorFlow find the same."""
    from training.export.__main__ import main
    from training.export.running import FileRunner
    from training.models.architectures import ARCHITECTURES

    monkeypatch.setitem(ARCHITECTURES, "tiny", tiny_training.tiny)
    found = []
    image = np.random.default_rng(0).integers(0, 256, (32, 32, 3)).astype(np.uint8)
    photos = str(runs["jax"].parent / "pictures" / "images")
    for name in ("jax", "tensorflow"):
        out = tmp_path / name
        # The command compares each file with the trained model, and fails if one differs.
        command = [str(runs[name]), "--out", str(out), "--kind", "float", "--photos", photos]
        assert main(command) == 0
        found.append(FileRunner((out / "detector_float.tflite").read_bytes())(image))
    for ours, theirs in zip(*found, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-4)


def _config(**changes: Any) -> Config:
    return Config(architecture="tiny", steps=1, learning_rate=0.1, **changes)


def test_a_batch_that_the_replicas_do_not_divide_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(replicas, "count", lambda: 4)
    message = "batch_size is 6, which the 4 replicas do not divide"
    with pytest.raises(ValueError, match=message), distribution.distributed(_config(batch_size=6)):
        pass


def test_xla_of_tensorflow_on_several_devices_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replicas, "programs", lambda: 2)
    config = _config(jit_compile=True)
    message = "jit_compile is true with 2 replicas of TensorFlow"
    with pytest.raises(ValueError, match=message), distribution.distributed(config):
        pass


@pytest.mark.parametrize(
    ("kind", "message"),
    [("tpu", "TensorFlow finds no TPU"), ("hosts", "TF_CONFIG names no workers, expected")],
)
def test_devices_that_are_not_there_are_named(
    kind: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TF_CONFIG", raising=False)
    with pytest.raises(ValueError, match=message):  # noqa: SIM117
        with distribution.distributed(_config(distribute=kind)):
            pass
