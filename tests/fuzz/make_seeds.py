# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Writes the seeds of the C++ fuzz targets into tests/fuzz/seeds: the same bytes each time.

Option blocks are what flexbuffer writers emit, whole and damaged. The other targets draw all they
need from their bytes, so theirs are random ones, long enough to be drawn from to the end.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from flatbuffers import flexbuffers

SEEDS = Path(__file__).parent / "seeds"
# Bytes that one run of a target draws at most, or so.
DRAWN = {"op": 500, "postprocess": 200, "kernels": 250, "nms": 150, "delegate": 350, "c_api": 300}
PER_TARGET = 8

USUAL = {
    "detections_per_class": 100,
    "h_scale": 5.0,
    "max_classes_per_detection": 1,
    "max_detections": 10,
    "nms_iou_threshold": 0.6,
    "nms_score_threshold": 1e-8,
    "num_classes": 90,
    "use_regular_nms": False,
    "w_scale": 5.0,
    "x_scale": 10.0,
    "y_scale": 10.0,
}


def option_blocks() -> dict[str, bytes]:
    """Named blocks as they occur in files, and broken ones."""
    usual = bytes(flexbuffers.Dumps(USUAL))
    extra = {**USUAL, "_output_quantized": True, "_output_types": [0, 0, 0, 0]}
    text = {key: str(value) for key, value in USUAL.items()}
    odd = {**USUAL, "nms_score_threshold": -math.inf, "max_detections": 2**40, "num_classes": -1}
    return {
        "usual": usual,
        "extra_keys": bytes(flexbuffers.Dumps(extra)),
        "text": bytes(flexbuffers.Dumps(text)),
        "odd_numbers": bytes(flexbuffers.Dumps(odd)),
        "nested": bytes(flexbuffers.Dumps({"max_detections": {"num_classes": [1, 2]}})),
        "empty_map": bytes(flexbuffers.Dumps({})),
        "number": bytes(flexbuffers.Dumps(5)),
        "cut": usual[: len(usual) // 2],
        "own_block": bytes(range(1, 60)) + b"\0",
        "empty": b"",
    }


def main() -> None:
    """Replaces all seeds."""
    for name, block in option_blocks().items():
        _write("options", name, block)
    for target, size in DRAWN.items():
        rng = np.random.default_rng(len(target))
        for number in range(PER_TARGET):
            _write(target, f"random_{number}", rng.bytes(size))


def _write(target: str, name: str, content: bytes) -> None:
    folder = SEEDS / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)


if __name__ == "__main__":
    main()
