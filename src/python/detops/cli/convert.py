# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""`detops convert`: new files from old ones, by what `detops.convert` offers."""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detops.cli import arguments
from detops.cli.json_output import print_document
from detops.cli.model_changes import Change, changes_between
from detops.cli.table import column_widths, format_row, one_line, printable
from detops.convert import (
    add_metadata,
    attach_postprocess,
    rewrite_quantized,
    set_options,
    tidy,
)
from detops.convert.option_edit import option_kinds
from detops.model_file import ModelFile
from detops.nodes.facts import read_nodes
from detops.options import Options
from detops.whole_file import open_regular, replacing

_SCORES_ARE = {"probabilities": True, "logits": False}

Edit = Callable[[argparse.Namespace], bytes]


def add_command(commands: Any) -> None:
    """Adds the command, with one of its own for each edit, to the parser."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "convert",
        help="attach the op to a model, or change a model that has it",
        description="Writes a new .tflite file and prints what differs from the old one.",
        epilog="example:\n  detops convert rewrite model.tflite --into uint8 --out new.tflite",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    edits = parser.add_subparsers(title="edits", dest="edit", metavar="EDIT", required=True)
    _add_attach(edits)
    _add_rewrite(edits)
    _add_set(edits)
    _add_edit(edits, "tidy", _tidy, "usual order, names and shapes of outputs; nothing twice", "")
    _add_metadata(edits)


def run(args: argparse.Namespace) -> int:
    """Runs the command."""
    source, out = Path(args.model), Path(args.out)
    if out.is_dir():
        raise ValueError(f"--out is {out}, a folder, expected a file")
    if out.exists() and source.exists() and out.samefile(source):
        raise ValueError(f"--out would overwrite the model {source}")
    try:
        content = args.make(args)
    except ValueError as error:
        raise ValueError(f"{args.model}: {error}") from error
    with replacing(out) as temporary:
        temporary.write_bytes(content)
    changes = changes_between(source, out)
    if args.json:
        document = {"edit": args.edit, "model": args.model, "out": args.out}
        print_document("convert", {**document, "changes": [vars(change) for change in changes]})
        return 0
    _print_changes(args, changes)
    return 0


def _print_changes(args: argparse.Namespace, changes: list[Change]) -> None:
    print(f"{printable(args.model)} -> {printable(args.out)}")
    if not changes:
        print("  nothing changes")
        return
    rows = [[printable(cell) for cell in (c.what, c.before, c.after)] for c in changes]
    widths = [column_widths(*rows)[0], 3]
    for what, before, after in rows:
        print("  " + format_row([what, "was"], widths) + f"  {before}")
        print("  " + format_row(["", "is"], widths) + f"  {after}")


# ---------------------------------------------------------------------------------------------
# Edits
# ---------------------------------------------------------------------------------------------


def _attach(args: argparse.Namespace) -> bytes:
    return attach_postprocess(
        args.model,
        _read_anchors(Path(args.anchors)),
        Options(**_given_options(args)),
        boxes=_output_key(args.boxes),
        scores=_output_key(args.scores),
        sigmoid=None if args.scores_are is None else _SCORES_ARE[args.scores_are],
        into=args.into,
    )


def _rewrite(args: argparse.Namespace) -> bytes:
    return rewrite_quantized(args.model, args.into)


def _set(args: argparse.Namespace) -> bytes:
    changes = _given_options(args)
    if not changes:
        raise ValueError("no option is given, expected for example --nms-score-threshold 0.3")
    return set_options(args.model, **changes)


def _tidy(args: argparse.Namespace) -> bytes:
    return tidy(args.model)


def _metadata(args: argparse.Namespace) -> bytes:
    return add_metadata(
        args.model,
        labels=args.labels,
        description=args.description,
        input_mean=args.mean,
        input_std=args.std,
        name=args.name,
    )


def _read_anchors(path: Path) -> NDArray[Any]:
    """From a .npy file, or from another model with the op."""
    if path.suffix.lower() == ".npy":
        return _read_npy(path)
    nodes = read_nodes(ModelFile.read(path))
    found = nodes[0].inputs.get("anchors") if len(nodes) == 1 else None
    values = None if found is None else found.real_constant()
    if values is None:
        raise ValueError(
            f"--anchors is {path}, expected a .npy file or a .tflite file with the op and constant "
            "anchors"
        )
    return values


def _read_npy(path: Path) -> NDArray[Any]:
    with open_regular(path) as file, warnings.catch_warnings():
        # Of files that Python 2 wrote.
        warnings.simplefilter("ignore")
        try:
            anchors: NDArray[Any] = np.lib.format.read_array(file, allow_pickle=False)
        except OSError:
            raise
        except Exception as error:
            # The header is an expression of Python, which may fail in as many ways as any.
            reason = one_line(error) or type(error).__name__
            raise ValueError(f"--anchors is {path}, not a readable .npy file: {reason}") from error
    return anchors


def _given_options(args: argparse.Namespace) -> dict[str, Any]:
    given = {name: getattr(args, name) for name in option_kinds()}
    return {name: value for name, value in given.items() if value is not None}


def _output_key(text: str | None) -> str | int | None:
    return int(text) if text is not None and text.isascii() and text.isdigit() else text


# ---------------------------------------------------------------------------------------------
# Arguments
# ---------------------------------------------------------------------------------------------


def _add_edit(edits: Any, name: str, make: Edit, summary: str, use: str) -> argparse.ArgumentParser:
    example = f"detops convert {name} model.tflite {use}{' ' if use else ''}--out new.tflite"
    parser = arguments.new_command(
        edits, name, summary=summary, description=f"{summary}.".capitalize(), example=example
    )
    parser.add_argument("-o", "--out", required=True, metavar="FILE", help="the file to write")
    parser.set_defaults(run=run, make=make)
    return parser


def _add_attach(edits: Any) -> None:
    parser = _add_edit(
        edits,
        "attach",
        _attach,
        "end a model, whose outputs are boxes and scores, in the op",
        "--anchors anchors.npy --num-classes 90 --scores-are logits",
    )
    parser.add_argument(
        "--anchors",
        required=True,
        metavar="FILE",
        help="a .npy file [N, 4] (centre y, centre x, height, width), or a model that has them",
    )
    key_help = "name or position of the output, where shapes do not tell"
    parser.add_argument("--boxes", metavar="OUTPUT", help=key_help)
    parser.add_argument("--scores", metavar="OUTPUT", help=key_help)
    parser.add_argument(
        "--scores-are",
        choices=list(_SCORES_ARE),
        help="logits get a LOGISTIC; needed where the file does not prove it",
    )
    parser.add_argument(
        "--into",
        choices=["float32", "native"],
        default="float32",
        help="what the op reads of an 8-bit model (default: float32, which runs everywhere)",
    )
    _add_options(parser, required=("num_classes",))


def _add_rewrite(edits: Any) -> None:
    summary = "change the type in which boxes and scores reach the op, without loss"
    parser = _add_edit(edits, "rewrite", _rewrite, summary, "--into uint8")
    parser.add_argument(
        "--into",
        choices=["int8", "uint8", "float32"],
        required=True,
        help="int8: for detops; uint8 and float32: for every runtime",
    )


def _add_set(edits: Any) -> None:
    summary = "change options of the op"
    _add_options(_add_edit(edits, "set", _set, summary, "--nms-score-threshold 0.3"))


def _add_metadata(edits: Any) -> None:
    summary = "add TFLite metadata and class names"
    parser = _add_edit(edits, "metadata", _metadata, summary, "--labels labels.txt")
    parser.add_argument("--labels", required=True, metavar="FILE", help="class names")
    parser.add_argument("--name", default="Object detector", help="of the model")
    parser.add_argument("--description", default="", help="of the model")
    channels_help = "of a pixel: a number, or three with commas (default: 127.5)"
    parser.add_argument("--mean", type=arguments.channels, default=127.5, help=channels_help)
    parser.add_argument("--std", type=arguments.channels, default=127.5, help=channels_help)


def _add_options(parser: argparse.ArgumentParser, required: tuple[str, ...] = ()) -> None:
    group = parser.add_argument_group("options of the op")
    readers = {"int": _whole, "bool": _switch, "float": arguments.number}
    for name, kind in option_kinds().items():
        group.add_argument(
            f"--{name.replace('_', '-')}",
            type=readers[kind],
            required=name in required,
            metavar={"int": "N", "bool": "true|false", "float": "X"}[kind],
        )


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from None


def _switch(text: str) -> bool:
    if text not in ("true", "false"):
        raise argparse.ArgumentTypeError(f"{text!r} is not true or false")
    return text == "true"
