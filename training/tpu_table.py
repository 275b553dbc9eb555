# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Compiles every config for every TPU target and prints the table of docs/tpu.md.

    python -m training.tpu_table RESULTS [--targets v2-8,v5e-8] [--configs A,B] [--print-only]
        [--rates 300:243,640:251] [--prices v2-8:4.5,v5e-8:9.6]

RESULTS is a file of JSON lines. Pairs that it has an answer for are not compiled again, so the same
command goes on where a stopped one was. One process for each config, one at a time: a large step
takes minutes and 10 GB. Everything is compiled in bfloat16, for 90 classes where a config does not
say how many; of the phases only those that are not a part of another one.

--rates are pictures that one host core prepares in a second, by size of the input
(python -m benchmarks.input_benchmark); with them the table says how many cores a target needs.
--prices are those of a target for an hour; with them it says what all steps cost.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from training import command
from training.config import config_names

TARGETS = ("v2-8", "v5e-8", "v3-8", "v4-8", "v6e-8")
EXTRA_ROWS = (("retinanet_resnet50_640", ("quantize_from=24000",)),)
"""Configs with a change: fake quantisation where the published recipe has none."""

_HEADERS = (
    "config", "batch", "target", "fits", "peak of GiB", "TFLOP a step", "ms a step",
    "images/s", "all steps", "price", "all-reduces", "MB", "host cores",
)  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line and returns its exit code: 1 where a step does not compile or fit."""
    return command.run("training.tpu_table", lambda: _main(arguments))


def _main(arguments: Sequence[str] | None) -> int:
    parser = command.Parser(
        prog="python -m training.tpu_table",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("results", type=Path, metavar="RESULTS")
    parser.add_argument("--targets", default=",".join(TARGETS), metavar="NAMES")
    parser.add_argument("--configs", default="", metavar="NAMES", help="(all)")
    parser.add_argument("--print-only", action="store_true", help="compile nothing")
    parser.add_argument("--rates", type=_rates, default={}, metavar="SIZE:N,...")
    parser.add_argument("--prices", type=_prices, default={}, metavar="TARGET:N,...")
    args = parser.parse_args(arguments)
    targets = args.targets.split(",")
    for name in targets:
        if name not in TARGETS:
            raise ValueError(f"--targets has {name!r}, expected some of {', '.join(TARGETS)}")
    configs = args.configs.split(",") if args.configs else []
    if not args.print_only:
        for config, overrides in _rows(configs):
            _compile(args.results, config, overrides, targets)
    results = _read(args.results)
    print(markdown(results, args.rates, args.prices))
    return 0 if all(result["target"]["fits"] for result in results) else command.FAILED


def markdown(
    results: Sequence[dict[str, Any]], rates: Mapping[int, float], prices: Mapping[str, float]
) -> str:
    """The table: a row for each config and target, in the order of `TARGETS`.

    Args:
      results: as the file of results has them.
      rates: pictures a second of one core, by size of the input; may be empty.
      prices: of an hour of a target, by its name; may be empty.
    """
    ordered = sorted(results, key=lambda r: (r["row"], TARGETS.index(r["target"]["target"])))
    lines = [_HEADERS, ("---", "---:", "---", "---", *["---:"] * (len(_HEADERS) - 4))]
    lines += [(*_cells(result, prices), _cores(result, rates)) for result in ordered]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cores(result: dict[str, Any], rates: Mapping[int, float]) -> str:
    """Host cores that keep the target busy, at the rate of the next larger size measured."""
    sizes = [size for size in rates if size >= result["image_size"]]
    rate = result["target"].get("images_per_second")
    return str(math.ceil(rate / rates[min(sizes)])) if sizes and rate else ""


def _rates(text: str) -> dict[int, float]:
    sizes = command.whole_number(1, 100_000)
    return {sizes(size): rate for size, rate in _prices(text).items()}


def _prices(text: str) -> dict[str, float]:
    pairs = [pair.partition(":") for pair in text.split(",")]
    prices = {name: command.finite_number(number) for name, _, number in pairs}
    if min(prices.values()) <= 0:
        raise argparse.ArgumentTypeError(f"{text!r}, expected numbers above 0")
    return prices


def _duration(hours: float) -> str:
    if hours >= 1:
        return f"{hours:.2f} h"
    return f"{60 * hours:.0f} min" if hours >= 1 / 30 else f"{3600 * hours:.0f} s"


def _cells(result: dict[str, Any], prices: Mapping[str, float]) -> tuple[str, ...]:
    target = result["target"]
    price = prices.get(target["target"])
    head = (f"`{result['row']}`", str(result["batch_size"]), target["target"])
    if not target["fits"]:
        failed = next(p["failure"] for p in target["phases"] if not p["compiles_and_fits"])
        return (*head, f"no: {failed['kind']}", *[""] * (len(_HEADERS) - 5))
    phase = next(p for p in target["phases"] if p["phase"] == target["costliest_phase"])
    peak = max(p["peak_bytes"] for p in target["phases"])
    reduced = phase["collectives"].get("all-reduce", {"count": 0, "bytes": 0})
    return (
        *head,
        "yes",
        f"{peak / 2**30:.2f} of {phase['hbm_bytes'] / 2**30:.2f}",
        f"{phase['flops'] / 1e12:.3g}",
        f"{phase['step_seconds'] * 1e3:,.0f}",
        f"{phase['images_per_second']:,.0f}",
        _duration(target["hours"]),
        "" if price is None else f"{price * target['hours']:.2f}",
        str(reduced["count"]),
        f"{reduced['bytes'] / 1e6:.0f}",
    )


def _rows(configs: Sequence[str]) -> Iterator[tuple[str, tuple[str, ...]]]:
    names = configs or config_names()
    yield from ((name, ()) for name in names)
    yield from (row for row in EXTRA_ROWS if row[0] in names)


def _row_name(config: str, overrides: Sequence[str]) -> str:
    return " ".join([config, *overrides])


def _compile(path: Path, config: str, overrides: Sequence[str], targets: Sequence[str]) -> None:
    row = _row_name(config, overrides)
    done = {r["target"]["target"] for r in _read(path) if r["row"] == row}
    missing = [target for target in targets if target not in done]
    if not missing:
        return
    print(f"{row}: {', '.join(missing)}", file=sys.stderr, flush=True)
    check = [sys.executable, "-m", "training.tpu_check", config, *overrides]
    check += ["mixed_precision=true", "--costliest", "--json"]
    for target in missing:
        check += ["--topology", target]
    ended = subprocess.run(check, stdout=subprocess.PIPE, text=True)
    if ended.returncode not in (0, 1):
        raise RuntimeError(f"{row}: training.tpu_check ended with {ended.returncode}")
    document = json.loads(ended.stdout)
    with path.open("a") as file:
        for target in document.pop("targets"):
            file.write(json.dumps({"row": row, **document, "target": target}) + "\n")


def _read(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    results = []
    for number, line in enumerate(path.read_bytes().splitlines(), 1):
        try:
            result = json.loads(line)
            # What is printed of it; anything else would not be ours.
            _cells(result, {})
            _cores(result, {1: 1.0})
            TARGETS.index(result["target"]["target"])
        except Exception as error:
            raise ValueError(
                f"{path}, line {number} is no result of this command "
                f"({type(error).__name__}: {error}); take it out, and it is computed again"
            ) from error
        results.append(result)
    return results


if __name__ == "__main__":
    sys.exit(main())
