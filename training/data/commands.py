# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""The commands of `python -m training.data`: convert, coco, show, inspect, dispatch, work.

Exit codes are those of `training.command`.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from detops.cli.json_output import print_document
from detops.cli.progress import Progress
from detops.cli.table import printable
from detops.whole_file import replacing
from training import command
from training.data.class_labels import LABEL_FROM

if TYPE_CHECKING:
    from training.data.source import Source

_PROGRAM = "python -m training.data"
_PORT = command.whole_number(0, 65_535)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line and returns its exit code.

    Args:
      arguments: without the name of the program; None for those of the process.
    """
    return command.run("training.data", lambda: _main(arguments))


def _main(arguments: Sequence[str] | None) -> int:
    parsed = _build_parser().parse_args(arguments)
    parsed.run(parsed)
    return 0


def _build_parser() -> argparse.ArgumentParser:
    parser = command.Parser(
        prog=_PROGRAM,
        description="Annotated pictures for training: Pascal VOC XML, COCO JSON and TFRecords.",
        epilog=f"example:\n  {_PROGRAM} inspect pets --label-from file_name",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(
        title="commands",
        dest="command",
        metavar="COMMAND",
        required=True,
        parser_class=command.Parser,
    )
    _add_convert(commands)
    _add_coco(commands)
    _add_show(commands)
    _add_inspect(commands)
    _add_dispatch(commands)
    _add_work(commands)
    return parser


def _add_convert(commands: Any) -> None:
    parser = _add_command(
        commands,
        "convert",
        _convert,
        "write sharded TFRecords with a label map",
        "convert pets pets_records --label-from file_name --shards 4",
    )
    parser.add_argument("out", metavar="OUT", help="the folder to write to")
    parser.add_argument(
        "--name", default="train", help="the files are called NAME-00000-of-0000N.tfrecord (train)"
    )
    parser.add_argument(
        "--shards",
        type=command.whole_number(1, 99_999),
        default=0,
        metavar="N",
        help="files (one per 100 MiB)",
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="replace the set of this name, and the label map"
    )


def _add_coco(commands: Any) -> None:
    parser = _add_command(
        commands,
        "coco",
        _coco,
        "write the annotations as COCO JSON, for detops eval",
        "coco pets validation.json --label-from file_name --only validation.txt",
    )
    parser.add_argument("out", metavar="OUT", help="the .json file to write")


def _add_show(commands: Any) -> None:
    parser = _add_command(
        commands,
        "show",
        _show,
        "draw augmented samples with their boxes",
        "show pets --label-from file_name --out samples.png --count 16",
    )
    parser.add_argument("-o", "--out", required=True, metavar="PICTURE", help="a .png or .jpg file")
    parser.add_argument(
        "--count",
        type=command.whole_number(1, 10_000),
        default=16,
        metavar="N",
        help="samples (16)",
    )
    parser.add_argument(
        "--seed",
        type=command.whole_number(0, 2**32 - 1),
        default=0,
        help="of order and augmentation (0)",
    )
    parser.add_argument(
        "--image-size", type=command.whole_number(1, 8192), default=300, metavar="PX", help="(300)"
    )
    parser.add_argument("--no-flip", action="store_true", help="without mirroring")
    parser.add_argument("--no-random-crop", action="store_true", help="without SSD's random crop")
    parser.add_argument("--no-photometric", action="store_true", help="without changes of colour")
    parser.add_argument("--zoom-out", action="store_true", help="with SSD's zoom-out")


def _add_inspect(commands: Any) -> None:
    parser = _add_command(
        commands,
        "inspect",
        _inspect,
        "count classes, sizes of boxes, and problems",
        "inspect BCCD --only BCCD/ImageSets/train.txt",
    )
    parser.add_argument("--all", action="store_true", help="name every problem, not the first few")


def _add_dispatch(commands: Any) -> None:
    parser = _add_plain(
        commands,
        "dispatch",
        _dispatch,
        "hand out batches to make to the workers of a data service, until stopped",
        "dispatch --port 5000",
    )
    parser.add_argument(
        "--port", type=_PORT, default=5000, metavar="N", help="0 for a free one (5000)"
    )


def _add_work(commands: Any) -> None:
    parser = _add_plain(
        commands,
        "work",
        _work,
        "make batches for a data service, until stopped",
        "work grpc://10.0.0.2:5000 --address 10.0.0.7:5001 --port 5001",
    )
    parser.add_argument("service", metavar="SERVICE", help="the dispatcher's, grpc://HOST:PORT")
    parser.add_argument("--port", type=_PORT, default=0, metavar="N", help="(a free one)")
    parser.add_argument(
        "--address", default="", metavar="HOST:PORT", help="by which training reaches it"
    )


def _add_plain(
    commands: Any, name: str, run: Callable[[argparse.Namespace], None], text: str, example: str
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=text,
        description=f"{text[0].upper()}{text[1:]}.",
        epilog=f"example:\n  {_PROGRAM} {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)
    return parser


def _add_command(
    commands: Any, name: str, run: Callable[[argparse.Namespace], None], text: str, example: str
) -> argparse.ArgumentParser:
    parser = _add_plain(commands, name, run, text, example)
    parser.add_argument(
        "source",
        metavar="SOURCE",
        help="a folder with Pascal VOC .xml files (or with Annotations/ or xmls/), a COCO .json "
        "file, or TFRecords: a file, a folder, or a pattern in quotes",
    )
    parser.add_argument(
        "--images", default="", metavar="DIR", help="the pictures (JPEGImages/ or images/ beside)"
    )
    parser.add_argument(
        "--only", default="", metavar="LIST", help="a file with the names of the pictures to use"
    )
    parser.add_argument(
        "--labels", default="", metavar="FILE", help="class names or a label map (the data's own)"
    )
    parser.add_argument(
        "--label-from",
        choices=LABEL_FROM,
        default="name",
        help='the class is the annotated name, or the file\'s name up to the last "_" (name)',
    )
    parser.add_argument(
        "--single-class", default="", metavar="NAME", help="every box is of this one class"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document instead")
    return parser


def _open(args: argparse.Namespace) -> Source:
    with _quiet_start():
        from training.data.opening import open_source

    return open_source(
        args.source,
        images=args.images,
        only=args.only,
        labels=args.labels or None,
        label_from=args.label_from,
        single_class=args.single_class,
        progress=True,
    )


@contextlib.contextmanager
def _quiet_start() -> Iterator[None]:
    """Without the notices that TensorFlow prints while it is imported, past sys.stderr: they would
    bury the answer. An error of the import is raised as always."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.stderr.flush()
    with open(os.devnull, "wb") as nothing, os.fdopen(os.dup(2), "wb") as kept:  # noqa: PTH123
        os.dup2(nothing.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept.fileno(), 2)


# ---------------------------------------------------------------------------------------------
# Commands. What needs TensorFlow is imported after `_open`, which imports that quietly.
# ---------------------------------------------------------------------------------------------


def _convert(args: argparse.Namespace) -> None:
    source = _open(args)
    from training.data.shard_writer import write_shards
    from training.data.summary import problem_lines, summary

    with Progress(len(source)) as progress:
        paths = write_shards(
            source,
            Path(args.out),
            name=args.name,
            shards=args.shards,
            overwrite=args.overwrite,
            on_image=progress.step,
        )
    size = sum(path.stat().st_size for path in paths)
    numbers = summary(source)
    if args.json:
        document = {"source": args.source, "files": list(map(str, paths)), "bytes": size}
        print_document("training.data convert", {**document, **numbers})
        return
    print(
        f"{len(source)} pictures ({numbers['images_without_boxes']} without boxes), "
        f"{numbers['boxes']} boxes, {numbers['crowds']} crowds, {len(source.labels)} classes"
    )
    more = f" to {paths[-1].name}" if len(paths) > 1 else ""
    print(f"{printable(paths[0])}{more}: {size:,} bytes")
    print("\n".join(problem_lines(source)), end="\n" if len(source.problems) else "")


def _coco(args: argparse.Namespace) -> None:
    out = Path(args.out)
    if out.suffix.lower() != ".json":
        raise ValueError(f"OUT is {out}, expected a .json file")
    source = _open(args)
    from training.data.summary import problem_lines

    truth = source.ground_truth()
    with replacing(out) as temporary:
        temporary.write_text(json.dumps(truth))
    counts = {name: len(truth[name]) for name in ("images", "annotations", "categories")}
    if args.json:
        print_document("training.data coco", {"source": args.source, "out": args.out, **counts})
        return
    print(
        f"{printable(out)}: {counts['images']} pictures, {counts['annotations']} boxes, "
        f"{counts['categories']} classes"
    )
    print("\n".join(problem_lines(source)), end="\n" if len(source.problems) else "")


def _show(args: argparse.Namespace) -> None:
    out = Path(args.out)
    if out.suffix.lower() not in (".png", ".jpg", ".jpeg"):
        raise ValueError(f"--out is {out}, expected a .png or .jpg file")
    if not out.parent.is_dir():
        raise FileNotFoundError(f"{out.parent}, the folder of --out, does not exist")
    source = _open(args)
    from training.data.pipeline import training_batches
    from training.data.sample_sheet import sample_sheet

    batches = training_batches(
        source,
        image_size=args.image_size,
        batch_size=1,
        seed=args.seed,
        flip=not args.no_flip,
        random_crop=not args.no_random_crop,
        photometric=not args.no_photometric,
        zoom_out=args.zoom_out,
    )
    samples = []
    for images, truth in batches.take(args.count).as_numpy_iterator():
        valid = truth["valid"][0]
        samples.append((images[0], truth["boxes"][0][valid], truth["classes"][0][valid]))
    with replacing(out) as temporary:
        sample_sheet(samples, source.labels).save(temporary)
    boxes = sum(len(classes) for _, _, classes in samples)
    if args.json:
        document = {"source": args.source, "out": args.out, "samples": len(samples)}
        print_document("training.data show", {**document, "boxes": boxes})
        return
    print(f"{printable(out)}: {len(samples)} samples with {boxes} boxes")


def _inspect(args: argparse.Namespace) -> None:
    source = _open(args)
    from training.data.summary import summary, summary_text

    if args.json:
        details = {"problems": source.problems.texts()} if args.all else {}
        document = {"source": args.source, **summary(source), **details}
        print_document("training.data inspect", document)
        return
    print(summary_text(source, all_problems=args.all))


def _dispatch(args: argparse.Namespace) -> None:
    with _quiet_start():
        from training.data.service import run_dispatcher

    server = run_dispatcher(args.port)
    _serve(server, f"{server.target}: waiting for workers")


def _work(args: argparse.Namespace) -> None:
    with _quiet_start():
        from training.data.service import run_worker

    server = run_worker(args.service, args.port, args.address)
    _serve(server, f"working for {args.service}")


def _serve(server: Any, text: str) -> None:
    """Says that a server runs, and lets it until Ctrl-C."""
    print(f"{text}; Ctrl-C ends it", flush=True)
    try:
        # The server's own join() hears no signal.
        threading.Event().wait()
    finally:
        server.stop()
