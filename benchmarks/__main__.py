# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Measures everything, prints it as tables and saves it as JSON and a picture.

    python -m benchmarks [--only TEXT] [--seconds S] [--out FOLDER]

Answers are compared before anything is timed. One thread. Real models are measured when DETOPS_DATA
names the folder that has them.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from benchmarks.chart import draw_chart
from benchmarks.machine import describe_machine
from benchmarks.model_benchmark import measure_model
from benchmarks.nms_benchmark import SIZES, measure_nms
from benchmarks.op_benchmark import measure_case
from benchmarks.op_cases import adversarial_cases, usual_cases
from benchmarks.report import markdown_report


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", default="", help="cases whose name contains this text")
    parser.add_argument("--seconds", type=float, default=1.0, help="for each case (default 1)")
    parser.add_argument("--out", type=Path, default=Path("benchmark-results"))
    args = parser.parse_args()
    warnings.simplefilter("ignore")

    def measured(
        name: Callable[[Any], str], items: Iterable[Any], measure: Callable[[Any], dict[str, Any]]
    ) -> list[dict[str, Any]]:
        results = []
        for item in items:
            if args.only in name(item):
                print(f"  {name(item)}", file=sys.stderr, flush=True)
                results.append(measure(item))
        return results

    result: dict[str, Any] = {"machine": describe_machine(), "op": []}
    for group, cases in (("realistic", usual_cases()), ("adversarial", adversarial_cases())):
        for case in measured(lambda c: c.name, cases, lambda c: measure_case(c, args.seconds)):
            result["op"].append({"group": group, **case})
    result["nms"] = measured(
        lambda size: f"nms {size}", SIZES, lambda size: measure_nms(size, args.seconds)
    )
    result["models"] = measured(
        lambda pair: f"model {pair[0].name}",
        _models(),
        lambda pair: measure_model(*pair, args.seconds),
    )
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "results.json").write_text(json.dumps(result, indent=1))
    report = markdown_report(result)
    (args.out / "results.md").write_text(report)
    if any(case["group"] == "realistic" for case in result["op"]):
        draw_chart(result, args.out / "results.png")
    print(report)
    print(f"saved to {args.out}/", file=sys.stderr)


def _models() -> list[tuple[Path, Path]]:
    folder = os.environ.get("DETOPS_DATA")
    if not folder:
        print("  DETOPS_DATA is not set: no whole models", file=sys.stderr)
        return []
    models, images = Path(folder) / "models", Path(folder) / "images"
    return [
        (models / "coco_ssd_mnv1_100_300_uint8.tflite", images / "multi_objects.jpg"),
        (models / "pets37_ssd_mnv1_075_300_uint8.tflite", images / "pets.jpg"),
    ]


if __name__ == "__main__":
    main()
