# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""`detops bench`: the same model with the runtime's own op and with detops, side by side."""

from __future__ import annotations

import argparse
import platform
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detops import __version__
from detops.cli import arguments
from detops.cli.comparison import check_comparable, compare_answers
from detops.cli.hazards import HEAP, THREADS, find_hazards
from detops.cli.json_output import print_document
from detops.cli.side_by_side import Timing, cpu_name, median_ratio, time_in_turn
from detops.cli.table import column_widths, format_row, printable
from detops.cli.trial import Outcome, ready_interpreter, runtime_name, try_invoke
from detops.detector import ImageInput, load_image
from detops.model_file import ModelFile
from detops.nodes.facts import NodeFacts, read_nodes
from detops.nodes.faults import find_faults
from detops.options import OP_NAME
from detops.random_inputs import random_inputs


def add_command(commands: Any) -> None:
    """Adds the command to the parser."""
    parser = arguments.new_command(
        commands,
        "bench",
        summary="time a model with the stock op and with detops",
        description="Compares the answers of the runtime's own (stock) op and of detops bit for\n"
        "bit, then times whole invokes of both in turn. Exit code 1 if the answers differ.",
        example="detops bench model.tflite --image photo.jpg --runs 200",
    )
    parser.add_argument("--image", metavar="IMAGE", help="a picture (default: random numbers)")
    parser.add_argument("--runs", type=arguments.positive, default=100, metavar="N")
    parser.add_argument("--threads", type=arguments.positive, default=1, metavar="N")
    arguments.add_runtime(parser, "default: the first one installed")
    arguments.add_picture_input(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Runs the command."""
    model = ModelFile.read(args.model)
    nodes = _sound_nodes(args.model, model)
    arrays = _inputs(args, model)
    reason = _reason_against_stock(args, nodes, arrays)
    names = ("stock", "detops") if reason is None else ("detops",)
    interpreters = {name: _prepared(args, name, arrays) for name in names}
    differences: list[str] | None = None
    if reason is None:
        differences = compare_answers(nodes, interpreters["stock"], interpreters["detops"])
    timings = {} if differences else time_in_turn(interpreters, args.runs)
    document = {
        "model": args.model,
        "input": args.image or "random",
        "runs": args.runs,
        "threads": args.threads,
        "cpu": cpu_name(),
        "versions": _versions(args),
        "stock_cannot_run": reason,
        "differences": differences,
        "milliseconds": {name: vars(timing) for name, timing in timings.items()},
        "median_ratio": median_ratio(timings),
    }
    if args.json:
        print_document("bench", document)
    else:
        _print_report(document, timings, _hint(args, nodes) if differences else "")
    return 1 if differences else 0


def _sound_nodes(path: str, model: ModelFile) -> list[NodeFacts]:
    nodes = read_nodes(model)
    if not nodes:
        raise ValueError(f"{path} has no {OP_NAME} node")
    faults = [finding for node in nodes for finding in find_faults(node)]
    if faults:
        raise ValueError(f"{path}: {faults[0].place}: {faults[0].text} (see: detops doctor)")
    check_comparable(nodes)
    return nodes


def _inputs(args: argparse.Namespace, model: ModelFile) -> list[NDArray[Any]]:
    graph = model.subgraphs[0]
    if args.image is None and args.input_size is None:
        return random_inputs(graph)
    picture_input = ImageInput.of(graph, args.mean, args.std, args.input_size)
    if args.image is not None:
        return [picture_input.array(load_image(args.image))]
    from PIL import Image

    shape = (picture_input.height, picture_input.width, 3)
    noise = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    return [picture_input.array(Image.fromarray(noise))]


def _reason_against_stock(
    args: argparse.Namespace, nodes: list[NodeFacts], arrays: list[NDArray[Any]]
) -> str | None:
    if args.threads > 1:
        for finding in (finding for node in nodes for finding in find_hazards(node)):
            if finding.name == HEAP:
                return f"not tried: {finding.text}, stock {finding.stock}"
    outcome = _try(args, arrays, stock=True)
    if outcome.status == "crash":
        # Where another node did it, this process would be the next.
        ours = _try(args, arrays, stock=False)
        if ours.status == "crash":
            raise ValueError(f"{args.model}: the runtime crashes with either op ({ours.text})")
    return None if outcome.ok else str(outcome)


def _try(args: argparse.Namespace, arrays: list[NDArray[Any]], *, stock: bool) -> Outcome:
    return try_invoke(args.model, arrays, stock=stock, runtime=args.runtime, threads=args.threads)


def _prepared(args: argparse.Namespace, name: str, arrays: list[NDArray[Any]]) -> Any:
    return ready_interpreter(
        args.model, arrays, stock=name == "stock", runtime=args.runtime, threads=args.threads
    )


def _versions(args: argparse.Namespace) -> dict[str, str]:
    return {
        "detops": __version__,
        "runtime": runtime_name(args.runtime),
        "numpy": np.__version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
    }


def _hint(args: argparse.Namespace, nodes: list[NodeFacts]) -> str:
    names = {finding.name: finding for node in nodes for finding in find_hazards(node)}
    if args.threads > 1 and THREADS in names:
        return f"known: {names[THREADS].text} and {names[THREADS].stock}"
    return ""


def _print_report(document: dict[str, Any], timings: dict[str, Timing], hint: str) -> None:
    versions = document["versions"]
    print(printable(document["model"]))
    print(f"  {document['cpu']}, {versions['system']}")
    print(
        f"  {versions['runtime']}, detops {versions['detops']}, numpy {versions['numpy']}, "
        f"python {versions['python']}"
    )
    print(f"  input {printable(document['input'])}, threads {document['threads']}\n")
    if document["stock_cannot_run"] is not None:
        print(f"stock {printable(document['stock_cannot_run'])}\n")
    elif document["differences"]:
        print("the answers differ:")
        for difference in document["differences"]:
            print(f"  {difference}")
        if hint:
            print(hint)
        return
    else:
        print("the answers are the same, bit for bit\n")
    rows = [("invoke, ms", "min", "median", "max")]
    rows += [(n, f"{t.min:.4f}", f"{t.median:.4f}", f"{t.max:.4f}") for n, t in timings.items()]
    widths = column_widths(*rows)
    for row in rows:
        print(format_row(row, widths, right=(1, 2, 3)))
    if document["median_ratio"] is not None:
        print(f"\nmedian of stock / median of detops: {document['median_ratio']:.3f}")
