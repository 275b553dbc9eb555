# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""A detector's answers to the pictures of a data set, in the form of COCO's results."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from detops.detector import Box, Detection, Detector, load_image
from detops.evaluation.skipped import Skipped
from detops.labels import BACKGROUND_NAMES

if TYPE_CHECKING:
    from PIL import Image

_NAMED = 10


@dataclass(frozen=True)
class LabelMatch:
    """Which category each class of a model is."""

    category_ids: dict[int, int]
    """By the model's class index."""
    other_labels: tuple[str, ...]
    """Labels that no category has: what is found of them cannot be scored."""


@dataclass(frozen=True)
class ModelRun:
    """What a detector found in a data set."""

    detections: list[dict[str, Any]]
    """As `score_detections` takes them: bbox is [x, y, width, height] in pixels."""
    image_ids: tuple[int, ...]
    """The pictures that were looked at."""
    skipped: tuple[Skipped, ...]
    """Those that could not be."""
    labels: LabelMatch


def match_labels(labels: Sequence[str], categories: Sequence[Mapping[str, Any]]) -> LabelMatch:
    """Matches class names with the categories of a ground truth, without regard to case.

    A model may know more classes than the ground truth, not fewer: a category that it does not
    know is more likely a name spelt differently than a class nobody meant to find.

    Args:
      labels: entry i names the model's class i; "???" and the background match nothing.
      categories: objects with id and name.

    Raises:
      ValueError: a category has no label, or two have the same name; the message lists the
        categories without a label and the labels without a category.
    """
    ids: dict[str, int] = {}
    for category in categories:
        name = _key(category.get("name", ""))
        if name in ids:
            raise ValueError(f"two categories have the name {category.get('name')!r}")
        ids[name] = category["id"]
    keys = [_key(label) for label in labels]
    matched = {number: ids[key] for number, key in enumerate(keys) if key in ids}
    unnamed = {_key(name) for name in BACKGROUND_NAMES}
    others = [
        label
        for label, key in zip(labels, keys, strict=True)
        if key not in ids and key not in unnamed
    ]
    lacking = [str(c.get("name")) for c in categories if c["id"] not in matched.values()]
    if lacking:
        raise ValueError(
            f"{len(lacking)} of {len(categories)} categories have no label in the model: "
            f"{_listed(lacking)}; labels without a category: {_listed(others)}"
        )
    return LabelMatch(matched, tuple(others))


def run_detector(
    detector: Detector,
    ground_truth: Mapping[str, Any],
    images: str | os.PathLike[str],
    *,
    limit: int | None = None,
    on_image: Callable[[], None] = lambda: None,
) -> ModelRun:
    """Runs a detector over the pictures of a ground truth.

    Boxes are clipped to the picture, where the objects were annotated. A picture that is missing,
    damaged or of another size than stated is left out.

    Args:
      detector: with threshold 0, since all detections count; the limits of the model's op apply.
      ground_truth: "images", each with id and file_name, and "categories", as in COCO annotations.
      images: the folder of the pictures.
      limit: the first so many pictures only.
      on_image: called after each picture.

    Raises:
      ValueError: the detector's threshold is above 0, its labels do not match the categories (see
        `match_labels`), or not one picture can be used.
    """
    if detector.threshold > 0:
        raise ValueError(f"the detector's threshold is {detector.threshold}, expected 0 for scores")
    labels = match_labels(detector.labels, ground_truth["categories"])
    detections: list[dict[str, Any]] = []
    image_ids: list[int] = []
    skipped: list[Skipped] = []
    for entry in ground_truth["images"][:limit]:
        picture = _picture(Path(images), entry)
        if isinstance(picture, Skipped):
            skipped.append(picture)
        else:
            found = detector.detect(picture)
            detections += _results(found, labels, entry["id"], picture.size)
            image_ids.append(entry["id"])
        on_image()
    if not image_ids:
        raise ValueError(_nothing(os.fspath(images), skipped))
    return ModelRun(detections, tuple(image_ids), tuple(skipped), labels)


def _picture(folder: Path, entry: Mapping[str, Any]) -> Image.Image | Skipped:
    name = str(entry.get("file_name", ""))
    try:
        picture = load_image(folder / name)
    except FileNotFoundError:
        return Skipped(name, "picture not found")
    except (ValueError, OSError, MemoryError) as error:
        return Skipped(name, "picture not readable", str(error))
    stated = (entry.get("width", picture.width), entry.get("height", picture.height))
    if stated != picture.size:
        # Its boxes would be those of another picture.
        detail = f"{picture.width} x {picture.height}, expected {stated[0]} x {stated[1]}"
        return Skipped(name, "picture of another size than stated", detail)
    return picture


def _results(
    found: Sequence[Detection], labels: LabelMatch, image_id: int, size: tuple[int, int]
) -> list[dict[str, Any]]:
    return [
        {
            "image_id": image_id,
            "category_id": labels.category_ids[detection.class_index],
            "bbox": _pixels(detection.box, size),
            "score": detection.score,
        }
        for detection in found
        if detection.class_index in labels.category_ids
    ]


def _pixels(box: Box, size: tuple[int, int]) -> list[float]:
    ymin, xmin, ymax, xmax = (min(max(edge, 0.0), 1.0) for edge in box)
    width, height = size
    # Boxes may be inside out; those have no area.
    sides = [max(xmax - xmin, 0.0) * width, max(ymax - ymin, 0.0) * height]
    return [xmin * width, ymin * height, *sides]


def _key(name: object) -> str:
    return " ".join(str(name).split()).casefold()


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return (", ".join(map(repr, names[:_NAMED])) or "none") + more


def _nothing(folder: str, skipped: Sequence[Skipped]) -> str:
    if not skipped:
        return f"{folder}: the ground truth names no picture"
    return f"{folder}: none of {len(skipped)} pictures can be used, the first one: {skipped[0]}"
