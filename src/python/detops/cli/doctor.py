# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""`detops doctor`: what is wrong with a model's post-processing, without running it."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from typing import Any

from detops.cli import arguments
from detops.cli.describe import quantity
from detops.cli.hazards import find_hazards
from detops.cli.json_output import print_document
from detops.cli.table import format_wrapped, printable
from detops.cli.trial import Outcome, try_invoke
from detops.model_file import ModelFile
from detops.nodes.facts import read_nodes
from detops.nodes.faults import Finding, find_faults, find_file_faults, unchecked_inputs
from detops.options import OP_NAME
from detops.random_inputs import random_inputs

_HEADERS = ("where", "got, expected", "stock", "detops")


def add_command(commands: Any) -> None:
    """Adds the command to the parser."""
    parser = arguments.new_command(
        commands,
        "doctor",
        summary="find what is wrong with a model's post-processing",
        description="Lists the faults of a model, which detops refuses with a reason, and its\n"
        "hazards, which detops handles and the runtime's own (stock) op gets wrong.\n"
        "Looks at the file alone; --run also runs both ops, each in its own process.\n"
        "Exit code 1: faults, no such node, or a run with detops that failed.",
        example="detops doctor model.tflite --run",
    )
    parser.add_argument("--run", dest="invoke", action="store_true", help="run both ops as well")
    arguments.add_runtime(parser, "for --run (default: the first one installed)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Runs the command."""
    model = ModelFile.read(args.model)
    nodes = read_nodes(model)
    if not nodes:
        raise ValueError(f"{args.model} has no {OP_NAME} node")
    faults, hazards = find_file_faults(model), []
    for node in nodes:
        found = find_faults(node)
        faults += found
        # What stock would do with a node that nobody can use is of no interest.
        hazards += [] if found else find_hazards(node)
    unchecked = [f"{node.place}: {role}" for node in nodes for role in unchecked_inputs(node)]
    outcomes = _run_both(args, model) if args.invoke else {}
    healthy = not faults and all(o.ok for name, o in outcomes.items() if name == "detops")
    if args.json:
        print_document(
            "doctor",
            {
                "model": args.model,
                "healthy": healthy,
                "faults": [dataclasses.asdict(finding) for finding in faults],
                "hazards": [dataclasses.asdict(finding) for finding in hazards],
                "unchecked": unchecked,
                "runs": {name: dataclasses.asdict(o) for name, o in outcomes.items()} or None,
            },
        )
        return 0 if healthy else 1
    _print_report(args.model, faults, hazards, unchecked)
    for name, outcome in outcomes.items():
        print(f"run with {name}: {printable(outcome)}")
    return 0 if healthy else 1


def _run_both(args: argparse.Namespace, model: ModelFile) -> dict[str, Outcome]:
    arrays = random_inputs(model.subgraphs[0])
    return {
        name: try_invoke(args.model, arrays, stock=name == "stock", runtime=args.runtime)
        for name in ("stock", "detops")
    }


def _print_report(
    model: str, faults: Sequence[Finding], hazards: Sequence[Finding], unchecked: Sequence[str]
) -> None:
    name = printable(model)
    if faults:
        print(f"{name}: {quantity(len(faults), 'fault')}, detops refuses this model\n")
        print(_table(faults))
    else:
        print(f"{name}: healthy, no faults")
    if hazards:
        print(f"\n{quantity(len(hazards), 'hazard')}, where stock differs from detops\n")
        print(_table(hazards))
    if unchecked:
        print(f"\nshape known at run time only, not checked: {', '.join(unchecked)}")
    if faults or hazards or unchecked:
        print()


def _table(findings: Sequence[Finding]) -> str:
    headers = ("fault" if findings[0].detops.startswith("refuses") else "hazard", *_HEADERS)
    rows = [(f.name, f.place, f.text, f.stock, f.detops) for f in findings]
    return format_wrapped(headers, [[printable(cell) for cell in row] for row in rows])
