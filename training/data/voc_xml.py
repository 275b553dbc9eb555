# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Pascal VOC annotations: one XML file for each picture (Everingham et al. 2010)."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

from detops.evaluation import read_voc
from training.data.annotation import AnnotatedBox, AnnotatedImage, Annotations
from training.data.problems import Problems

_ANNOTATION_FOLDERS = ("", "Annotations", "annotations", "xmls", "annotations/xmls")
_IMAGE_FOLDERS = ("JPEGImages", "images", "Images", "")


def find_annotations(folder: Path) -> Path | None:
    """The folder of .xml files: `folder` itself or one of the usual names below it."""
    for name in _ANNOTATION_FOLDERS:
        candidate = folder / name
        if candidate.is_dir() and any(p.suffix.lower() == ".xml" for p in candidate.iterdir()):
            return candidate
    return None


def find_images(annotations: Path, folder: Path) -> Path:
    """The folder of pictures: JPEGImages/ or images/ of the data set, else the .xml files' own."""
    for parent in (folder, annotations.parent):
        for name in _IMAGE_FOLDERS[:-1]:
            if (parent / name).is_dir():
                return parent / name
    return annotations


def read_voc_xml(annotations: Path, images: Path, *, class_from_filename: bool) -> Annotations:
    """Reads a folder of .xml files with `detops.evaluation.read_voc`, so that training and
    `detops eval` agree on every box.

    Objects marked as difficult become crowds. Classes are in alphabetical order.

    Raises:
      ValueError: not one annotation can be used.
      OSError: a folder cannot be read.
    """
    dataset = read_voc(annotations, images, class_from_filename=class_from_filename)
    names = {entry["id"]: entry["name"] for entry in dataset.ground_truth["categories"]}
    boxes: dict[int, list[AnnotatedBox]] = defaultdict(list)
    for entry in dataset.ground_truth["annotations"]:
        x, y, width, height = entry["bbox"]
        corners = (y, x, y + height, x + width)
        label = names[entry["category_id"]]
        boxes[entry["image_id"]].append(AnnotatedBox(label, corners, bool(entry["iscrowd"])))
    pictures = [
        AnnotatedImage(
            name=entry["file_name"],
            image=images / entry["file_name"],
            boxes=tuple(boxes[entry["id"]]),
            stated_size=_size(entry),
        )
        for entry in dataset.ground_truth["images"]
    ]
    problems = Problems(list(dataset.skipped_files), list(dataset.skipped_boxes))
    return Annotations(pictures, tuple(names.values()), problems)


def _size(entry: dict[str, Any]) -> tuple[int, int] | None:
    return (entry["height"], entry["width"]) if "height" in entry else None
