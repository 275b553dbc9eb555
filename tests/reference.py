# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""The op as its contract words it, slow and obvious, in plain loops: the tests' first oracle.

Everything here works on one image. float32 and float64 operations are written one by one in the
stated order, because the order of roundings is part of the contract.
"""

from __future__ import annotations

import math
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_builder import PostprocessModel

Floats = NDArray[np.float32]
Quantization = tuple[float, int]

# Stock's aarch64 build contracts two expressions into fused multiply-adds.
FUSED = platform.machine().lower() in ("aarch64", "arm64")
BLOCK = 8
# A model and its graph inputs.
Case = tuple[PostprocessModel, list[NDArray[Any]]]


@dataclass(frozen=True)
class Found:
    """The outputs for one image, with the anchor behind each kept box for the tests' own use."""

    boxes: Floats
    """[M, 4], zero past the detections; likewise below."""
    classes: Floats
    scores: Floats
    count: int
    anchors: list[int]


# --- dequantisation ----------------------------------------------------------------------------


@np.errstate(all="ignore")
def dequantize(
    values: NDArray[Any], quantization: Quantization | None, blocks_of_eight: bool = False
) -> Floats:
    """F1 everywhere; with `blocks_of_eight` another formula in whole blocks of the flat array."""
    if quantization is None:
        return values.astype(np.float32)
    scale, zero_point = np.float32(quantization[0]), quantization[1]
    q = values.reshape(-1).astype(np.float32)
    real = (q - np.float32(zero_point)) * scale
    if blocks_of_eight:
        whole = q.size - q.size % BLOCK
        offset = np.float32(-zero_point) * scale
        if FUSED:
            # An 8-bit integer times a float32, plus a float32 of like size, is exact in double.
            exact = q[:whole].astype(np.float64) * np.float64(scale) + np.float64(offset)
            real[:whole] = exact.astype(np.float32)
        else:
            real[:whole] = q[:whole] * scale + offset
    return real.reshape(values.shape)


# --- boxes -------------------------------------------------------------------------------------


def _exp(value: float) -> float:
    # math.exp is the C library's, as the op's is; numpy.exp has vector code with other last bits.
    try:
        return math.exp(value)
    except OverflowError:
        return math.inf


def _centre(term: float, size: float, centre: float) -> np.float32:
    if FUSED and all(math.isfinite(v) for v in (term, size, centre)):
        return np.float32(float(Fraction(term) * Fraction(size) + Fraction(centre)))
    return np.float32(np.float64(term) * np.float64(size) + np.float64(centre))


def decode(
    encodings: Floats, anchors: Floats, scales: Sequence[float] = (10.0, 10.0, 5.0, 5.0)
) -> Floats:
    """[N, K >= 4] encodings and [N, 4] anchors to [N, 4] corners."""
    y_scale, x_scale, h_scale, w_scale = (np.float64(np.float32(scale)) for scale in scales)
    boxes = np.empty((len(encodings), 4), np.float32)
    with np.errstate(all="ignore"):
        for row, (encoding, anchor) in enumerate(zip(encodings, anchors, strict=True)):
            ey, ex, eh, ew = (np.float64(value) for value in encoding[:4])
            ay, ax, ah, aw = (np.float64(value) for value in anchor)
            yc = _centre(ey / y_scale, ah, ay)
            xc = _centre(ex / x_scale, aw, ax)
            half_h = np.float32(np.float64(0.5) * np.float64(_exp(eh / h_scale)) * ah)
            half_w = np.float32(np.float64(0.5) * np.float64(_exp(ew / w_scale)) * aw)
            boxes[row] = yc - half_h, xc - half_w, yc + half_h, xc + half_w
    return boxes


def has_negative_size(box: Floats) -> bool:
    """True for a box that stock refuses; a NaN corner is not one."""
    return bool(box[0] > box[2] or box[1] > box[3])


def _area(boxes: Floats) -> Floats:
    area: Floats = (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])
    return area


def iou(better: Floats, others: Floats) -> Floats:
    """[4] against [N, 4]: [N]. Which box is the better one decides only where NaN is about."""

    def greater(p: Any, q: Any) -> Any:
        return np.where(p < q, q, p)

    def lesser(p: Any, q: Any) -> Any:
        return np.where(q < p, q, p)

    with np.errstate(all="ignore"):
        area_i, area_j = _area(better), _area(others)
        height = lesser(better[2], others[:, 2]) - greater(better[0], others[:, 0])
        width = lesser(better[3], others[:, 3]) - greater(better[1], others[:, 1])
        zero = np.float32(0)
        intersection = greater(height, zero) * greater(width, zero)
        ratio = intersection / ((area_i + area_j) - intersection)
        overlap: Floats = np.where((area_i <= 0) | (area_j <= 0), zero, ratio)
    return overlap


# --- suppression -------------------------------------------------------------------------------


def nms(
    boxes: Floats,
    scores: Floats,
    iou_threshold: float,
    score_threshold: float = -math.inf,
    limit: int | None = None,
) -> list[int]:
    """Indices of the boxes kept, best first; boxes of negative size take no part."""
    limit = len(boxes) if limit is None else limit
    candidates = [
        i
        for i in range(len(boxes))
        if scores[i] >= np.float32(score_threshold) and not has_negative_size(boxes[i])
    ]
    candidates.sort(key=lambda i: (-scores[i], i))
    kept: list[int] = []
    while candidates and len(kept) < limit:
        best, *rest = candidates
        kept.append(best)
        overlaps = iou(boxes[best], boxes[rest])
        survives = ~(overlaps > np.float32(iou_threshold))
        candidates = [i for i, alive in zip(rest, survives, strict=True) if alive]
    return kept


def batched_nms(
    boxes: Floats,
    scores: Floats,
    classes: NDArray[Any],
    iou_threshold: float,
    score_threshold: float = -math.inf,
    limit: int | None = None,
) -> list[int]:
    """`nms` in each class, all that is kept by score descending, index ascending."""
    kept: list[int] = []
    for value in sorted(set(classes.tolist())):
        own = np.flatnonzero(classes == value)
        kept += own[nms(boxes[own], scores[own], iou_threshold, score_threshold)].tolist()
    kept.sort(key=lambda i: (-scores[i], i))
    return kept if limit is None else kept[:limit]


# --- the op ------------------------------------------------------------------------------------


def postprocess(
    encodings: Floats, scores: Floats, anchors: Floats, options: Mapping[str, Any]
) -> Found:
    """The op on float arrays [N, K], [N, Cb], [N, 4]."""
    names = ("y_scale", "x_scale", "h_scale", "w_scale")
    boxes = decode(encodings, anchors, [options[name] for name in names])
    foreground = scores[:, scores.shape[1] - options["num_classes"] :]
    mode = _regular if options["use_regular_nms"] else _fast
    return mode(boxes, foreground, options)


def _empty(options: Mapping[str, Any]) -> Found:
    slots = options["max_detections"] * options["max_classes_per_detection"]
    boxes = np.zeros((slots, 4), np.float32)
    classes, scores = np.zeros((2, slots), np.float32)
    return Found(boxes, classes, scores, 0, [])


def rank_classes(row: Floats) -> list[int]:
    """Classes by score, descending, NaN last; ties in ascending order."""
    return sorted(range(len(row)), key=lambda c: (math.isnan(row[c]), -row[c], c))


def _fast(boxes: Floats, scores: Floats, options: Mapping[str, Any]) -> Found:
    best = np.array([row[rank_classes(row)[0]] for row in scores], np.float32)
    kept = nms(
        boxes,
        best,
        options["nms_iou_threshold"],
        options["nms_score_threshold"],
        options["max_detections"],
    )
    out = _empty(options)
    per_anchor = options["max_classes_per_detection"]
    for place, anchor in enumerate(kept):
        for rank, c in enumerate(rank_classes(scores[anchor])[:per_anchor]):
            slot = place * per_anchor + rank
            out.boxes[slot], out.classes[slot], out.scores[slot] = (
                boxes[anchor],
                c,
                scores[anchor, c],
            )
    return Found(out.boxes, out.classes, out.scores, len(kept), kept)


def _regular(boxes: Floats, scores: Floats, options: Mapping[str, Any]) -> Found:
    limit = options["max_detections"]
    union: list[tuple[Any, int, int, int]] = []
    for c in range(scores.shape[1]):
        kept = nms(
            boxes,
            scores[:, c],
            options["nms_iou_threshold"],
            options["nms_score_threshold"],
            min(options["detections_per_class"], limit),
        )
        union += [(-scores[anchor, c], c, place, anchor) for place, anchor in enumerate(kept)]
    union.sort(key=lambda entry: entry[:3])
    out = _empty(options)
    for slot, (_, c, _, anchor) in enumerate(union[:limit]):
        out.boxes[slot], out.classes[slot], out.scores[slot] = boxes[anchor], c, scores[anchor, c]
    anchors = [entry[3] for entry in union[:limit]]
    return Found(out.boxes, out.classes, out.scores, len(anchors), anchors)


# --- comparison --------------------------------------------------------------------------------


def bits(values: NDArray[Any]) -> NDArray[np.uint32]:
    """float32 values as integers: every NaN, and the sign of zero, counts.

    Which of two NaN operands an addition returns is the processor's and compiler's business, so
    all NaN are made one.
    """
    assert values.dtype == np.float32, values.dtype
    canonical = np.where(np.isnan(values), np.float32(np.nan), values)
    return np.ascontiguousarray(canonical).view(np.uint32)


def assert_same_bits(got: NDArray[Any], expected: NDArray[Any], what: str) -> None:
    """Equal shapes and equal bits, with the first difference in the message."""
    assert got.shape == expected.shape, f"{what}: shape {got.shape}, expected {expected.shape}"
    differ = np.argwhere(bits(got) != bits(expected))
    if len(differ):
        first = tuple(int(i) for i in differ[0])
        raise AssertionError(
            f"{what}: {len(differ)} of {got.size} differ, first at {first}: "
            f"{got[first]!r}, expected {expected[first]!r}"
        )


# --- models ------------------------------------------------------------------------------------


def raw_inputs(case: Case) -> list[NDArray[Any]]:
    """Boxes [B, N, K], scores [B, N, Cb] and anchors [N, 4] as stored."""
    model, inputs = case
    boxes = inputs[0].reshape(model.batch, model.rows, model.box_columns)
    scores = inputs[1].reshape(model.batch, model.rows, model.class_columns)
    anchors = inputs[2] if model.anchors is None else model.anchors.astype(model.anchor_dtype)
    return [boxes, scores, anchors]


def seen_as_floats(case: Case) -> list[NDArray[Any]]:
    """The same as float32, rounded as stock rounds them in that place of the graph."""
    model, _ = case
    boxes, scores, anchors = raw_inputs(case)
    own_scores = model.score_dtype == np.uint8 and not model.dequantize
    constant_int8 = model.anchor_dtype == np.int8 and model.dequantize and model.anchors is not None
    # Blocks are counted in each image: stock has no batches.
    images = [
        dequantize(image, model.score_quantization, blocks_of_eight=own_scores) for image in scores
    ]
    return [
        dequantize(boxes, model.box_quantization),
        np.stack(images),
        dequantize(anchors, model.anchor_quantization, blocks_of_eight=constant_int8),
    ]


def assert_like_reference(ours: Sequence[NDArray[Any]], case: Case, what: str) -> None:
    """The op's four outputs, for every image of the batch, are what `postprocess` gives."""
    options = case[0].options
    assert isinstance(options, Mapping)
    images = zip(*seen_as_floats(case)[:2], strict=True)
    anchors = seen_as_floats(case)[2]
    for image, (boxes, scores) in enumerate(images):
        found = postprocess(boxes, scores, anchors, options)
        label = f"{what}, image {image}"
        assert ours[3][image] == found.count, f"{label}: {ours[3][image]}, expected {found.count}"
        assert_same_bits(ours[0][image], found.boxes, f"{label}: boxes")
        if options["use_regular_nms"] or options["max_classes_per_detection"] == 1:
            assert_same_bits(ours[1][image], found.classes, f"{label}: classes")
            assert_same_bits(ours[2][image], found.scores, f"{label}: scores")
        else:
            _assert_ranked(ours[1][image], ours[2][image], found, scores, options, label)


def _assert_ranked(
    classes: Floats,
    class_scores: Floats,
    found: Found,
    scores: Floats,
    options: Mapping[str, Any],
    what: str,
) -> None:
    """Several classes per anchor: the order of tied classes is the C++ library's, not the op's."""
    np.testing.assert_array_equal(class_scores, found.scores, what)
    foreground = scores[:, scores.shape[1] - options["num_classes"] :]
    per_anchor = options["max_classes_per_detection"]
    ranks = min(per_anchor, options["num_classes"])
    written = np.zeros(len(classes), bool)
    for place, anchor in enumerate(found.anchors):
        slots = slice(place * per_anchor, place * per_anchor + ranks)
        written[slots] = True
        ranked = classes[slots].astype(int)
        assert len(set(ranked.tolist())) == ranks, f"{what}: a class comes twice"
        assert_same_bits(class_scores[slots], foreground[anchor, ranked], f"{what}: scores")
    assert not classes[~written].any(), f"{what}: classes past the count"
