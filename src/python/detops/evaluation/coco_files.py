# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""COCO's annotations and results, read and checked.

The format: https://cocodataset.org/#format-data and #format-results. Boxes are [x, y, width,
height] in pixels, x and y of the upper left corner.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any

from detops.whole_file import read_regular

_ID_LISTS = ("images", "categories")


def read_ground_truth(source: Mapping[str, Any] | str | os.PathLike[str]) -> dict[str, Any]:
    """Object annotations of COCO, with what scoring needs checked and the defaults filled in.

    Args:
      source: the content of an annotation file, or the path of one.

    Returns:
      "images" and "categories" as they are, and "annotations", each with id (from 1), image_id,
      category_id, bbox, area (square pixels; that of the box if not given) and iscrowd (0 if not
      given). The source is not changed; segmentations are left out.

    Raises:
      ValueError: it is not JSON or not such annotations; the message says where.
      OSError: the file cannot be read.
    """
    where, content = "ground truth", source
    if isinstance(source, (str, os.PathLike)):
        where, content = os.fspath(source), _read_json(source)
    if not isinstance(content, Mapping):
        raise ValueError(f"{where} is a {_kind(content)}, expected an object with 'annotations'")
    tables = {name: _entries(where, content, name) for name in (*_ID_LISTS, "annotations")}
    known = {name: _ids(f"{where}: {name}", tables[name]) for name in _ID_LISTS}
    annotations = []
    # Scorers take an annotation of id 0 for "no match": counting from 1 avoids that.
    for number, entry in enumerate(tables["annotations"], 1):
        place = f"{where}: annotations[{number - 1}]"
        box = _checked_box(place, entry, known)
        area = _number(f"{place}: area", entry.get("area", box["bbox"][2] * box["bbox"][3]))
        if area < 0:
            # Scorers would leave the object out of every size, and of all numbers.
            raise ValueError(f"{place}: area is {area!r}, expected at least 0")
        crowd = _crowd(place, entry.get("iscrowd"))
        annotations.append({"id": number, **box, "area": area, "iscrowd": crowd})
    return {**{name: tables[name] for name in _ID_LISTS}, "annotations": annotations}


def read_detections(path: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """A COCO results file: a list of objects with image_id, category_id, bbox and score.

    Raises:
      ValueError: it is not JSON or not a list of objects.
      OSError: the file cannot be read.
    """
    content = _read_json(path)
    if not isinstance(content, list):
        kind = _kind(content)
        raise ValueError(f"{os.fspath(path)} is a {kind}, expected a list of detections")
    return _only_objects(os.fspath(path), content)


def check_detections(
    detections: Sequence[Mapping[str, Any]], ground_truth: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Detections with only what scoring needs: image_id, category_id, bbox, score, id, area.

    Args:
      detections: as in a COCO results file.
      ground_truth: as `read_ground_truth` returns it.

    Raises:
      ValueError: a field is missing, not finite, or an image or category that is not in
        `ground_truth`: scorers drop those without a word, and the numbers fall.
    """
    known = {name: {entry["id"] for entry in ground_truth[name]} for name in _ID_LISTS}
    checked = []
    for number, entry in enumerate(detections):
        place = f"detections[{number}]"
        box = _checked_box(place, entry, known)
        score = _number(f"{place}: score", entry.get("score"))
        area = box["bbox"][2] * box["bbox"][3]
        checked.append({**box, "score": score, "id": number + 1, "area": area, "iscrowd": 0})
    return checked


def is_crowd_flag(value: Any) -> bool:
    """0 or 1, or a bool, as some tools write. A text is not one."""
    return isinstance(value, (bool, int, float)) and value in (0, 1)


def is_finite_number(value: Any) -> bool:
    """Whether a value of a JSON file is a number that a float64 can hold."""
    if isinstance(value, bool) or not isinstance(value, Real):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:
        # JSON's whole numbers may have hundreds of digits.
        return False


def _checked_box(
    place: str, entry: Mapping[str, Any], known: Mapping[str, set[Any]]
) -> dict[str, Any]:
    for field, table in (("image_id", "images"), ("category_id", "categories")):
        value = entry.get(field)
        # True would be the picture or class of number 1.
        if isinstance(value, (list, dict, bool)) or value not in known[table]:
            expected = f"the id of one of the {len(known[table])} {table}"
            raise ValueError(f"{place}: {field} is {value!r}, expected {expected}")
    box = entry.get("bbox")
    if not isinstance(box, (list, tuple)) or len(box) != 4:
        raise ValueError(f"{place}: bbox is {box!r}, expected [x, y, width, height]")
    numbers = [_number(f"{place}: bbox", value) for value in box]
    if min(numbers[2:]) < 0:
        raise ValueError(f"{place}: bbox is {box!r}, expected width and height of at least 0")
    return {"image_id": entry["image_id"], "category_id": entry["category_id"], "bbox": numbers}


def _crowd(place: str, value: Any) -> int:
    """0 or 1; other tools write false, true and null. A text "0" would be true."""
    if value is None:
        return 0
    if not is_crowd_flag(value):
        raise ValueError(f"{place}: iscrowd is {value!r:.80}, expected 0 or 1")
    return int(value)


def _number(place: str, value: Any) -> float:
    if not is_finite_number(value):
        raise ValueError(f"{place} is {value!r:.80}, expected a finite number")
    return float(value)


def _entries(where: str, content: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    entries = content.get(name)
    if not isinstance(entries, list):
        raise ValueError(f"{where}: {name!r} is {_kind(entries)}, expected a list")
    return _only_objects(f"{where}: {name}", entries)


def _only_objects(place: str, entries: list[Any]) -> list[dict[str, Any]]:
    for number, entry in enumerate(entries):
        if not isinstance(entry, dict):
            raise ValueError(f"{place}[{number}] is {_kind(entry)}, expected an object")
    return entries


def _ids(place: str, entries: Sequence[Mapping[str, Any]]) -> set[int]:
    ids: set[int] = set()
    for number, entry in enumerate(entries):
        value = entry.get("id")
        # Scorers keep 64 bits.
        if (
            not isinstance(value, int)
            or isinstance(value, bool)
            or abs(value) >= 1 << 63
            or value in ids
        ):
            raise ValueError(
                f"{place}[{number}]: id is {value!r:.80}, expected a whole number of its own"
            )
        ids.add(value)
    return ids


def _read_json(path: str | os.PathLike[str]) -> Any:
    content = read_regular(path)
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{os.fspath(path)} is not JSON: {error}") from error


def _kind(value: Any) -> str:
    return "missing" if value is None else type(value).__name__
