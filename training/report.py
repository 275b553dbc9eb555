# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""What is left of a run: report.json and curves.png."""

from __future__ import annotations

import json
import math
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

import detops
from detops.cli.side_by_side import cpu_name
from detops.evaluation import CocoMetrics
from detops.whole_file import replacing
from training.progress import read_metrics
from training.schedule import Phase

_INK, _MUTED, _GRID = "#1b1b1b", "#6b6b6b", "#e4e4e4"
_LOSS_COLORS = {
    "loss": "#1b1b1b",
    "localization": "#0072b2",
    "classification": "#d55e00",
    "regularization": "#009e73",
}


def metrics_record(metrics: CocoMetrics) -> dict[str, Any]:
    """The twelve numbers and those by class, as JSON: null where there is nothing to find."""
    return {
        **{name: _or_none(value) for name, value in metrics.numbers().items()},
        "classes": [
            {
                "name": one.name,
                "objects": one.objects,
                "ap": _or_none(one.ap),
                "ap50": _or_none(one.ap50),
            }
            for one in metrics.classes
        ],
    }


def versions() -> dict[str, str]:
    """Of everything that decides what a run computes."""
    backend = keras.backend.backend()
    found = {
        "detops": detops.__version__,
        "keras": keras.__version__,
        "backend": backend,
        "numpy": np.__version__,
        "python": platform.python_version(),
    }
    for name in dict.fromkeys((backend, "tensorflow")):
        try:
            found[name] = __import__(name).__version__
        except ImportError:
            continue
    return found


def machine() -> dict[str, Any]:
    """What it ran on."""
    return {
        "cpu": cpu_name(),
        "system": f"{platform.system()} {platform.machine()}",
        "devices": [str(name) for name in keras.distribution.list_devices()],
    }


def write_report(folder: Path, record: Mapping[str, Any], phases: Sequence[Phase]) -> None:
    """Writes report.json and, with matplotlib installed, curves.png."""
    with replacing(folder / "report.json") as path:
        path.write_text(json.dumps(record, indent=2) + "\n")
    with replacing(folder / "curves.png") as path:
        draw_curves(read_metrics(folder / "metrics.jsonl"), phases, path)


def draw_curves(records: Sequence[Mapping[str, Any]], phases: Sequence[Phase], path: Path) -> None:
    """Draws loss terms, learning rate and AP over the steps; phases are marked.

    Args:
      records: of metrics.jsonl.
      path: of the PNG.

    Raises:
      ImportError: matplotlib is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        message = 'curves.png needs matplotlib: pip install "detops[train]"'
        raise ImportError(message) from error

    training = [record for record in records if "loss" in record]
    scored = [record for record in records if {"validation/ap", "validation/ap50"} <= {*record}]
    rows = 3 if scored else 2
    figure = Figure(figsize=(9, 2.9 * rows + 0.5), layout="constrained")
    FigureCanvasAgg(figure)
    heights = [1.6, 0.7, 1.2][:rows]
    axes = figure.subplots(rows, 1, sharex=True, gridspec_kw={"height_ratios": heights})
    _draw_losses(axes[0], training)
    _draw(axes[1], training, "learning_rate", "learning rate", _INK)
    _name(axes[1], "learning rate")
    axes[1].set_ylim(bottom=0)
    if scored:
        _draw_scores(axes[2], scored)
    for row, axis in enumerate(axes):
        _style(axis, phases, named=row == 0)
    axes[-1].set_xlabel("step", color=_MUTED)
    figure.savefig(path, format="png", dpi=110)


def _draw_losses(axis: Any, records: Sequence[Mapping[str, Any]]) -> None:
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    for name, color in _LOSS_COLORS.items():
        _draw(axis, records, name, name, color)
    values = [record[name] for record in records for name in _LOSS_COLORS if name in record]
    if values and min(values) > 0:
        axis.set_yscale("log")
        axis.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axis.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axis.yaxis.set_minor_formatter(NullFormatter())
    _name(axis, "loss")


def _draw_scores(axis: Any, records: Sequence[Mapping[str, Any]]) -> None:
    last = records[-1]
    best = max(record["validation/ap50"] for record in records)
    for name, label, color, away in (
        ("validation/ap50", "AP50", "#0072b2", 4),
        ("validation/ap", "AP", "#d55e00", -4),
    ):
        _draw(axis, records, name, label, color, marker="o")
        axis.annotate(
            f"{last[name]:.3f}",
            (last["step"], last[name]),
            # Apart, where the curves meet.
            xytext=(7, away),
            textcoords="offset points",
            va="center",
            fontsize=9,
            color=color,
            annotation_clip=False,
        )
    axis.set_ylim(0, min(1.0, max(1.15 * best, 0.02)))
    _name(axis, "validation")


def _name(axis: Any, title: str) -> None:
    """The title on the left, and what the colours mean on the same line."""
    axis.set_title(title, loc="left", fontsize=11, color=_INK)
    if len(axis.lines) > 1:
        axis.legend(
            frameon=False,
            ncols=4,
            loc="lower right",
            bbox_to_anchor=(1.0, 1.0),
            borderaxespad=0.3,
            fontsize=9,
            labelcolor=_INK,
            handlelength=1.4,
        )


def _draw(
    axis: Any,
    records: Sequence[Mapping[str, Any]],
    key: str,
    label: str,
    color: str,
    marker: str = "",
) -> None:
    points = [(record["step"], record[key]) for record in records if key in record]
    if points:
        steps, values = zip(*points, strict=True)
        few = marker or ("o" if len(points) < 3 else "")
        axis.plot(steps, values, color=color, label=label, lw=1.6, marker=few, ms=4)


def _style(axis: Any, phases: Sequence[Phase], *, named: bool) -> None:
    axis.grid(axis="y", color=_GRID, lw=0.8)
    axis.set_axisbelow(True)
    axis.tick_params(which="both", colors=_MUTED, labelsize=9)
    axis.tick_params(which="minor", left=False)
    axis.set_xlim(phases[0].begin, phases[-1].end)
    for side in ("top", "right", "left"):
        axis.spines[side].set_visible(False)
    axis.spines["bottom"].set_color(_GRID)
    for phase in phases[1:]:
        axis.axvline(phase.begin, color=_MUTED, lw=0.9, ls=(0, (4, 3)))
        if named:
            # Along the line: phases at the end of a run are narrower than their names.
            axis.annotate(
                phase.name,
                (phase.begin, 1.0),
                xycoords=("data", "axes fraction"),
                xytext=(-3, -4),
                textcoords="offset points",
                rotation=90,
                ha="right",
                va="top",
                fontsize=8.5,
                color=_MUTED,
            )


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else value
