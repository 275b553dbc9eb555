# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Opens a data set of any of the formats and looks at every picture once."""

from __future__ import annotations

import glob
import os
import warnings
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

from detops.cli.progress import Progress
from detops.evaluation import Skipped
from training.data.annotation import AnnotatedBox, AnnotatedImage, Annotations
from training.data.box_check import UNNAMED, box_units, check_boxes
from training.data.class_labels import ClassNaming, class_numbers, is_class_name, resolve_labels
from training.data.coco_json import read_coco_json
from training.data.example import Example
from training.data.image_list import keep_listed
from training.data.picture import CheckedPicture, check_picture
from training.data.problems import Problems
from training.data.share import WHOLE, Share
from training.data.source import Source
from training.data.tf_record import (
    LABEL_MAP,
    check_complete,
    find_shards,
    is_shard,
    read_tf_records,
)
from training.data.voc_xml import find_annotations, find_images, read_voc_xml

_SHOWN = 200
"""Characters of the names of classes in a message."""


def open_source(
    path: str | os.PathLike[str],
    *,
    images: str | os.PathLike[str] = "",
    only: str | os.PathLike[str] = "",
    labels: Sequence[str] | str | Path | None = None,
    label_from: str = "name",
    single_class: str = "",
    decode: bool = True,
    progress: bool = False,
    share: Share = WHOLE,
) -> Source:
    """Opens a data set. What cannot be used is left out and reported in `Source.problems`.

    Pictures without boxes stay: they are all background. Classes are those of the whole data set,
    also with `only`, so that the parts of one data set number them alike.

    Args:
      path: a folder of VOC .xml files (or one with Annotations/ or xmls/ in it), a COCO .json
        file, TFRecord shards: a file, a pattern such as "data/train-*", or a folder of them.
      images: the folder of pictures, where it is not JPEGImages/ or images/ beside the annotations.
      only: a file with one picture's name a line, with or without suffix: the others are left out.
      labels: class names in order, or a file of them; "" or None for those of the data set. Boxes
        of other classes are left out.
      label_from: "name", the class in the annotation, or "file_name", the name of the picture's
        file up to the last "_".
      single_class: takes every box for one of this class.
      decode: decode every picture in full now. Without, a truncated one stops the training.
      progress: show on stderr how far it is, where that is a terminal.
      share: open only a part: of TFRecords every `count`-th shard, the others are not read; else
        every `count`-th picture.

    Raises:
      ValueError: nothing that can be used is there, or the options do not fit; the message says
        why.
      OSError: `path`, `images`, `only` or `labels` cannot be read.
    """
    annotations, names = read_annotations(
        path,
        images=images,
        only=only,
        labels=labels,
        label_from=label_from,
        single_class=single_class,
        share=share,
    )
    examples = _examples(annotations, class_numbers(names), decode, progress)
    if not examples:
        skipped = annotations.problems.skipped_images
        first = f", the first one: {skipped[0]}" if skipped else ""
        raise ValueError(f"{os.fspath(path)}: no picture can be used{first}")
    others = [box for box in annotations.problems.skipped_boxes if box.reason == UNNAMED]
    if others and not any(len(example.boxes) for example in examples):
        # Another data set's list of classes: training would go on for hours, on background.
        raise ValueError(
            f"{os.fspath(path)}: all boxes are of other classes than {', '.join(names)[:_SHOWN]}, "
            f"the first one: {others[0]}"
        )
    return Source(names, tuple(examples), annotations.problems, share)


def read_annotations(
    path: str | os.PathLike[str],
    *,
    images: str | os.PathLike[str] = "",
    only: str | os.PathLike[str] = "",
    labels: Sequence[str] | str | Path | None = None,
    label_from: str = "name",
    single_class: str = "",
    share: Share = WHOLE,
) -> tuple[Annotations, tuple[str, ...]]:
    """What `open_source` looks at: one entry for each picture, and the names of the classes.

    No picture is read, but those of TFRecords. Arguments and errors are those of `open_source`.
    """
    naming = ClassNaming(label_from, single_class)
    where = os.fspath(path)
    shards = _shards(where)
    if shards:
        found = _read_shards(shards, share, named=bool(labels or single_class))
    else:
        found = _read_others(where, os.fspath(images), label_from)
    annotations = naming.applied(found)
    # Boxes of the others are left out and named.
    usable = tuple(name for name in annotations.labels if is_class_name(name))
    if not usable and not labels:
        problems = annotations.problems.texts()
        first = f"; the first of {len(problems)} problems: {problems[0]}" if problems else ""
        raise ValueError(f"{where}: no box has a class, expected at least one{first}")
    names = resolve_labels(labels, usable)
    if only:
        annotations = keep_listed(annotations, Path(only))
    annotations = _joined(annotations)
    if not shards:
        annotations = replace(annotations, images=share.of(annotations.images))
    return annotations, names


def look(
    image: AnnotatedImage, numbers: dict[str, int], problems: Problems, *, decode: bool = True
) -> Example | None:
    """The example of an annotated picture, or None and an entry in `problems`.

    Args:
      image: as it was annotated.
      numbers: of the classes, by name.
      problems: gets what is wrong with picture and boxes.
      decode: the picture in full.
    """
    return _example(image, _checked(image, decode), numbers, problems)


def _shards(where: str) -> list[Path]:
    """The TFRecord files that a path or pattern names, or none where it names another data set."""
    path = Path(where)
    if path.is_dir():
        return find_shards(path)
    # Of pathlib's globs none takes a pattern that starts at the root.
    found = [where] if path.is_file() else sorted(glob.glob(where))  # noqa: PTH207
    files = [Path(name) for name in found if Path(name).is_file()]
    return files if all(is_shard(file.name) for file in files) else []


def _read_shards(shards: Sequence[Path], share: Share, *, named: bool) -> Annotations:
    if share.is_whole:
        return read_tf_records(shards)
    if len(shards) < share.count:
        raise ValueError(
            f"there are {len(shards)} shards for {share.count} hosts, expected at least one each"
        )
    if not named and not (shards[0].parent / LABEL_MAP).is_file():
        raise ValueError(
            f"{shards[0].parent} has no {LABEL_MAP}, expected one, or labels: hosts that read "
            "different shards could number the classes differently"
        )
    annotations = read_tf_records(share.of(shards), complete=False)
    check_complete(shards, annotations.problems)
    return annotations


def _read_others(where: str, images: str, label_from: str) -> Annotations:
    path = Path(where)
    if path.suffix.lower() == ".json" and path.is_file():
        return _read_coco(path, images)
    if path.is_dir():
        if annotations := find_annotations(path):
            folder = Path(images) if images else find_images(annotations, path)
            return read_voc_xml(annotations, folder, class_from_filename=label_from == "file_name")
        documents = sorted(path.glob("*.json")) or sorted(path.glob("annotations/*.json"))
        if len(documents) == 1:
            return _read_coco(documents[0], images)
        raise ValueError(
            f"{where} holds {len(documents)} .json files and neither .xml files (itself, or in "
            "Annotations or xmls) nor TFRecords, expected one of them"
        )
    if not path.is_file() and not glob.glob(where):  # noqa: PTH207
        raise FileNotFoundError(f"{where} does not exist")
    kind = "a .json file, TFRecord shards or a folder"
    raise ValueError(f"{where} is no data set, expected {kind}")


def _read_coco(path: Path, images: str) -> Annotations:
    if images and not Path(images).is_dir():
        raise FileNotFoundError(f"{images}, the folder of pictures, does not exist")
    return read_coco_json(path, Path(images) if images else find_images(path.parent, path.parent))


def _joined(annotations: Annotations) -> Annotations:
    """One entry for each picture: the boxes of several are put together."""
    groups: dict[object, list[AnnotatedImage]] = defaultdict(list)
    for image in annotations.images:
        groups[image.image].append(image)
    joined = []
    for group in groups.values():
        boxes: tuple[AnnotatedBox, ...] = tuple(box for image in group for box in image.boxes)
        joined.append(replace(group[0], boxes=boxes))
        if len(group) > 1:
            detail = f"{len(group)} times, {len(boxes)} boxes together"
            entry = Skipped(group[0].name, "picture annotated more than once", detail)
            annotations.problems.repaired.append(entry)
    return Annotations(joined, annotations.labels, annotations.problems)


def _examples(
    annotations: Annotations, numbers: dict[str, int], decode: bool, progress: bool
) -> list[Example]:
    examples = []
    shown = Progress(len(annotations.images)) if progress else nullcontext()
    with shown, warnings.catch_warnings(), ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        # Pillow's notices about odd metadata and large pictures, which it reads all the same.
        warnings.filterwarnings("ignore", module=r"PIL\.")
        checked = pool.map(lambda image: _checked(image, decode), annotations.images)
        for image, picture in zip(annotations.images, checked, strict=True):
            example = _example(image, picture, numbers, annotations.problems)
            if example is not None:
                examples.append(example)
            if isinstance(shown, Progress):
                shown.step()
    return examples


def _checked(image: AnnotatedImage, decode: bool) -> CheckedPicture | Skipped:
    try:
        return check_picture(image.name, image.image, decode=decode)
    except FileNotFoundError:
        return Skipped(image.name, "picture not found")
    # Pillow's readers of damaged files raise whatever they stumble over.
    except Exception as error:
        return Skipped(image.name, "picture not readable", str(error) or type(error).__name__)


def _example(
    image: AnnotatedImage,
    picture: CheckedPicture | Skipped,
    numbers: dict[str, int],
    problems: Problems,
) -> Example | None:
    if isinstance(picture, Skipped):
        problems.skipped_images.append(picture)
        return None
    try:
        units = box_units(image, picture.height, picture.width)
    except ValueError as error:
        entry = Skipped(image.name, "picture of another size than stated", str(error))
        problems.skipped_images.append(entry)
        return None
    if image.in_pixels and units != (picture.height, picture.width):
        detail = f"{picture.width} x {picture.height}, stated {units[1]:.0f} x {units[0]:.0f}"
        problems.repaired.append(Skipped(image.name, "boxes of a rescaled picture", detail))
    problems.repaired += [Skipped(image.name, *repair) for repair in picture.repairs]
    boxes, classes, crowd = check_boxes(image, units, numbers, problems)
    return Example(picture.image, image.name, picture.height, picture.width, boxes, classes, crowd)
