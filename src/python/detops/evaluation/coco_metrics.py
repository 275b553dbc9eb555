# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""The twelve numbers of the COCO detection challenge (https://cocodataset.org/#detection-eval)."""

from __future__ import annotations

import contextlib
import io
import math
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detops.evaluation.coco_files import check_detections, read_ground_truth

# Positions in the scorers' tables.
_ALL, _SMALL, _MEDIUM, _LARGE = range(4)
_IOU_50, _IOU_75 = 0, 5
_MOST = -1


@dataclass(frozen=True)
class ClassMetrics:
    """The score of one class. NaN where it has no object."""

    category_id: int
    name: str
    objects: int
    """In the ground truth, crowds not counted."""
    ap: float
    ap50: float


@dataclass(frozen=True)
class CocoMetrics:
    """Average precision and recall, 0 to 1; NaN where there is no object to find.

    All but `ap50` and `ap75` are means over ten IoU thresholds, 0.50 to 0.95; the mean over classes
    takes those that have objects; AP and the recalls by size look at the best 100 detections per
    image and class.
    """

    ap: float
    ap50: float
    """At IoU 0.50."""
    ap75: float
    """At IoU 0.75."""
    ap_small: float
    """Objects of fewer than 32 x 32 pixels."""
    ap_medium: float
    """Objects of 32 x 32 to 96 x 96 pixels."""
    ap_large: float
    """Larger objects."""
    ar1: float
    """With the best detection per image and class."""
    ar10: float
    ar100: float
    ar_small: float
    ar_medium: float
    ar_large: float
    classes: tuple[ClassMetrics, ...]
    """All categories of the ground truth, by their id."""

    def numbers(self) -> dict[str, float]:
        """The twelve numbers by their names, in the order in which COCO lists them."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name != "classes"}


def score_detections(
    ground_truth: Mapping[str, Any] | str | os.PathLike[str],
    detections: Sequence[Mapping[str, Any]],
    *,
    image_ids: Collection[int] | None = None,
) -> CocoMetrics:
    """Scores detections as COCO does, by box.

    Args:
      ground_truth: the content of a COCO annotation file, or the path of one.
      detections: as in a COCO results file: image_id, category_id, bbox [x, y, width, height] in
        pixels, and score.
      image_ids: the images that count, and their detections; None for all of the ground truth.

    Returns:
      The numbers that pycocotools computes; its -1, for nothing to find, becomes NaN.

    Raises:
      ValueError: annotations or detections are not well-formed or do not belong together.
      OSError: the file cannot be read.
      ImportError: neither pycocotools nor faster-coco-eval is installed.
    """
    truth = read_ground_truth(ground_truth)
    found = check_detections(detections, truth)
    if image_ids is not None:
        truth, found = _of_images(set(image_ids), truth, found)
    truth["categories"] = sorted(truth["categories"], key=lambda category: int(category["id"]))
    precision, recall = _tables(truth, found)
    return CocoMetrics(
        ap=_mean(precision[:, :, :, _ALL, _MOST]),
        ap50=_mean(precision[_IOU_50, :, :, _ALL, _MOST]),
        ap75=_mean(precision[_IOU_75, :, :, _ALL, _MOST]),
        ap_small=_mean(precision[:, :, :, _SMALL, _MOST]),
        ap_medium=_mean(precision[:, :, :, _MEDIUM, _MOST]),
        ap_large=_mean(precision[:, :, :, _LARGE, _MOST]),
        ar1=_mean(recall[:, :, _ALL, 0]),
        ar10=_mean(recall[:, :, _ALL, 1]),
        ar100=_mean(recall[:, :, _ALL, _MOST]),
        ar_small=_mean(recall[:, :, _SMALL, _MOST]),
        ar_medium=_mean(recall[:, :, _MEDIUM, _MOST]),
        ar_large=_mean(recall[:, :, _LARGE, _MOST]),
        classes=_by_class(truth, precision),
    )


def _of_images(
    wanted: set[int], truth: dict[str, Any], found: list[dict[str, Any]]
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    unknown = wanted - {image["id"] for image in truth["images"]}
    if unknown:
        raise ValueError(f"image_ids has {min(unknown)}, which is no image of the ground truth")
    kept = {
        "images": [image for image in truth["images"] if image["id"] in wanted],
        "annotations": [box for box in truth["annotations"] if box["image_id"] in wanted],
        "categories": truth["categories"],
    }
    return kept, [detection for detection in found if detection["image_id"] in wanted]


def _by_class(truth: dict[str, Any], precision: NDArray[np.float64]) -> tuple[ClassMetrics, ...]:
    counts = {category["id"]: 0 for category in truth["categories"]}
    for box in truth["annotations"]:
        counts[box["category_id"]] += 1 - box["iscrowd"]
    return tuple(
        ClassMetrics(
            category_id=category["id"],
            name=str(category.get("name", category["id"])),
            objects=counts[category["id"]],
            ap=_mean(precision[:, :, number, _ALL, _MOST]),
            ap50=_mean(precision[_IOU_50, :, number, _ALL, _MOST]),
        )
        for number, category in enumerate(truth["categories"])
    )


def _mean(values: NDArray[np.float64]) -> float:
    # -1 stands for a class without objects, which does not count.
    known = values[values > -1]
    return float(known.mean()) if known.size else math.nan


def _tables(
    truth: dict[str, Any], found: list[dict[str, Any]]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Precision [10 IoUs, 101 recalls, classes, 4 sizes, 3 limits]; recall without the second."""
    index_type, scorer_type = _scorer()
    classes = len(truth["categories"])
    if not truth["images"] or not classes:
        # Nothing to find, which scorers do not expect.
        return np.full((10, 101, classes, 4, 3), -1.0), np.full((10, classes, 4, 3), -1.0)
    indexes = []
    # The scorers report their progress on stdout, where a command's answer goes.
    with contextlib.redirect_stdout(io.StringIO()):
        for boxes in (truth["annotations"], found):
            index = index_type()
            index.dataset = {**truth, "annotations": boxes}
            index.createIndex()
            indexes.append(index)
        scorer = scorer_type(*indexes, "bbox")
        scorer.evaluate()
        scorer.accumulate()
    return np.asarray(scorer.eval["precision"]), np.asarray(scorer.eval["recall"])


def _scorer() -> tuple[Any, Any]:
    """The classes COCO and COCOeval of the faster of the two packages installed."""
    try:
        from faster_coco_eval import COCO, COCOeval_faster
    except ImportError:
        pass
    else:
        return COCO, COCOeval_faster
    try:
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval
    except ImportError as error:
        raise ImportError('scoring needs pycocotools: pip install "detops[eval]"') from error
    return COCO, COCOeval
