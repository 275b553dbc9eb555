# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""A result as Markdown tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def markdown_report(result: dict[str, Any]) -> str:
    """The tables of docs/performance.md."""
    machine = result["machine"]
    packages = ", ".join(f"{name} {version}" for name, version in machine["packages"].items())
    parts = [
        f"{machine['cpu']}, {machine['instruction_set']}, {machine['system']}, {machine['date']}, "
        f"detops {machine['detops']}, {packages}. One thread, medians."
    ]
    for group in ("realistic", "adversarial"):
        cases = [case for case in result["op"] if case["group"] == group]
        if cases:
            parts.append(f"### The op, {group} scores\n\n{_op_table(cases)}")
    if result["nms"]:
        parts.append(f"### Non-maximum suppression of boxes\n\n{_nms_table(result['nms'])}")
    if result["models"]:
        parts.append(f"### Whole frames\n\n{_model_table(result['models'])}")
    return "\n\n".join(parts) + "\n"


def _op_table(cases: Sequence[dict[str, Any]]) -> str:
    rows = [
        (
            case["case"],
            str(case["detections"]),
            _microseconds(case["stock"]),
            _microseconds(case["detops"]),
            f"{case['ratio']:,.1f}x",
            _microseconds(case["floor_after_stock"]),
            _microseconds(case["detops_alone"]),
            _microseconds(case["floor"]),
            f"{case['over_floor']:.2f}",
        )
        for case in cases
    ]
    headers = (
        "case",
        "found",
        "stock us",
        "detops us",
        "ratio",
        "floor, in turn",
        "alone us",
        "floor us",
        "over floor",
    )
    return _table(headers, rows)


def _nms_table(sizes: Sequence[dict[str, Any]]) -> str:
    rows = [
        (
            f"{size['boxes']:,}",
            f"{size['kept']:,}",
            peer["peer"],
            _microseconds(peer["time"]),
            _microseconds(peer["detops"]),
            f"{peer['ratio']:,.1f}x",
            str(peer["differing"]),
        )
        for size in sizes
        for peer in size["peers"]
    ]
    return _table(("boxes", "kept", "peer", "peer us", "detops us", "ratio", "differing"), rows)


def _model_table(models: Sequence[dict[str, Any]]) -> str:
    rows = []
    for model in models:
        for side in ("stock", "detops"):
            frame, alone = model[f"{side}_frame"], model[f"{side}_postprocessing"]
            share = alone["median"] / frame["median"]
            rows.append(
                (model["model"], side, _microseconds(frame), _microseconds(alone), f"{share:.1%}")
            )
    return _table(("model", "op", "frame us", "post-processing us", "share"), rows)


def _microseconds(timing: dict[str, Any]) -> str:
    value = timing["median"] * 1e6
    return f"{value:,.1f}" if value < 100 else f"{value:,.0f}"


def _table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [headers, ["---", *["---:"] * (len(headers) - 1)], *rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in lines)
