# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Whether a file computes what the trained model computes: numbers, and limits to keep."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from keras import ops
from numpy.typing import NDArray

from detops import Options, iou, postprocess
from training.export.running import FileRunner

Array = NDArray[Any]
# A detection counts from here on, and is the same up to there.
_SURE, _SAME_IOU, _SAME_SCORE = 0.3, 0.9, 0.05


@dataclass(frozen=True)
class Parity:
    """A file against the model it was made of, on the same images."""

    images: int
    boxes_db: float
    """Signal to noise of the box encodings; infinite where they are the same."""
    score_mean: float
    """Mean absolute difference over all scores."""
    score_max: float
    """The largest one."""
    detections: int
    """Of the model, with score 0.3 or more."""
    agreement: float
    """Part of the detections of both that have a partner: same class, IoU 0.9 or more, scores
    within 0.05. NaN without any."""
    exact: bool
    """The file's detections are, bit for bit, those of the op on the network's outputs."""


@dataclass(frozen=True)
class Limits:
    """What a file must keep to."""

    boxes_db: float
    score_mean: float
    score_max: float
    agreement: float

    def broken(self, parity: Parity) -> list[str]:
        """A sentence for each limit that is not kept; NaN in a number of the network breaks it."""
        found = []
        if not parity.boxes_db >= self.boxes_db:
            found.append(f"box encodings {parity.boxes_db:.1f} dB, expected >= {self.boxes_db:g}")
        for name in ("score_mean", "score_max"):
            value, limit = getattr(parity, name), getattr(self, name)
            if not value <= limit:
                found.append(f"{name.replace('_', ' ')} error {value:.4f}, expected <= {limit:g}")
        if parity.agreement < self.agreement:
            found.append(f"agreement {parity.agreement:.3f}, expected >= {self.agreement:g}")
        if not parity.exact:
            found.append("detections are not those of the op on the network's outputs")
        return found


FLOAT_LIMITS = Limits(boxes_db=60.0, score_mean=1e-4, score_max=1e-2, agreement=0.99)
QUANTIZED_LIMITS = Limits(boxes_db=20.0, score_mean=4e-3, score_max=0.15, agreement=0.9)


@dataclass(frozen=True, eq=False)
class Outputs:
    """Of a network for one image."""

    boxes: Array
    """float32 [N, 4] encodings."""
    scores: Array
    """float32 [N, num_classes]."""


def model_outputs(model: Any, images: Sequence[Array], *, quantized: bool) -> list[Outputs]:
    """What a `Detector` makes of images uint8 [S, S, 3]. Its mode is the same afterwards."""
    found = []
    with model.phase.in_mode("quantized" if quantized else "float"):
        for image in images:
            # Called, not predicted: that would keep the function of another mode.
            outputs = model(image[np.newaxis], training=False)
            boxes, scores = outputs["box_encodings"], ops.sigmoid(outputs["logits"])
            found.append(Outputs(*(ops.convert_to_numpy(part)[0] for part in (boxes, scores))))
    return found


def network_outputs(network: bytes, images: Sequence[Array]) -> list[Outputs]:
    """The same of a converted network."""
    run = FileRunner(network)
    return [Outputs(*(part[0] for part in run(image))) for image in images]


def measure(
    trained: Sequence[Outputs],
    network: Sequence[Outputs],
    file: bytes,
    images: Sequence[Array],
    anchors: Array,
    options: Options,
) -> Parity:
    """Compares on images uint8 [S, S, 3]: what the model made of them, what the converted network,
    and what the finished file finds."""
    run = FileRunner(file)
    signal = noise = total = largest = 0.0
    same, partners, counted, sure = True, 0, 0, 0
    for wanted, got, image in zip(trained, network, images, strict=True):
        signal += float(np.square(wanted.boxes, dtype=np.float64).sum())
        noise += float(np.square(np.subtract(wanted.boxes, got.boxes, dtype=np.float64)).sum())
        difference = np.abs(wanted.scores - got.scores)
        total, largest = total + float(difference.mean()), max(largest, float(difference.max()))
        found = run(image)
        expected = _detections(got, anchors, options)
        same = same and all(map(np.array_equal, found, expected))
        pair = _sure(_detections(wanted, anchors, options)), _sure(found)
        partners += 2 * count_partners(*pair)
        counted, sure = counted + len(pair[0][0]) + len(pair[1][0]), sure + len(pair[0][0])
    return Parity(
        images=len(images),
        boxes_db=_decibels(signal, noise),
        score_mean=total / len(images),
        score_max=largest,
        detections=sure,
        agreement=partners / counted if counted else math.nan,
        exact=same,
    )


def count_partners(
    ours: Sequence[Array], theirs: Sequence[Array], *, score: float = _SAME_SCORE
) -> int:
    """How many of two lists of detections (boxes [D, 4], classes [D], scores [D]) are the same."""
    if not len(ours[0]) or not len(theirs[0]):
        return 0
    overlaps = np.asarray(iou(ours[0], theirs[0]))
    overlaps[ours[1][:, np.newaxis] != theirs[1]] = 0
    overlaps[np.abs(ours[2][:, np.newaxis] - theirs[2]) > score] = 0
    count = 0
    for row in range(len(overlaps)):
        best = int(overlaps[row].argmax())
        if overlaps[row, best] >= _SAME_IOU:
            count += 1
            # Each has one partner.
            overlaps[:, best] = 0
    return count


def _detections(outputs: Outputs, anchors: Array, options: Options) -> list[Array]:
    boxes, scores = outputs.boxes[np.newaxis], outputs.scores[np.newaxis]
    return list(postprocess(boxes, scores, anchors, options))


def _sure(found: Sequence[Array]) -> list[Array]:
    boxes, classes, scores, _ = (part[0] for part in found)
    keep = scores >= _SURE
    return [boxes[keep], classes[keep], scores[keep]]


def _decibels(signal: float, noise: float) -> float:
    if noise == 0:
        return math.inf
    return 10 * math.log10(signal / noise) if signal > 0 else -math.inf
