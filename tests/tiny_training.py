# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""A detector small enough to be trained in seconds by several processes, and the program of each.

    python tests/tiny_training.py DEVICES CONFIG [key=value ...] --out RUN_DIR

is `python -m training.train` with the architecture "tiny" and a number of devices, which have to be
made before the backend starts.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

import child_process

SIDE = 32
STOP_IN_SCORING = "TINY_STOP_IN_SCORING"
"""Environment variable: the file that a process writes when it stops in its first scoring."""
_VOC = """<annotation><filename>{name}</filename><size><width>{side}</width><height>{side}</height>
<depth>3</depth></size>{objects}</annotation>"""
_OBJECT = """<object><name>{label}</name><bndbox><xmin>{0}</xmin><ymin>{1}</ymin><xmax>{2}</xmax>
<ymax>{3}</ymax></bndbox></object>"""


def tiny(plan: Any) -> Any:
    """Every kind of layer once, and feature maps in which batch norm sees many cells."""
    import keras

    from detops import ssd_anchors
    from training.models.box_predictor import BoxPredictor

    class Backbone(keras.layers.Layer):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__(name="backbone")
            blocks = plan.blocks
            self.front = [
                blocks.conv(8, 3, strides=2, name="first"),
                blocks.depthwise(3, name="depthwise"),
                blocks.conv(16, name="pointwise"),
            ]
            self.back = blocks.conv(16, 3, strides=2, name="last")

        def call(self, pixels: Any, training: bool = False) -> list[Any]:
            for block in self.front:
                pixels = block(pixels, training=training)
            return [pixels, self.back(pixels, training=training)]

    class Same(keras.layers.Layer):  # type: ignore[misc]
        def call(self, maps: Any, training: bool = False) -> Any:
            return maps

    side = plan.image_size
    return plan.detector(
        ssd_anchors([(side // 2, side // 2), (side // 4, side // 4)]),
        backbone=Backbone(),
        feature_maps=Same(name="feature_maps"),
        predictor=BoxPredictor(plan.blocks, num_classes=plan.num_classes, anchors_per_cell=(3, 6)),
    )


def write_pictures(folder: Path) -> Path:
    """Eight textured pictures of up to two squares; the first has none."""
    from PIL import Image

    for part in ("images", "xmls"):
        (folder / part).mkdir(parents=True)
    rng = np.random.default_rng(0)
    for number in range(8):
        pixels = rng.integers(0, 160, (48, 48, 3)).astype(np.uint8)
        objects = ""
        for label in ("red", "blue")[: number % 3]:
            left, top = (int(value) for value in rng.integers(2, 26, 2))
            pixels[top : top + 18, left : left + 18, 0 if label == "red" else 2] += 90
            objects += _OBJECT.format(left, top, left + 18, top + 18, label=label)
        Image.fromarray(pixels).save(folder / "images" / f"{number}.png")
        text = _VOC.format(name=f"{number}.png", side=48, objects=objects)
        (folder / "xmls" / f"{number}.xml").write_text(text)
    return folder


def config(pictures: Path, **changes: Any) -> dict[str, Any]:
    """Of a run of six steps, the last two quantised."""
    return {
        "architecture": "tiny",
        "image_size": SIDE,
        "train_data": str(pictures),
        "batch_size": 8,
        "max_boxes": 4,
        "steps": 6,
        "learning_rate": 0.02,
        "gradient_clip": 1.0,
        "quantize_from": 4,
        "log_every": 1,
        "checkpoint_every": 1,
        "keep_checkpoints": 10,
        **changes,
    }


def start(
    values: Mapping[str, Any],
    out: Path | str,
    *,
    backend: str,
    devices: int = 1,
    environment: Mapping[str, str] | None = None,
) -> subprocess.Popen[str]:
    """Starts the program on a config; stderr is for the caller to read."""
    with tempfile.NamedTemporaryFile("w", suffix=".json", delete=False) as file:
        json.dump(values, file)
    settings = {
        "KERAS_BACKEND": backend,
        "XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}",
        "JAX_PLATFORMS": "cpu",
        "CUDA_VISIBLE_DEVICES": "",
    }
    command = [sys.executable, __file__, str(devices), file.name, "--out", str(out)]
    return subprocess.Popen(
        command,
        env=child_process.environment(**settings, **(environment or {})),
        stderr=subprocess.PIPE,
        text=True,
    )


def losses(out: Path) -> list[dict[str, float]]:
    """The log of the steps, without what a clock said."""
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    return [
        {name: value for name, value in line.items() if name != "images_per_second"}
        for line in lines
        if "loss" in line
    ]


def saved(out: Path, step: int) -> dict[str, Any]:
    """The arrays of a checkpoint, by name."""
    with np.load(out / "checkpoints" / f"step_{step:08d}.npz") as archive:
        return {name: archive[name] for name in archive.files if name != "state"}


def _make_devices(number: int) -> None:
    if os.environ.get("KERAS_BACKEND") == "jax":
        return
    import tensorflow as tf

    [cpu] = tf.config.list_physical_devices("CPU")
    part = tf.config.LogicalDeviceConfiguration()
    tf.config.set_logical_device_configuration(cpu, [part] * number)


def _stop_in_scoring(marker: Path) -> None:
    """This process writes a file when it scores a first batch, and does no more."""
    from training import evaluation

    evaluate = evaluation.evaluate

    def stopping(*arguments: Any, **settings: Any) -> Any:
        def stop(*_: object) -> None:
            marker.write_text("")
            time.sleep(600)

        return evaluate(*arguments, **{**settings, "on_batch": stop})

    evaluation.evaluate = stopping


def _main(arguments: list[str]) -> int:
    _make_devices(int(arguments[0]))
    from training import train
    from training.models.architectures import ARCHITECTURES

    ARCHITECTURES["tiny"] = tiny
    if marker := os.environ.get(STOP_IN_SCORING):
        _stop_in_scoring(Path(marker))
    return train.main(arguments[1:])


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1:]))
