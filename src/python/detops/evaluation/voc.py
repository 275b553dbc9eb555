# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Pascal VOC annotations (http://host.robots.ox.ac.uk/pascal/VOC/) in the form of COCO's."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from detops.evaluation.skipped import Skipped
from detops.whole_file import open_regular

_PICTURES = {".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"}
_CORNERS = ("xmin", "ymin", "xmax", "ymax")
_MAX_XML_BYTES = 1 << 24


@dataclass(frozen=True)
class VocDataset:
    """A folder of annotations, and what in it could not be used."""

    ground_truth: dict[str, Any]
    """As `score_detections` takes it; file_name is relative to the folder of pictures."""
    skipped_files: tuple[Skipped, ...]
    """Annotations that are damaged, or whose picture is missing."""
    skipped_boxes: tuple[Skipped, ...]
    """Their pictures stay, without these boxes."""


def read_voc(
    annotations: str | os.PathLike[str],
    images: str | os.PathLike[str],
    *,
    class_from_filename: bool = False,
) -> VocDataset:
    """Reads the .xml files of a folder; categories are numbered from 1 by name.

    The picture of an annotation has its name, or else the one in <filename>. Corners are taken as
    edges in pixels: xmin to xmax is xmax - xmin wide. Objects marked as difficult become crowds:
    finding them is neither right nor wrong.

    Args:
      annotations: the folder of .xml files.
      images: the folder of pictures.
      class_from_filename: the class of every object is the picture's name up to the last "_"
        instead of <name>. For the Oxford-IIIT pets: <name> says cat or dog, "Bengal_12.jpg" the
        breed.

    Raises:
      ValueError: not one annotation can be used.
      OSError: a folder cannot be read.
    """
    pictures = _Pictures(Path(images))
    files = sorted(path for path in Path(annotations).iterdir() if path.suffix.lower() == ".xml")
    entries: list[dict[str, Any]] = []
    boxes: list[dict[str, Any]] = []
    skipped_files: list[Skipped] = []
    skipped_boxes: list[Skipped] = []
    for path in files:
        try:
            root = _read_xml(path)
        except (ElementTree.ParseError, ValueError, LookupError, OSError) as error:
            skipped_files.append(Skipped(path.name, "annotation not readable", str(error)))
            continue
        name = pictures.of(path.stem, root.findtext("filename") or "")
        if name is None:
            skipped_files.append(Skipped(path.name, "picture not found"))
            continue
        label = Path(name).stem.rpartition("_")[0] if class_from_filename else None
        entries.append({"id": len(entries) + 1, "file_name": name, **_size(root)})
        for box in _objects(path.name, root, label):
            if isinstance(box, Skipped):
                skipped_boxes.append(box)
            else:
                boxes.append({**box, "image_id": len(entries)})
    if not entries:
        raise ValueError(_nothing(os.fspath(annotations), len(files), skipped_files))
    return VocDataset(_numbered(entries, boxes), tuple(skipped_files), tuple(skipped_boxes))


class _Pictures:
    """The pictures of a folder by name."""

    def __init__(self, folder: Path) -> None:
        names = sorted(path.name for path in folder.iterdir())
        self._names = {name for name in names if Path(name).suffix.lower() in _PICTURES}
        self._by_stem = {Path(name).stem: name for name in sorted(self._names, reverse=True)}

    def of(self, stem: str, filename: str) -> str | None:
        """The name of a picture, or None where there is none."""
        # <filename> may hold a path of another system; only the names of this folder count.
        stated = filename.strip().replace("\\", "/").rpartition("/")[2]
        if Path(stated).stem == stem and stated in self._names:
            return stated
        return self._by_stem.get(stem) or (stated if stated in self._names else None)


class _NoDoctype(ElementTree.TreeBuilder):
    """Refuses declarations of entities, which may grow without bounds or name other files."""

    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        raise ValueError("it has a DOCTYPE, expected none")


def _read_xml(path: Path) -> ElementTree.Element:
    with open_regular(path) as file:
        content = file.read(_MAX_XML_BYTES + 1)
    if len(content) > _MAX_XML_BYTES:
        raise ValueError(f"it has more than {_MAX_XML_BYTES} bytes")
    parser = ElementTree.XMLParser(target=_NoDoctype())
    parser.feed(content)
    root: ElementTree.Element = parser.close()
    if root.tag != "annotation":
        raise ValueError(f"its root is <{root.tag}>, expected <annotation>")
    return root


def _size(root: ElementTree.Element) -> dict[str, int]:
    """Width and height where both are stated: many tools leave them out or write 0."""
    sides = {side: _value(root.findtext(f"size/{side}")) for side in ("width", "height")}
    known = all(math.isfinite(value) and value >= 1 for value in sides.values())
    return {side: int(value) for side, value in sides.items()} if known else {}


def _objects(
    file: str, root: ElementTree.Element, label: str | None
) -> Iterator[dict[str, Any] | Skipped]:
    for number, entry in enumerate(root.findall("object")):
        name = (entry.findtext("name") or "").strip() if label is None else label
        corners = [_value(entry.findtext(f"bndbox/{corner}")) for corner in _CORNERS]
        detail = f"object {number}, {name!r}: {corners}"
        if not name:
            yield Skipped(file, "box without a class", detail)
        elif not all(map(math.isfinite, corners)):
            yield Skipped(file, "box without its four corners", detail)
        elif corners[2] <= corners[0] or corners[3] <= corners[1]:
            yield Skipped(file, "box without area", detail)
        else:
            crowd = int((entry.findtext("difficult") or "").strip() == "1")
            yield {"name": name, "bbox": _coco_box(corners), "iscrowd": crowd}


def _coco_box(corners: list[float]) -> list[float]:
    xmin, ymin, xmax, ymax = corners
    return [xmin, ymin, xmax - xmin, ymax - ymin]


def _value(text: str | None) -> float:
    try:
        return float(text or "")
    except ValueError:
        return math.nan


def _numbered(entries: list[dict[str, Any]], boxes: list[dict[str, Any]]) -> dict[str, Any]:
    numbers = {name: i for i, name in enumerate(sorted({box["name"] for box in boxes}), 1)}
    annotations = [
        {
            "id": number,
            "image_id": box["image_id"],
            "category_id": numbers[box["name"]],
            "bbox": box["bbox"],
            "area": box["bbox"][2] * box["bbox"][3],
            "iscrowd": box["iscrowd"],
        }
        for number, box in enumerate(boxes, 1)
    ]
    categories = [{"id": number, "name": name} for name, number in numbers.items()]
    return {"images": entries, "annotations": annotations, "categories": categories}


def _nothing(folder: str, files: int, skipped: list[Skipped]) -> str:
    if not files:
        return f"{folder} has no .xml file, expected Pascal VOC annotations"
    return f"{folder}: none of the {files} annotations can be used, the first one: {skipped[0]}"
