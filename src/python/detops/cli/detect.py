# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""`detops detect`: what is in pictures."""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from detops.cli import arguments
from detops.cli.annotated import PICTURE_SUFFIXES, annotated, annotated_paths, save_picture
from detops.cli.json_output import print_document
from detops.cli.progress import Progress
from detops.cli.table import column_widths, format_row, one_line, printable
from detops.detector import DEFAULT_THRESHOLD, Detection, Detector, load_image

_HEADERS = ("image", "label", "score", "box (ymin, xmin, ymax, xmax)")
_NOTHING = "-"
_CLASS_NUMBERS = "-"
_WIDEST = 100


def add_command(commands: Any) -> None:
    """Adds the command to the parser."""
    parser = arguments.new_command(
        commands,
        "detect",
        summary="find objects in pictures",
        description="Prints what an SSD model finds in pictures: label, score and box in pixels.\n"
        "A picture that cannot be read is reported; the others go on.",
        example="detops detect model.tflite photo.jpg --labels labels.txt --out annotated.jpg",
    )
    parser.add_argument(
        "images", metavar="IMAGE", nargs="+", help="a picture, or a folder of pictures"
    )
    parser.add_argument(
        "--labels",
        metavar="FILE",
        help="class names, one a line, or a .pbtxt label map (default: those packed in the "
        'model); "-" for class numbers',
    )
    parser.add_argument(
        "--threshold",
        type=arguments.number,
        default=DEFAULT_THRESHOLD,
        metavar="SCORE",
        help="least score (default: %(default)s)",
    )
    parser.add_argument(
        "--max-detections",
        type=arguments.positive,
        metavar="N",
        help="the best N of each picture (default: all)",
    )
    parser.add_argument(
        "-o",
        "--out",
        metavar="PATH",
        help="write annotated pictures: a file for one picture, a folder for many",
    )
    arguments.add_runtime(parser, "default: the first one installed")
    parser.add_argument("--threads", type=arguments.positive, default=1, metavar="N")
    parser.add_argument(
        "-v", "--verbose", action="store_true", help="say what detops took over and fused"
    )
    arguments.add_picture_input(parser)
    parser.set_defaults(run=run)


@dataclass
class _Result:
    image: Path
    size: tuple[int, int] | None = None
    detections: tuple[Detection, ...] = ()
    annotated: Path | None = None
    error: str | None = None

    def document(self) -> dict[str, Any]:
        if self.size is None:
            return {"image": str(self.image), "error": self.error}
        document = {
            "image": str(self.image),
            "width": self.size[0],
            "height": self.size[1],
            "detections": [_detection_document(found) for found in self.detections],
            "annotated": None if self.annotated is None else str(self.annotated),
        }
        return document if self.error is None else {**document, "error": self.error}

    def rows(self) -> list[tuple[str, ...]]:
        name = printable(self.image)
        if not self.detections:
            return [(name, _NOTHING, _NOTHING, _NOTHING)]
        return [
            (name, printable(found.label), f"{found.score:.2f}", str(found.pixel_box))
            for found in self.detections
        ]


def run(args: argparse.Namespace) -> int:
    """Runs the command."""
    images, problems = _expand(args.images)
    outs = annotated_paths(images, args.out, folder=len(args.images) > 1 or _is_folder(args))
    detector = _make_detector(args)
    if args.verbose:
        print(f"detops: {detector.registration}", file=sys.stderr)
    for problem in problems:
        _report(problem)
    widths = column_widths(
        _HEADERS,
        *((printable(image), "", "", "") for image in images),
        *(("", printable(label), "", "") for label in detector.labels),
        limit=_WIDEST,
    )
    if not args.json and images:
        print(format_row(_HEADERS, widths, right=(2,)))
    results = [_Result(Path(path), error=error) for path, error in problems]
    with Progress(len(images)) as progress:
        for image, out in zip(images, outs, strict=True):
            result = _detect_one(detector, image, out, args.max_detections)
            results.append(result)
            progress.erase()
            if result.error is not None:
                _report((str(image), result.error))
            if result.size is not None and not args.json:
                for row in result.rows():
                    print(format_row(row, widths, right=(2,)), flush=True)
            progress.step()
    if args.json:
        _print_json(args, detector, results)
    return 1 if any(result.error is not None for result in results) else 0


def _make_detector(args: argparse.Namespace) -> Detector:
    return Detector(
        args.model,
        labels=[] if args.labels == _CLASS_NUMBERS else args.labels,
        threshold=args.threshold,
        runtime=args.runtime,
        num_threads=args.threads,
        mean=args.mean,
        std=args.std,
        input_size=args.input_size,
    )


def _is_folder(args: argparse.Namespace) -> bool:
    return any(Path(image).is_dir() for image in args.images)


def _expand(sources: list[str]) -> tuple[list[Path], list[tuple[str, str]]]:
    """The pictures named, those of a folder by name; and what was wrong with a name."""
    images: list[Path] = []
    problems: list[tuple[str, str]] = []
    for source in map(Path, sources):
        if not source.is_dir():
            images.append(source)
            continue
        found = sorted(path for path in source.iterdir() if _is_picture_name(path))
        if not found:
            problems.append((str(source), "no pictures in this folder"))
        images += found
    return images, problems


def _is_picture_name(path: Path) -> bool:
    hidden = path.name.startswith(".")
    return not hidden and path.suffix.lower() in PICTURE_SUFFIXES and path.is_file()


def _detect_one(detector: Detector, image: Path, out: Path | None, limit: int | None) -> _Result:
    result = _Result(image)
    try:
        picture = load_image(image)
        found = detector.detect(picture)[:limit]
        result.size, result.detections = picture.size, tuple(found)
        if out is not None:
            save_picture(annotated(picture, found, detector.labels), out)
            result.annotated = out
    except (ValueError, OSError, RuntimeError, MemoryError) as error:
        result.error = one_line(error) or type(error).__name__
    return result


def _report(problem: tuple[str, str]) -> None:
    name, reason = problem
    # Most reasons name the file already.
    text = reason if name in reason else f"{name}: {reason}"
    print(f"detops: error: {one_line(text)}", file=sys.stderr, flush=True)


def _detection_document(found: Detection) -> dict[str, Any]:
    return {
        "label": found.label,
        "class": found.class_index,
        "score": found.score,
        "box": found.box,
        "pixel_box": found.pixel_box,
    }


def _print_json(args: argparse.Namespace, detector: Detector, results: list[_Result]) -> None:
    registration = detector.registration
    print_document(
        "detect",
        {
            "model": args.model,
            "threshold": args.threshold,
            "input_size": detector.input_size,
            "nodes": registration.nodes,
            "fused": registration.fused,
            "images": [result.document() for result in results],
        },
    )
