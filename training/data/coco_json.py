# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""COCO's object annotations (https://cocodataset.org/#format-data).

`detops.evaluation.read_ground_truth` refuses a file with one wrong box, as a score needs it; here
the box is left out and counted, and training goes on.
"""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from detops.evaluation import Skipped
from detops.evaluation.coco_files import is_crowd_flag, is_finite_number
from detops.whole_file import read_regular
from training.data.annotation import AnnotatedBox, AnnotatedImage, Annotations
from training.data.problems import Problems
from training.strict_json import SHOWN, once_each, shown

_ONCE_EACH = once_each("an object has the key {} twice")


def read_coco_json(path: Path, images: Path) -> Annotations:
    """Reads an annotation file; classes are the categories in the order of their ids.

    Args:
      path: the .json file.
      images: the folder that its file names are relative to.

    Raises:
      ValueError: it is not JSON, or its tables are not those of COCO.
      OSError: the file cannot be read.
    """
    content = _read(path)
    problems = Problems()
    names = _categories(path, content)
    files = dict(_files(path, content, images, problems))
    boxes: dict[Any, list[AnnotatedBox]] = defaultdict(list)
    for number, entry in enumerate(_table(path, content, "annotations")):
        found = _box(entry, files, names)
        if isinstance(found, AnnotatedBox):
            boxes[entry["image_id"]].append(found)
        else:
            reason, detail = found
            name = _file_name(entry, files) or path.name
            problems.skipped_boxes.append(Skipped(name, reason, f"annotations[{number}]: {detail}"))
    pictures = [
        AnnotatedImage(
            name=str(entry["file_name"]),
            image=images / entry["file_name"],
            boxes=tuple(boxes[number]),
            stated_size=_size(entry),
        )
        for number, entry in files.items()
    ]
    return Annotations(pictures, tuple(names.values()), problems)


def _read(path: Path) -> Mapping[str, Any]:
    text = read_regular(path)
    try:
        content = json.loads(text, object_pairs_hook=_ONCE_EACH)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not JSON: {error}") from error
    if not isinstance(content, dict):
        kind = type(content).__name__
        raise ValueError(f"{path} holds a {kind}, expected an object with 'annotations'")
    return content


def _table(path: Path, content: Mapping[str, Any], name: str) -> list[Any]:
    table = content.get(name)
    if not isinstance(table, list):
        got = "missing" if table is None else f"a {type(table).__name__}"
        raise ValueError(f"{path}: {name!r} is {got}, expected a list")
    return table


def _categories(path: Path, content: Mapping[str, Any]) -> dict[Any, str]:
    names: dict[Any, str] = {}
    for number, entry in enumerate(_table(path, content, "categories")):
        given = entry if isinstance(entry, dict) else {}
        key, name = given.get("id"), given.get("name")
        name = name.strip() if isinstance(name, str) else ""
        if not _is_id(key, int) or not name or key in names:
            raise ValueError(
                f"{path}: categories[{number}] is {shown(entry)}, expected an id of its own and a "
                "name"
            )
        if name in names.values():
            raise ValueError(f"{path}: two categories have the name {name!r}, expected one")
        names[key] = name
    return dict(sorted(names.items()))


def _files(
    path: Path, content: Mapping[str, Any], images: Path, problems: Problems
) -> Iterator[tuple[Any, dict[str, Any]]]:
    seen: set[Any] = set()
    for number, entry in enumerate(_table(path, content, "images")):
        given = entry if isinstance(entry, dict) else {}
        key, name = given.get("id"), given.get("file_name")
        if not _is_id(key) or not isinstance(name, str) or not name:
            reason = "picture without id or file name"
            problems.skipped_images.append(Skipped(f"images[{number}]", reason, shown(entry)))
        elif key in seen:
            reason = "picture with the id of another"
            problems.skipped_images.append(Skipped(name, reason, shown(key)))
        elif not _is_inside(images / name, images):
            # A stranger's file could name any of ours, and the shards be given back to him.
            reason = "picture outside of the folder of pictures"
            problems.skipped_images.append(Skipped(name[:SHOWN], reason))
        else:
            seen.add(key)
            yield key, given


def _is_inside(path: Path, folder: Path) -> bool:
    """By the names alone: what a link leads to is its owner's choice."""
    return Path(os.path.abspath(path)).is_relative_to(os.path.abspath(folder))  # noqa: PTH100


def _box(
    entry: Any, files: Mapping[Any, Any], names: Mapping[Any, str]
) -> AnnotatedBox | tuple[str, str]:
    """The box, or why there is none: the reason and the detail."""
    if not isinstance(entry, dict):
        return "annotation is not an object", shown(entry)
    image, category, box = (entry.get(key) for key in ("image_id", "category_id", "bbox"))
    if not _is_id(image) or image not in files:
        return "box of an unknown picture", f"image_id {shown(image)}"
    if not _is_id(category, int) or category not in names:
        return "box without a class", f"category_id {shown(category)}"
    if not isinstance(box, list) or len(box) != 4 or not all(map(is_finite_number, box)):
        return "box without its four corners", shown(box)
    x, y, width, height = map(float, box)
    if width <= 0 or height <= 0:
        return "box without area", shown(box)
    crowd = entry.get("iscrowd") or 0
    # A text would be true, "0" as well, and the box not be trained on.
    if not is_crowd_flag(crowd):
        return "box whose iscrowd is neither 0 nor 1", shown(crowd)
    label = names[category]
    return AnnotatedBox(label, (y, x, y + height, x + width), bool(crowd))


def _file_name(entry: Any, files: Mapping[Any, Mapping[str, Any]]) -> str:
    image = entry.get("image_id") if isinstance(entry, dict) else None
    return str(files[image]["file_name"]) if _is_id(image) and image in files else ""


def _is_id(value: Any, kind: Any = (int, str)) -> bool:
    # True would be the picture or class of number 1.
    return isinstance(value, kind) and not isinstance(value, bool)


def _size(entry: Mapping[str, Any]) -> tuple[int, int] | None:
    sides: list[Any] = [entry.get(side) for side in ("height", "width")]
    # Some tools write 640.0.
    if not all(is_finite_number(side) and side > 0 and side == int(side) for side in sides):
        return None
    return int(sides[0]), int(sides[1])
