# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Draws a result as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def draw_chart(result: dict[str, Any], path: Path) -> None:
    """One bar per case: how many times faster than stock, on a logarithmic axis."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    cases = [case for case in result["op"] if "realistic" in case["group"]]
    cases = [case for case in cases if "thr 0.05" not in case["case"]]
    figure, axis = pyplot.subplots(figsize=(11, 0.24 * len(cases) + 1.6))
    colours = {"int8": "#1a7f37", "uint8": "#0969da", "float32": "#9a6700"}
    for place, case in enumerate(cases):
        dtype = case["case"].split()[1]
        axis.barh(place, case["ratio"], color=colours[dtype], height=0.72)
        text = f"{case['ratio']:,.0f}x   {_short(case['stock'])} -> {_short(case['detops'])}"
        axis.text(case["ratio"] * 1.07, place, text, va="center", fontsize=7.5)
    axis.set_yticks(range(len(cases)), [case["case"] for case in cases], fontsize=8)
    axis.invert_yaxis()
    axis.set_xscale("log")
    axis.set_xlim(1, max(case["ratio"] for case in cases) * 12)
    axis.set_ylim(len(cases) - 0.4, -0.6)
    axis.set_xlabel("times faster than the stock op (median, one thread, same interpreter in turn)")
    machine = result["machine"]
    axis.set_title(
        f"TFLite_Detection_PostProcess: detops {machine['detops']} against stock\n"
        f"{machine['cpu']}, {machine['instruction_set']}, {machine['date']}",
        fontsize=10,
    )
    axis.spines[["top", "right"]].set_visible(False)
    axis.grid(axis="x", alpha=0.3)
    figure.tight_layout()
    figure.savefig(path, dpi=130)
    pyplot.close(figure)


def _short(timing: dict[str, Any]) -> str:
    microseconds = timing["median"] * 1e6
    return f"{microseconds / 1000:,.1f} ms" if microseconds >= 1000 else f"{microseconds:.0f} us"
