# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Runs of the trainer: what they leave, how they stop, and that they go on exactly."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("keras")
pytest.importorskip("tensorflow")
pytest.importorskip("PIL")
pytest.importorskip("pycocotools")
pytest.importorskip("matplotlib")

from PIL import Image

from child_process import environment
from training import train as trainer
from training.config import Config
from training.progress import RunLog, read_metrics

_STEPS = 8
_VOC = """<annotation><filename>{name}</filename><size><width>{side}</width><height>{side}</height>
<depth>3</depth></size>{objects}</annotation>"""
_OBJECT = """<object><name>{label}</name><bndbox><xmin>{0}</xmin><ymin>{1}</ymin><xmax>{2}</xmax>
<ymax>{3}</ymax></bndbox></object>"""


@pytest.fixture(scope="module")
def voc(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight images of up to two coloured squares; the first has none."""
    folder = tmp_path_factory.mktemp("voc")
    for part in ("images", "xmls"):
        (folder / part).mkdir()
    rng = np.random.default_rng(0)
    for number in range(8):
        pixels = np.full((80, 80, 3), 40, np.uint8)
        objects = ""
        for label in ("red", "blue")[: number % 3]:
            left, top = (int(value) for value in rng.integers(2, 40, 2))
            pixels[top : top + 30, left : left + 30, 0 if label == "red" else 2] = 220
            objects += _OBJECT.format(left, top, left + 30, top + 30, label=label)
        Image.fromarray(pixels).save(folder / "images" / f"{number}.png")
        text = _VOC.format(name=f"{number}.png", side=80, objects=objects)
        (folder / "xmls" / f"{number}.xml").write_text(text)
    return folder


def _config(voc: Path, **changes: Any) -> Config:
    values: dict[str, Any] = {
        "architecture": "ssd_mobilenet_v1",
        "depth_multiplier": 0.25,
        "image_size": 64,
        "train_data": str(voc),
        "batch_size": 2,
        "max_boxes": 4,
        "steps": _STEPS,
        "learning_rate": 0.02,
        "log_every": 1,
        "checkpoint_every": 2,
    }
    return Config(**{**values, **changes})


def _command(config: Config, out: Path) -> list[str]:
    path = out.parent / f"{out.name}.json"
    path.write_text(json.dumps(config.as_dict()))
    return [sys.executable, "-m", "training.train", str(path), "--out", str(out)]


def _stop_after(step: int, command: list[str], out: Path, number: int) -> tuple[int, str]:
    """Sends a signal as soon as the log has a step; exit code and stderr."""
    process = subprocess.Popen(command, env=environment(), stderr=subprocess.PIPE, text=True)
    _wait_for_step(step, process, out)
    process.send_signal(number)
    _, error = process.communicate(timeout=300)
    return process.returncode, error


def _wait_for_step(
    step: int, process: subprocess.Popen[Any], out: Path, terminal: int | None = None
) -> None:
    metrics = out / "metrics.jsonl"
    deadline = time.monotonic() + 300
    while not any(record["step"] >= step for record in read_metrics(metrics)):
        assert process.poll() is None and time.monotonic() < deadline
        if terminal is not None:
            # It holds a few kilobytes, and then who writes to it waits.
            with contextlib.suppress(BlockingIOError):
                os.read(terminal, 1 << 16)
        time.sleep(0.01)


def _losses(out: Path) -> list[tuple[Any, ...]]:
    names = ("step", "loss", "localization", "classification", "regularization", "learning_rate")
    records = read_metrics(out / "metrics.jsonl")
    return [tuple(record[name] for name in names) for record in records if "loss" in record]


def test_a_killed_run_goes_on_bit_for_bit(voc: Path, tmp_path: Path) -> None:
    config = _config(voc, ema=0.9, quantize_from=5, freeze_batch_norm_from=5)
    trainer.train(config, tmp_path / "whole")
    out = tmp_path / "killed"
    command = _command(config, out)
    code, _ = _stop_after(3, command, out, signal.SIGKILL)
    assert code == -signal.SIGKILL
    ended = subprocess.run(command, env=environment(), check=True, capture_output=True, text=True)
    assert "going on after step" in ended.stderr

    assert _losses(out) == _losses(tmp_path / "whole")
    assert [line[0] for line in _losses(out)] == list(range(1, _STEPS + 1))
    saved = f"checkpoints/step_{_STEPS:08d}.npz"
    with np.load(out / saved) as one, np.load(tmp_path / "whole" / saved) as other:
        assert one.files == other.files
        for key in set(one.files) - {"state"}:
            np.testing.assert_array_equal(one[key], other[key], err_msg=key)


def test_control_c_saves_and_tells_how_to_go_on(voc: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    config = _config(voc, steps=10_000, checkpoint_every=10_000)
    code, error = _stop_after(2, _command(config, out), out, signal.SIGINT)
    assert code == 130
    assert "stopped after step" in error
    assert "the same command goes on from there" in error
    assert "Traceback" not in error
    [path] = (out / "checkpoints").iterdir()
    assert len(_losses(out)) == int(path.stem.partition("_")[2])


def test_a_terminal_that_is_closed_ends_a_run_with_a_checkpoint(voc: Path, tmp_path: Path) -> None:
    """SIGHUP, and streams that take nothing: a window was closed, or a connection lost."""
    out = tmp_path / "run"
    config = _config(voc, steps=10_000, checkpoint_every=10_000)
    pty, termios = pytest.importorskip("pty"), pytest.importorskip("termios")
    fcntl = pytest.importorskip("fcntl")
    ours, theirs = pty.openpty()
    os.set_blocking(ours, False)

    def own_terminal() -> None:
        fcntl.ioctl(theirs, termios.TIOCSCTTY, 0)

    process = subprocess.Popen(
        _command(config, out),
        env=environment(),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        preexec_fn=own_terminal,
    )
    os.close(theirs)
    _wait_for_step(2, process, out, ours)
    os.close(ours)
    assert process.wait(timeout=300) == 128 + signal.SIGHUP
    [path] = (out / "checkpoints").iterdir()
    assert len(_losses(out)) == int(path.stem.partition("_")[2]) < 10_000


def test_what_a_run_leaves(voc: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = _config(
        voc, steps=4, quantize_from=2, evaluate_every=1, validation_data=str(voc), ema=0.5
    )
    report = trainer.train(config, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} >= {
        "best.weights.h5",
        "best_float.weights.h5",
        "checkpoints",
        "config.json",
        "curves.png",
        "labels.txt",
        "last.weights.h5",
        "metrics.jsonl",
        "report.json",
    }
    assert json.loads((tmp_path / "report.json").read_text()) == report
    assert (tmp_path / "labels.txt").read_text() == "blue\nred\n"
    assert report["steps"] == 4
    assert report["config"]["batch_size"] == 2
    assert {"detops", "keras", "tensorflow"} <= set(report["versions"])
    assert report["machine"]["cpu"]
    assert [e["step"] for e in report["evaluations"]] == [1, 2, 3, 4]
    assert [e["quantized"] for e in report["evaluations"]] == [False, False, True, True]
    assert len(report["last"]) == 12 + 3
    assert [c["name"] for c in report["last"]["classes"]] == ["blue", "red"]
    with Image.open(tmp_path / "curves.png") as picture:
        assert picture.width > 600

    again = trainer.train(config, tmp_path)
    assert again["evaluations"] == report["evaluations"]
    with pytest.raises(ValueError, match=r"another run: batch_size was 2 and is 4; give another"):
        trainer.train(config.replace(batch_size=4), tmp_path)
    # That they are gone is said; it is not found out at the export.
    whole = (tmp_path / "best.weights.h5").read_bytes()
    (tmp_path / "best.weights.h5").write_bytes(whole[: len(whole) // 2])
    assert "gone or damaged" not in capsys.readouterr().err
    trainer.train(config, tmp_path)
    assert "best.weights.h5 is gone or damaged" in capsys.readouterr().err
    # Nor are the weights lost where somebody made room.
    shutil.rmtree(tmp_path / "checkpoints")
    with pytest.raises(ValueError, match=r"has weights of another run: batch_size was 2"):
        trainer.train(config.replace(batch_size=4), tmp_path)


@pytest.mark.fault
def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    (tmp_path / "tensorboard").write_text("")
    with pytest.raises(OSError, match="tensorboard cannot be written: "):
        RunLog(tmp_path, steps=4, batch_size=1, every=1)


@pytest.mark.fault
@pytest.mark.parametrize("name", ["checkpoints", "tensorboard", "metrics.jsonl", "report.json"])
def test_what_is_in_the_way_of_a_run_is_told_before_the_first_step(
    voc: Path, tmp_path: Path, name: str
) -> None:
    if not hasattr(os, "mkfifo"):
        pytest.skip("pipes of POSIX")
    os.mkfifo(tmp_path / name)
    kind = "file" if "." in name else "folder"
    with pytest.raises(ValueError, match=rf"{name} is no {kind}, expected one or nothing"):
        trainer.train(_config(voc), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_float_score_does_not_keep_a_quantised_model_away() -> None:
    before = [{"quantized": False, "ap": 0.9}, {"quantized": True, "ap": 0.2}]
    assert trainer.is_best({"quantized": True, "ap": 0.3}, before)
    assert not trainer.is_best({"quantized": True, "ap": 0.1}, before)
    assert not trainer.is_best({"quantized": False, "ap": 0.5}, before)
    assert trainer.is_best({"quantized": True, "ap": None}, [])


def test_the_learned_weights_are_scored_as_their_average() -> None:
    import keras

    from training import schedule
    from training.training_model import averaged_weights

    class Model:
        def __init__(self) -> None:
            self.trainable_variables = [keras.Variable(np.zeros(1))]

    config = Config(architecture="a", steps=9, learning_rate=1.0, ema=0.5)
    model, optimizer = Model(), schedule.optimizer(config)
    [variable] = model.trainable_variables
    for _ in range(2):
        optimizer.apply([np.float32([1.0])], [variable])
    trained = float(np.asarray(variable)[0])
    with averaged_weights(model, optimizer):
        assert trained < float(np.asarray(variable)[0]) < 0
    assert float(np.asarray(variable)[0]) == trained


def test_a_loss_that_is_not_finite_stops_the_run(voc: Path, tmp_path: Path) -> None:
    config = _config(voc, checkpoint_every=1, learning_rate=1e30, gradient_clip=0)
    message = r"^step [2-9]: .*classification is (nan|inf).*; the last checkpoint is .*step_0000"
    with pytest.raises(FloatingPointError, match=message):
        trainer.train(config, tmp_path)


def test_images_without_boxes_train(
    voc: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "only.txt").write_text("0\n3\n6\n")
    config = _config(voc, steps=2, train_list=str(tmp_path / "only.txt"))
    report = trainer.train(config, tmp_path / "run")
    assert report["losses"]["localization"] == 0
    assert 0 < report["losses"]["classification"] < 100
    trainer.train(config, tmp_path / "run")
    assert "not bit for bit" not in capsys.readouterr().err
    # A run that goes on with other pictures says so.
    (tmp_path / "only.txt").write_text("0\n3\n")
    trainer.train(config, tmp_path / "run")
    error = capsys.readouterr().err
    assert "not bit for bit as without a stop: data of 3 pictures (" in error
    assert ") is now of 2 pictures (" in error


@pytest.mark.fault
@pytest.mark.parametrize(
    "line",
    [
        b'{"step": 3, "lo',
        b"\xff\xfe\x00",
        b"[" * 100_000,
        b"[]",
        b'{"step": "many"}',
        b'{"step": NaN}',
        b'{"step": 1, "loss": "low"}',
        b'{"step": 1' + b"0" * 5000 + b"}",
    ],
)
def test_a_log_that_holds_something_else_is_read_around_it(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(b'{"step": 1, "loss": 2.0}\n' + line + b'\n{"step": 2, "loss": 1.0}\n')
    expected = [{"step": 1, "loss": 2.0}, {"step": 2, "loss": 1.0}]
    assert read_metrics(path) == expected
    log = RunLog(tmp_path, steps=4, batch_size=1, every=1)
    log.go_on_from(2, {"step_seconds": 0.0, "timed_steps": 0, "window": []})
    log.close()
    assert len(path.read_bytes().splitlines()) == 2
    assert read_metrics(path) == expected


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (lambda voc: ["nothing", "--out", "x"], "there is no config 'nothing'"),
        (lambda voc: ["ssd_mobilenet_v1_300"], "the following arguments are required: -o/--out"),
        (lambda voc: ["ssd_mobilenet_v1_300", "--out", "x"], "train_data is empty"),
        (
            lambda voc: ["ssd_mobilenet_v1_300", "train_data=/nowhere", "--out", "x"],
            "/nowhere does not exist",
        ),
        (
            lambda voc: ["ssd_mobilenet_v1_300", "bach_size=2", "--out", "x"],
            "did you mean batch_size?",
        ),
        (
            lambda voc: [
                "ssd_mobilenet_v1_300",
                f"train_data={voc}",
                "architecture=vgg",
                "--out",
                "x",
            ],
            "architecture is 'vgg', expected one of",
        ),
    ],
)
def test_errors_of_use_are_one_line(
    voc: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: Callable[[Path], list[str]],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    try:
        code = trainer.main(arguments(voc))
    except SystemExit as end:
        code = int(end.code or 0)
    assert code == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("training.train: error: ")
    assert message in line
