# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Compiles a config's training step for a TPU, without one, and says what it would take.

    python -m training.tpu_check CONFIG --topology v5e-8 [key=value ...] [--json]

TARGET is a name of Google Cloud (v2-8, v3-8, v4-8, v5e-8, v6e-8) or one of libtpu's topologies
(v5e:4x4); --topology may be given several times. The step is the one that training.train runs:
forward, backward and update, the batch split over all cores. It needs pip install ".[tpu]".

Memory is what the compiler lays out and checks against the target's. Times are the compiler's
estimate of each core's own work; waiting for other cores and for pictures is not in them.

Exit codes: 0 it compiles and fits, 1 it does not, 2 a wrong command line or config, or jax[tpu] is
not installed, 130 Ctrl-C.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.metadata
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from detops.cli.json_output import print_document
from detops.cli.table import column_widths, format_row
from training import command
from training.config import Config, load_config
from training.tpu.compiled_step import (
    StepCompiler,
    StepReport,
    distinct_phases,
    prepare_environment,
)
from training.tpu.target import Target, find_target

NOT_SEEN = (
    "waiting for all-reduce",
    "reading, decoding and sending pictures",
    "scoring and checkpoints between steps",
)
"""What the estimate leaves out."""

_PROGRAM = "training.tpu_check"
_COCO_CLASSES = 90
_GIB = 1 << 30


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line and returns its exit code."""
    return command.run(_PROGRAM, lambda: _main(arguments))


def _main(arguments: Sequence[str] | None) -> int:
    args = _parser().parse_intermixed_args(arguments)
    prepare_environment()
    try:
        config = load_config(args.config, args.overrides)
        targets = [find_target(name) for name in args.topology]
        reports = check(config, targets, classes=args.classes, costliest=args.costliest)
    except ModuleNotFoundError as error:
        raise ImportError(f'{error.name} is not installed: pip install ".[tpu]"') from error
    except RuntimeError as error:
        # A topology that libtpu does not know.
        raise ValueError(str(error)) from error
    if args.json:
        print_document(_PROGRAM, document(args.config, config, reports))
    else:
        print(readable(args.config, config, reports))
    return command.FAILED if any(report.failure for report in reports) else 0


def _parser() -> argparse.ArgumentParser:
    parser = command.Parser(
        prog=f"python -m {_PROGRAM}",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("config", metavar="CONFIG")
    parser.add_argument("overrides", nargs="*", metavar="key=value")
    parser.add_argument("--topology", action="append", required=True, metavar="TARGET")
    parser.add_argument(
        "--classes",
        type=command.whole_number(1, 100_000),
        metavar="N",
        help="those of the config's labels, else 90 as COCO has",
    )
    parser.add_argument(
        "--costliest",
        action="store_true",
        help="leave out phases that do a part of another one's work",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document instead")
    return parser


def check(
    config: Config,
    targets: Sequence[Target],
    *,
    classes: int | None = None,
    costliest: bool = False,
) -> list[StepReport]:
    """Compiles the phases of a config for each target.

    Args:
      config: the run.
      targets: for which TPUs.
      classes: how many the detector tells apart; None for those of `config`, else COCO's 90.
      costliest: leave out phases that do a part of another one's work.

    Raises:
      ValueError: config and targets do not fit together.
      RuntimeError: libtpu does not know a topology.
      ModuleNotFoundError: JAX or libtpu is missing.
    """
    import libtpu  # noqa: F401  # JAX's own complaint would come late, and name no package.

    for target in targets:
        if config.batch_size % target.devices:
            raise ValueError(
                f"batch_size is {config.batch_size}, which the {target.devices} devices of "
                f"{target.name} do not divide"
            )
    compiler = StepCompiler(config, classes or class_count(config))
    phases = distinct_phases(config, costliest=costliest)
    return [compiler.compile(phase, target) for target in targets for phase in phases]


def class_count(config: Config) -> int:
    """Classes that a config names, or COCO's 90.

    Raises:
      ValueError, OSError: its file of labels cannot be read.
    """
    if config.single_class:
        return 1
    if not config.labels:
        return _COCO_CLASSES
    from detops.labels import read_labels

    return len(read_labels(Path(config.labels)))


def slowest(reports: Sequence[StepReport]) -> StepReport | None:
    """The report of the longest step, if every step compiled and has a time."""
    if not reports or any(report.step_seconds is None for report in reports):
        return None
    return max(reports, key=lambda report: report.step_seconds or 0.0)


def document(name: str, config: Config, reports: Sequence[StepReport]) -> dict[str, Any]:
    """What --json prints: a list with an entry for each target."""
    targets = []
    for target in dict.fromkeys(report.target for report in reports):
        of_target = [report for report in reports if report.target == target]
        longest = slowest(of_target)
        targets.append(
            {
                "target": target.name,
                "topology": target.topology,
                "chips": target.chips,
                "devices": target.devices,
                "fits": all(report.failure is None for report in of_target),
                "costliest_phase": longest.phase if longest else None,
                "step_seconds": longest.step_seconds if longest else None,
                "images_per_second": longest.images_per_second if longest else None,
                "hours": _hours(config, longest) if longest else None,
                "hours_by_phase": hours_by_phase(config, of_target),
                "phases": [_phase_entry(report) for report in of_target],
            }
        )
    return {
        "config": name,
        "architecture": config.architecture,
        "image_size": config.image_size,
        "batch_size": config.batch_size,
        "steps": config.steps,
        "mixed_precision": config.mixed_precision,
        "versions": _versions(),
        "not_seen": list(NOT_SEEN),
        "targets": targets,
    }


def readable(name: str, config: Config, reports: Sequence[StepReport]) -> str:
    """What is printed without --json."""
    precision = "bfloat16" if config.mixed_precision else "float32"
    versions = ", ".join(f"{what} {version}" for what, version in _versions().items())
    lines = [
        f"{name}: {config.architecture} at {config.image_size} pixels, batch {config.batch_size}, "
        f"{precision}, {config.steps:,} steps",
        f"compiled by {versions}; nothing ran on a TPU",
    ]
    for target in dict.fromkeys(report.target for report in reports):
        of_target = [report for report in reports if report.target == target]
        lines += ["", f"{target.name}: {target.chips} chips, {target.devices} devices"]
        lines += _table(of_target)
        lines += [f"  {report.phase}: {report.failure}" for report in of_target if report.failure]
        if longest := slowest(of_target):
            lines.append(
                f"  {config.steps:,} steps of the costliest phase ({longest.phase}): "
                f"{_hours(config, longest):.2f} h"
            )
        by_phase = hours_by_phase(config, of_target)
        if by_phase is not None and len(of_target) > 1:
            lines.append(f"  each phase for its own steps: {by_phase:.2f} h")
    return "\n".join([*lines, "", f"not seen: {', '.join(NOT_SEEN)}"])


def _table(reports: Sequence[StepReport]) -> list[str]:
    headers = ("phase", "fits", "GiB", "of", "GFLOP", "ms", "images/s", "all-reduces", "MB")
    rows = [_row(report) for report in reports]
    widths = column_widths(headers, *rows)
    return [f"  {format_row(row, widths, range(2, len(headers)))}" for row in (headers, *rows)]


def _row(report: StepReport) -> tuple[str, ...]:
    there = f"{report.hbm_bytes / _GIB:.2f}"
    if report.failure is not None or report.cost is None:
        needed = report.failure.needed_bytes if report.failure else None
        peak = f"{needed / _GIB:.2f}" if needed else ""
        return (report.phase, "no", peak, there, "", "", "", "", "")
    seconds, rate = report.step_seconds, report.images_per_second
    return (
        report.phase,
        "yes",
        f"{report.peak_bytes / _GIB:.2f}",
        there,
        f"{report.flops / 1e9:,.0f}",
        f"{seconds * 1e3:,.1f}" if seconds else "?",
        f"{rate:,.0f}" if rate else "?",
        str(report.cost.collectives["all-reduce"]),
        f"{report.cost.collective_bytes['all-reduce'] / 1e6:.1f}",
    )


def _phase_entry(report: StepReport) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "phase": report.phase,
        "compiles_and_fits": report.failure is None,
        "seconds_to_compile": round(report.seconds_to_compile, 1),
        "hbm_bytes": report.hbm_bytes,
    }
    if report.failure is not None or report.cost is None:
        return {**entry, "failure": asdict(report.failure) if report.failure else None}
    return {
        **entry,
        "peak_bytes": report.peak_bytes,
        "flops": report.flops,
        "cycles": report.cost.cycles,
        "loops_of_unknown_length": report.cost.unknown_loops,
        "step_seconds": report.step_seconds,
        "images_per_second": report.images_per_second,
        "collectives": {
            kind: {"count": count, "bytes": report.cost.collective_bytes[kind]}
            for kind, count in sorted(report.cost.collectives.items())
        },
    }


def hours_by_phase(config: Config, reports: Sequence[StepReport]) -> float | None:
    """Hours of a run whose every phase takes its own time; None if one of them has none."""
    from training import schedule

    seconds = {report.phase: report.step_seconds for report in reports}
    total = 0.0
    for phase in schedule.phases(config):
        step = seconds.get(phase.name)
        if step is None:
            return None
        total += (phase.end - phase.begin) * step
    return total / 3600


def _hours(config: Config, report: StepReport) -> float:
    return config.steps * (report.step_seconds or 0.0) / 3600


def _versions() -> dict[str, str]:
    found = {}
    for name in ("jax", "libtpu", "keras"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


if __name__ == "__main__":
    sys.exit(main())
