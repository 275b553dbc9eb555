# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""The post-processing problems that are timed: usual shapes with realistic scores, and bad days."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import detops

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from model_builder import PostprocessModel, default_options

Array = NDArray[Any]

NEARLY_ZERO = 1e-8
SHAPES = ("1917x91", "12804x91", "19206x90", "51150x91")
DTYPES = ("int8", "uint8", "float32")
_CLASSES = 90
# Of an 8-bit export: sigmoid scores, encodings of a few units, anchors in [0, 1].
_SCORE_SCALE = 1 / 256
_BOX_SCALE = 0.06
_ANCHOR_SCALE = 1 / 255


@dataclass(frozen=True)
class OpCase:
    """One problem, named as it appears in the report."""

    shape: str
    dtype: str
    mode: str
    threshold: float
    scores: str = "realistic"
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        threshold = "~0" if self.threshold == NEARLY_ZERO else f"{self.threshold:g}"
        extra = "".join(f" {key}={value}" for key, value in self.options.items())
        scores = "" if self.scores == "realistic" else f" {self.scores}"
        return f"{self.shape} {self.dtype} {self.mode} thr {threshold}{scores}{extra}"

    def build(self) -> tuple[bytes, list[Array]]:
        """The model and its inputs."""
        rows, columns = (int(side) for side in self.shape.split("x"))
        anchors = _anchors(rows)
        if self.scores == "all overlap":
            anchors = np.repeat(anchors[rows // 2][np.newaxis], rows, axis=0)
        if self.scores == "none overlaps":
            side = int(np.ceil(np.sqrt(rows)))
            grid = np.stack(np.divmod(np.arange(rows), side), axis=1) / side
            size = np.full((rows, 2), 0.5 / side)
            anchors = np.concatenate([grid, size], axis=1).astype(np.float32)
        encodings, scores = _outputs(anchors, columns, self.scores)
        options = default_options(
            _CLASSES,
            max_detections=100,
            use_regular_nms=self.mode == "regular",
            nms_score_threshold=self.threshold,
        )
        return _model(self.dtype, anchors, encodings, scores, {**options, **self.options})


def usual_cases() -> list[OpCase]:
    """Every shape, type, mode and threshold."""
    return [
        OpCase(shape, dtype, mode, threshold)
        for shape in SHAPES
        for dtype in DTYPES
        for mode in ("fast", "regular")
        for threshold in (0.3, 0.05, NEARLY_ZERO)
    ]


def adversarial_cases() -> list[OpCase]:
    """Problems made to defeat the shortcuts."""
    cases = [
        OpCase("19206x90", dtype, mode, -np.inf, options={"max_detections": 25})
        for dtype in ("int8", "float32")
        for mode in ("fast", "regular")
    ]
    for scores in ("all equal", "none overlaps", "all overlap"):
        for mode in ("fast", "regular"):
            cases.append(OpCase("12804x91", "int8", mode, NEARLY_ZERO, scores))
            cases.append(OpCase("1917x91", "float32", mode, NEARLY_ZERO, scores))
    cases += [
        OpCase("12804x91", "int8", mode, NEARLY_ZERO, options={"max_detections": 1000})
        for mode in ("fast", "regular")
    ]
    return cases


def _anchors(rows: int) -> Array:
    """The anchors of the detectors that have so many."""
    return {
        1917: lambda: detops.ssd_anchors(),
        12804: lambda: detops.multiscale_anchors(320),
        19206: lambda: detops.multiscale_anchors(320, scales_per_octave=3),
        51150: lambda: detops.multiscale_anchors(640),
    }[rows]()


def _outputs(anchors: Array, columns: int, kind: str) -> tuple[Array, Array]:
    """Encodings [1, N, 4] and scores [1, N, columns] of a picture with a dozen objects.

    An anchor that overlaps an object by half or more finds it, the better the closer; all others
    see background, a little differently for each class.
    """
    random = np.random.default_rng(7)
    rows = len(anchors)
    encodings = random.normal(0, 0.5, (rows, 4)).astype(np.float32)
    logits = random.normal(-7.0, 1.2, (rows, columns))
    objects = anchors[random.choice(rows, 12, replace=False)].copy()
    objects[:, 2:] *= random.uniform(0.8, 1.25, (12, 2))
    for centre, overlap in zip(
        objects, detops.iou(_corners(objects), _corners(anchors)), strict=True
    ):
        found = overlap > 0.5
        logits[found, random.integers(1, columns)] = 8 * overlap[found] - 4.5
        encodings[found, :2] = 10 * (centre[:2] - anchors[found, :2]) / anchors[found, 2:]
        encodings[found, 2:] = 5 * np.log(centre[2:] / anchors[found, 2:])
    scores = 1 / (1 + np.exp(-logits))
    if kind == "all equal":
        scores[:] = 0.5
    return encodings[np.newaxis], scores[np.newaxis].astype(np.float32)


def _corners(boxes: Array) -> Array:
    half = boxes[:, 2:] / 2
    return np.concatenate([boxes[:, :2] - half, boxes[:, :2] + half], axis=1)


def _model(
    dtype: str, anchors: Array, encodings: Array, scores: Array, options: dict[str, Any]
) -> tuple[bytes, list[Array]]:
    columns = scores.shape[2]
    if dtype == "float32":
        model = PostprocessModel(class_columns=columns, anchors=anchors, options=options)
        return model.build(), [encodings, scores]
    # int8 is what a converter writes today: DEQUANTIZE in front of the op. uint8 is what it wrote
    # in 2018, and the only 8-bit type that the stock op reads by itself.
    signed = dtype == "int8"
    zero = 0 if signed else 128
    boxes_q = _quantize(encodings, _BOX_SCALE, zero, dtype)
    scores_q = _quantize(scores, _SCORE_SCALE, zero - 128, dtype)
    model = PostprocessModel(
        class_columns=columns,
        anchors=anchors if signed else _quantize(anchors, _ANCHOR_SCALE, 0, dtype),
        box_dtype=dtype,
        score_dtype=dtype,
        anchor_dtype=np.float32 if signed else dtype,
        box_quantization=(_BOX_SCALE, zero),
        score_quantization=(_SCORE_SCALE, zero - 128),
        anchor_quantization=None if signed else (_ANCHOR_SCALE, 0),
        dequantize=signed,
        options=options,
    )
    return model.build(), [boxes_q, scores_q]


def _quantize(values: Array, scale: float, zero: int, dtype: str) -> Array:
    limits = np.iinfo(dtype)
    return np.clip(np.round(values / scale) + zero, limits.min, limits.max).astype(dtype)
