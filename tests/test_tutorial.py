# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Every command of the tutorial runs, in its order, at reduced size."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("keras", reason="training needs keras")
pytest.importorskip("ai_edge_litert", reason="detops bench needs a runtime")

ROOT = Path(__file__).parent.parent
# What fetches things: the test lays them out itself, without a network.
FETCHING = ("pip", "git", "curl")
# A few steps on small pictures make no detector, so its file may differ from it.
REDUCED = {
    "training.train": "image_size=96 steps=6 batch_size=4 quantize_from=2 warmup_steps=1 "
    "freeze_batch_norm_from=4 evaluate_every=0",
    "training.export": "--compare 2 --min-boxes-db 0 --score-mean 1 --score-max 1 "
    "--min-agreement 0",
    "training.data show": "--count 4",
    "detops bench": "--runs 3",
}


def commands() -> list[list[str]]:
    text = (ROOT / "docs/tutorial_pets.md").read_text()
    blocks = re.findall(r"```sh\n(.*?)```", text, re.S)
    return [shlex.split(line) for block in blocks for line in block.splitlines()]


def reduced(command: list[str]) -> list[str]:
    if command[0] == "detops":
        command = ["python", "-m", *command]
    words = [sys.executable, *command[1:]]
    called = " ".join(command[2:])
    for name, more in REDUCED.items():
        if called.startswith(name):
            words += shlex.split(more)
    return words


def lay_out(folder: Path, data: Path) -> None:
    """What the fetching commands of the tutorial leave behind, and the clone."""
    (folder / "training").symlink_to(ROOT / "training")
    (folder / "data").mkdir()
    (folder / "data/pets").symlink_to(data / "pets")
    weights = "mobilenet_v1_0.75_192_quant.tflite"
    (folder / "data" / weights).symlink_to(data / "weights" / weights)


def test_every_command(data_dir: Path, tmp_path: Path) -> None:
    lay_out(tmp_path, data_dir)
    ran = []
    for command in commands():
        if command[0] in FETCHING:
            continue
        environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
        done = subprocess.run(
            reduced(command),
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{shlex.join(command)}\n{done.stdout}\n{done.stderr}"
        ran.append(command)
    assert len(ran) >= 8
    for path in (
        "samples.png",
        "records/label_map.pbtxt",
        "runs/pets/report.json",
        "runs/pets/curves.png",
        "exported/pets_int8.tflite",
        "exported/pets_dequantize.tflite",
        "found.jpg",
    ):
        assert (tmp_path / path).stat().st_size > 0
