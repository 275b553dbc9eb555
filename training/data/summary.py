# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""What a source holds, in numbers, for people and for machines."""

from __future__ import annotations

from typing import Any

import numpy as np

from detops.cli.table import column_widths, format_row, printable
from detops.evaluation import Skipped
from training.data.problems import count_reasons
from training.data.source import Source

_PERCENTILES = (0, 10, 50, 90, 100)
_SMALL, _LARGE = 32**2, 96**2
"""Square pixels, as COCO tells small, medium and large apart."""
_HEADERS = ("class", "boxes", "pictures")


def summary(source: Source) -> dict[str, Any]:
    """Counts of pictures, boxes, classes and problems; sizes of pictures and boxes.

    "box_side" holds percentiles of the square root of a box's area as a fraction of the picture:
    what the scales of anchors are measured in.
    """
    targets = [example.targets() for example in source]
    boxes = np.concatenate([boxes for boxes, _ in targets])
    pictures = {
        name: sum(int(number in classes) for _, classes in targets)
        for number, name in enumerate(source.labels)
    }
    per_class = source.boxes_per_class()
    return {
        "images": len(source),
        "images_without_boxes": sum(len(classes) == 0 for _, classes in targets),
        "boxes": len(boxes),
        "crowds": sum(int(example.crowd.sum()) for example in source),
        "most_boxes_in_an_image": max(len(classes) for _, classes in targets),
        "classes": [
            {"name": name, "boxes": per_class[name], "images": pictures[name]}
            for name in source.labels
        ],
        "image_side": _percentiles(
            np.array([(e.height * e.width) ** 0.5 for e in source], np.float64), 0
        ),
        "box_side": _percentiles(np.sqrt(np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)), 3),
        "box_areas": _area_counts(source),
        **source.problems.counts(),
    }


def summary_text(source: Source, *, all_problems: bool = False) -> str:
    """The same as lines of text; names each problem, or the first few of each kind."""
    numbers = summary(source)
    without = numbers["images_without_boxes"]
    lines = [
        f"{numbers['images']} pictures ({without} without boxes), {numbers['boxes']} boxes, "
        f"{numbers['crowds']} crowds, {len(source.labels)} classes",
        "",
        *_class_table(numbers["classes"]),
        "",
        "picture side (px):          " + _percentile_text(numbers["image_side"]),
        "box side (part of picture): " + _percentile_text(numbers["box_side"]),
        "boxes by COCO's sizes:      "
        + ", ".join(f"{count} {name}" for name, count in numbers["box_areas"].items()),
        f"most boxes in one picture:  {numbers['most_boxes_in_an_image']}",
    ]
    return "\n".join(lines + problem_lines(source, all_problems=all_problems))


def problem_lines(source: Source, *, all_problems: bool = False, named: int = 3) -> list[str]:
    """How often each thing was left out or repaired, and where."""
    lines = []
    titles = {
        "skipped_images": "pictures left out",
        "skipped_boxes": "boxes left out",
        "repaired": "repaired and used",
    }
    for key, title in titles.items():
        entries: list[Skipped] = getattr(source.problems, key)
        if not entries:
            continue
        lines += ["", f"{title}: {len(entries)}"]
        for reason, count in count_reasons(entries).items():
            lines.append(f"  {count} x {reason}")
            same = [entry for entry in entries if entry.reason == reason]
            shown = same if all_problems else same[:named]
            for entry in shown:
                detail = f": {printable(entry.detail)}" if entry.detail else ""
                lines.append(f"      {printable(entry.name)}{detail}")
            if len(same) > len(shown):
                lines.append(f"      and {len(same) - len(shown)} more")
    return lines


def _class_table(classes: list[dict[str, Any]]) -> list[str]:
    rows = [[printable(c["name"]), str(c["boxes"]), str(c["images"])] for c in classes]
    widths = column_widths(_HEADERS, *rows)
    return [format_row(row, widths, right=(1, 2)) for row in (list(_HEADERS), *rows)]


def _percentiles(values: Any, digits: int) -> dict[str, float]:
    if not len(values):
        return {}
    found = np.percentile(values, _PERCENTILES)
    return {
        f"p{name}": round(float(value), digits)
        for name, value in zip(_PERCENTILES, found, strict=True)
    }


def _percentile_text(values: dict[str, float]) -> str:
    if not values:
        return "none"
    least, low, middle, high, most = (f"{value:g}" for value in values.values())
    return f"{least} to {most}, median {middle}, four fifths within {low} to {high}"


def _area_counts(source: Source) -> dict[str, int]:
    sides = [example.pixel_boxes()[~example.crowd] for example in source]
    corners = np.concatenate(sides)
    areas = np.prod(corners[:, 2:] - corners[:, :2], axis=1)
    small, large = int((areas < _SMALL).sum()), int((areas > _LARGE).sum())
    return {"small": small, "medium": len(areas) - small - large, "large": large}
