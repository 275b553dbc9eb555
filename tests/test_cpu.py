# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Every instruction set gives the same bits; an unknown one is refused wherever work is done."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import detops
from model_builder import random_case

ISA = "DETOPS_ISA"


def _digest() -> str:
    """All bits of the op, decoding, IoU and suppression over cases of every type."""
    digest = hashlib.sha256()
    for seed in range(300):
        model, inputs = random_case(seed, stock=False, dequantize=False, max_anchors=700)
        boxes, scores = (array.reshape(model.batch, model.rows, -1) for array in inputs[:2])
        anchors = inputs[2] if len(inputs) > 2 else model.anchors
        assert anchors is not None
        found = detops.postprocess(
            boxes,
            scores,
            anchors.astype(model.anchor_dtype),
            detops.Options(**model.options),
            box_quantization=model.box_quantization,
            score_quantization=model.score_quantization,
            anchor_quantization=model.anchor_quantization,
        )
        for array in found:
            digest.update(array.tobytes())
    random = np.random.default_rng(3)
    corners = np.sort(random.random((2000, 2, 2)), axis=1).reshape(-1, 4).astype(np.float32)
    corners[::97] = np.nan
    digest.update(detops.nms(corners, random.random(2000), iou_threshold=0.3).tobytes())
    return digest.hexdigest()


def _run(code: str, isa: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    environment = {**os.environ, ISA: isa, "PYTHONPATH": path}
    return subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("isa", detops.cpu_features().available)
def test_same_bits_with_every_instruction_set(isa: str) -> None:
    done = _run(
        "import test_cpu as t, detops; print(detops.cpu_features().active, t._digest())", isa
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [isa, _digest()]


def test_features_name_what_is_in_use() -> None:
    features = detops.cpu_features()
    assert features.built[0] == "scalar"
    assert set(features.available) <= set(features.built)
    assert features.active in features.available


def test_an_unknown_instruction_set_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ISA, "mmx")
    with pytest.raises(ValueError, match="DETOPS_ISA is mmx, expected one of scalar, "):
        detops.cpu_features()
    with pytest.raises(ValueError, match="DETOPS_ISA is mmx"):
        detops.nms([[0, 0, 1, 1]], [1.0])
    anchors = np.ones((1, 4), np.float32)
    options = detops.Options(num_classes=1)
    with pytest.raises(ValueError, match="DETOPS_ISA is mmx"):
        detops.postprocess(anchors[np.newaxis], anchors[np.newaxis, :, :1], anchors, options)


def test_an_absent_instruction_set_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    features = detops.cpu_features()
    absent = [name for name in features.built if name not in features.available]
    if not absent:
        pytest.skip("this processor runs every instruction set of the build")
    monkeypatch.setenv(ISA, absent[0])
    with pytest.raises(ValueError, match="which this processor does not have"):
        detops.cpu_features()


def test_the_op_refuses_an_unknown_instruction_set(
    runtime: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, _ = random_case(0)
    monkeypatch.setenv(ISA, "mmx")
    interpreter = detops.Interpreter(model_content=model.build(), runtime=runtime)
    with pytest.raises(RuntimeError, match="DETOPS_ISA is mmx"):
        interpreter.allocate_tensors()
