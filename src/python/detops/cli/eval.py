# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""`detops eval`: COCO's twelve numbers for a model, or for a file of detections."""

from __future__ import annotations

import argparse
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from detops.cli import arguments
from detops.cli.json_output import print_document
from detops.cli.progress import Progress
from detops.cli.table import column_widths, format_row, printable
from detops.detector import Detector
from detops.evaluation import (
    CocoMetrics,
    ModelRun,
    Skipped,
    VocDataset,
    read_detections,
    read_ground_truth,
    read_voc,
    run_detector,
    score_detections,
)

_HEADERS = ("metric", "value", "IoU", "objects", "detections")
# How COCO prints them.
_MEANINGS = {
    "ap": ("AP", "0.50:0.95", "all", "100"),
    "ap50": ("AP50", "0.50", "all", "100"),
    "ap75": ("AP75", "0.75", "all", "100"),
    "ap_small": ("AP small", "0.50:0.95", "small", "100"),
    "ap_medium": ("AP medium", "0.50:0.95", "medium", "100"),
    "ap_large": ("AP large", "0.50:0.95", "large", "100"),
    "ar1": ("AR1", "0.50:0.95", "all", "1"),
    "ar10": ("AR10", "0.50:0.95", "all", "10"),
    "ar100": ("AR100", "0.50:0.95", "all", "100"),
    "ar_small": ("AR small", "0.50:0.95", "small", "100"),
    "ar_medium": ("AR medium", "0.50:0.95", "medium", "100"),
    "ar_large": ("AR large", "0.50:0.95", "large", "100"),
}
_CLASS_HEADERS = ("class", "objects", "AP", "AP50")
_WIDEST = 100
_NAMED = 5


def add_command(commands: Any) -> None:
    """Adds the command to the parser."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "eval",
        help="measure AP and AR on annotated pictures",
        description="Scores a model, or detections from a file, as COCO does. A picture or\n"
        "annotation that cannot be read is counted and left out; the others go on.",
        epilog="examples:\n"
        "  detops eval model.tflite --coco instances_val2017.json --images val2017\n"
        "  detops eval model.tflite --voc Annotations --images JPEGImages --labels labels.txt\n"
        "  detops eval --detections results.json --coco instances_val2017.json",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("model", metavar="MODEL", nargs="?", help="a .tflite file")
    what.add_argument("--detections", metavar="FILE", help="score this COCO results file instead")
    truth = parser.add_mutually_exclusive_group(required=True)
    truth.add_argument("--coco", metavar="FILE", help="annotations in a COCO .json file")
    truth.add_argument(
        "--voc", metavar="DIR", help="a folder of Pascal VOC .xml files, or one with Annotations/"
    )
    parser.add_argument(
        "--images",
        metavar="DIR",
        help="the pictures (default with --voc: JPEGImages/ in its folder, or that folder)",
    )
    parser.add_argument(
        "--class-from-filename",
        action="store_true",
        help='with --voc: the class is the picture\'s name up to the last "_", as in the '
        "Oxford-IIIT pets, whose annotations only say cat or dog",
    )
    parser.add_argument(
        "--labels",
        metavar="FILE",
        help="class names, one a line, or a .pbtxt label map (default: those packed in the "
        "model); they are matched with the names of the categories",
    )
    parser.add_argument(
        "--limit", type=arguments.positive, metavar="N", help="the first N pictures (default: all)"
    )
    arguments.add_runtime(parser, "default: the first one installed")
    parser.add_argument("--threads", type=arguments.positive, default=1, metavar="N")
    parser.add_argument("--json", action="store_true", help="print one JSON document instead")
    arguments.add_picture_input(parser)
    parser.set_defaults(run=run)


@dataclass(frozen=True)
class _Report:
    images: int
    metrics: CocoMetrics
    skipped_images: tuple[Skipped, ...] = ()
    skipped_boxes: tuple[Skipped, ...] = ()
    other_labels: tuple[str, ...] = ()


def run(args: argparse.Namespace) -> int:
    """Runs the command."""
    _check_options(args)
    report = _score_file(args) if args.model is None else _score_model(args)
    if args.json:
        _print_json(args, report)
    else:
        _print_text(report)
    return 0


def _check_options(args: argparse.Namespace) -> None:
    if args.model is None:
        if args.coco is None:
            raise ValueError("--detections needs --coco: a VOC folder has no numbers for pictures")
        if args.limit is not None:
            raise ValueError("--limit is for a model, --detections scores all pictures of --coco")
    elif args.coco is not None and args.images is None:
        raise ValueError("--coco with a model needs --images, the folder of the pictures")
    if args.class_from_filename and args.voc is None:
        raise ValueError("--class-from-filename needs --voc, COCO annotations name their classes")


def _score_file(args: argparse.Namespace) -> _Report:
    truth = read_ground_truth(args.coco)
    metrics = score_detections(truth, read_detections(args.detections))
    return _Report(len(truth["images"]), metrics)


def _score_model(args: argparse.Namespace) -> _Report:
    dataset, images = _dataset(args)
    # Before the pictures, which take longest: what is not there fails at once.
    score_detections(dataset.ground_truth, [], image_ids=())
    detector = Detector(
        args.model,
        labels=args.labels,
        threshold=0.0,
        runtime=args.runtime,
        num_threads=args.threads,
        mean=args.mean,
        std=args.std,
        input_size=args.input_size,
    )
    found = _detect_all(args, detector, dataset, images)
    metrics = score_detections(dataset.ground_truth, found.detections, image_ids=found.image_ids)
    return _Report(
        images=len(found.image_ids),
        metrics=metrics,
        skipped_images=dataset.skipped_files + found.skipped,
        skipped_boxes=dataset.skipped_boxes,
        other_labels=found.labels.other_labels,
    )


def _detect_all(
    args: argparse.Namespace, detector: Detector, dataset: VocDataset, images: Path
) -> ModelRun:
    total = len(dataset.ground_truth["images"][: args.limit])
    with Progress(total) as progress:
        return run_detector(
            detector, dataset.ground_truth, images, limit=args.limit, on_image=progress.step
        )


def _dataset(args: argparse.Namespace) -> tuple[VocDataset, Path]:
    """The annotations, and the folder of their pictures."""
    if args.coco is not None:
        return VocDataset(read_ground_truth(args.coco), (), ()), Path(args.images)
    folder = Path(args.voc)
    annotations = folder / "Annotations" if (folder / "Annotations").is_dir() else folder
    beside = folder / "JPEGImages" if (folder / "JPEGImages").is_dir() else annotations
    images = beside if args.images is None else Path(args.images)
    return read_voc(annotations, images, class_from_filename=args.class_from_filename), images


# ---------------------------------------------------------------------------------------------
# Answers
# ---------------------------------------------------------------------------------------------


def _print_text(report: _Report) -> None:
    objects = sum(entry.objects for entry in report.metrics.classes)
    with_objects = [entry for entry in report.metrics.classes if entry.objects]
    print(f"{report.images} pictures, {objects} objects of {len(with_objects)} classes\n")
    rows = []
    for name, value in report.metrics.numbers().items():
        title, *meaning = _MEANINGS[name]
        rows.append((title, _score(value), *meaning))
    _print_table(_HEADERS, rows, right=(1, 4))
    print()
    class_rows = [
        (printable(entry.name), str(entry.objects), _score(entry.ap), _score(entry.ap50))
        for entry in with_objects
    ]
    _print_table(_CLASS_HEADERS, class_rows, right=(1, 2, 3))
    for line in _remarks(report):
        print(line)


def _print_table(
    headers: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int]
) -> None:
    widths = column_widths(headers, *rows, limit=_WIDEST)
    for row in (headers, *rows):
        print(format_row(row, widths, right=right))


def _score(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.3f}"


def _remarks(report: _Report) -> list[str]:
    lines = []
    for what, skipped in (("pictures", report.skipped_images), ("boxes", report.skipped_boxes)):
        for reason, count in Counter(entry.reason for entry in skipped).items():
            first = next(entry for entry in skipped if entry.reason == reason)
            lines.append(f"{what} left out: {count}, the first one: {printable(first)}")
    others = report.other_labels
    if others:
        named = ", ".join(printable(label) for label in others[:_NAMED])
        more = ", ..." if len(others) > _NAMED else ""
        lines.append(f"labels without a category, not scored: {len(others)} ({named}{more})")
    return ["", *lines] if lines else []


def _print_json(args: argparse.Namespace, report: _Report) -> None:
    skipped = report.skipped_images
    print_document(
        "eval",
        {
            "model": args.model,
            "detections": args.detections,
            "annotations": args.coco or args.voc,
            "images": report.images,
            "metrics": report.metrics.numbers(),
            "classes": [asdict(entry) for entry in report.metrics.classes],
            "skipped": dict(Counter(entry.reason for entry in (*skipped, *report.skipped_boxes))),
            "skipped_images": [asdict(entry) for entry in skipped],
            "skipped_boxes": [asdict(entry) for entry in report.skipped_boxes],
            "other_labels": report.other_labels,
        },
    )
