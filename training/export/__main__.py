# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Exports a trained detector.

    python -m training.export RUN_DIR --out DIR

Writes DIR/detector_KIND.tflite for each kind and DIR/export.json. Each file is run: its box
encodings, scores and detections on real images are compared with those of the trained model, and
with annotated data it is scored. A file that misses a limit fails the command, and nothing is
written.

Exit codes: 0 exported, 1 a file is not what the model is, or the model has numbers that are not
finite, 2 a wrong command line, run or data set.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from detops.cli.json_output import print_document
from training import command
from training.export.detector_file import KINDS, export_options
from training.export.export_report import as_record, as_table
from training.export.exporting import REPORT, Exporter, output_paths, write_files
from training.export.parity import FLOAT_LIMITS, QUANTIZED_LIMITS
from training.export.trained_model import TrainedModel, load_trained
from training.export.validation import open_validation

_COUNT = command.whole_number(1, 100_000)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line and returns its exit code."""
    return command.run("training.export", lambda: _export(_parser().parse_args(arguments)))


def _parser() -> argparse.ArgumentParser:
    parser = command.Parser(
        prog="python -m training.export",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("source", type=Path, metavar="RUN_DIR", help="of a run, or a .weights.h5 file")
    add("-o", "--out", type=Path, required=True, metavar="DIR")
    add("--name", default="detector", help="files are called NAME_KIND.tflite")
    add(
        "--kinds",
        nargs="+",
        choices=KINDS,
        help="default: all for a model trained with fake quantisation, else float",
    )
    add("--config", default="", help="name or file, where no config.json is beside the weights")
    add("--labels", default="", help="file, where no labels.txt is beside the weights")
    add("--json", action="store_true", help="print the numbers as JSON")
    _add_options(parser.add_argument_group("options of the op"))
    _add_data(parser.add_argument_group("validation, by default the data of the config"))
    _add_limits(parser.add_argument_group("limits of quantised files against the trained model"))
    return parser


def _add_options(group: Any) -> None:
    add = group.add_argument
    add("--max-detections", type=_COUNT, default=10, metavar="N")
    add("--regular-nms", action="store_true", help="suppress within each class, not over all")
    add("--detections-per-class", type=_COUNT, default=100, metavar="N")
    add("--score-threshold", type=command.finite_number, default=1e-8, metavar="P")
    add("--iou-threshold", type=command.finite_number, metavar="P", help="default: the config's")


def _add_data(group: Any) -> None:
    add = group.add_argument
    add("--data", default="", help="as training.data takes it")
    add("--list", default="", dest="only", help="file of picture names: the part that is used")
    add("--images", default="", help="folder of pictures")
    add("--photos", default="", help="folder of pictures without annotations: compare only")
    add("--compare", type=_COUNT, default=32, metavar="N", help="pictures to compare on")


def _add_limits(group: Any) -> None:
    for name, meaning in (
        ("boxes_db", "least signal to noise of box encodings, in dB"),
        ("score_mean", "largest mean error of a score"),
        ("score_max", "largest error of a score"),
        ("agreement", "least part of detections that have a partner"),
    ):
        option = "--min-" if name in ("boxes_db", "agreement") else "--"
        group.add_argument(
            option + name.replace("_", "-"),
            type=command.finite_number,
            dest=name,
            default=getattr(QUANTIZED_LIMITS, name),
            metavar="X",
            help=f"{meaning} (%(default)g)",
        )


def _export(args: argparse.Namespace) -> int:
    trained = load_trained(args.source, config=args.config, labels=args.labels)
    kinds = args.kinds or (KINDS if trained.config.quantize_from >= 0 else ("float",))
    kinds = list(dict.fromkeys(kinds))
    paths = output_paths(args.out, args.name, kinds)
    iou = args.iou_threshold
    options = export_options(
        len(trained.labels),
        max_detections=args.max_detections,
        use_regular_nms=args.regular_nms,
        detections_per_class=args.detections_per_class,
        nms_score_threshold=args.score_threshold,
        nms_iou_threshold=trained.config.nms_iou_threshold if iou is None else iou,
    )
    validation = open_validation(
        trained.config,
        trained.labels,
        count=args.compare,
        data=args.data,
        only=args.only,
        images=args.images,
        photos=args.photos,
    )
    names = ("boxes_db", "score_mean", "score_max", "agreement")
    limits = replace(QUANTIZED_LIMITS, **{name: getattr(args, name) for name in names})
    exporter = Exporter(
        trained.model,
        options,
        trained.labels,
        validation,
        {False: FLOAT_LIMITS, True: limits},
        note=lambda text: print(text, file=sys.stderr),
    )
    files = [exporter.export(kind) for kind in kinds]
    broken = [f"{file.kind}: {text}" for file in files for text in file.broken]
    record = as_record(files, options, trained.weights)
    if not broken:
        record["paths"] = [str(path) for path in paths]
        contents = {path: file.content for path, file in zip(paths, files, strict=True)}
        report = json.dumps(record, indent=2) + "\n"
        write_files({**contents, args.out / REPORT: report.encode()}, args.out / REPORT)
    if args.json:
        print_document("export", record)
    else:
        print(as_table(files))
    return _verdict(broken, trained, args.out)


def _verdict(broken: Sequence[str], trained: TrainedModel, out: Path) -> int:
    if not broken:
        print(f"written to {out}", file=sys.stderr)
        return 0
    for text in broken:
        print(f"training.export: {text}", file=sys.stderr)
    print(f"{trained.weights}: nothing was written to {out}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
