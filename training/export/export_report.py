# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""What an export tells: a table for people, a record for programs."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from detops import Options
from detops.cli.table import column_widths, format_row
from detops.evaluation import CocoMetrics
from training.export.exporting import ExportedFile
from training.export.parity import Parity

_HEADERS = ("kind", "bytes", "ms", "boxes dB", "score error mean", "max", "agreement")
_SCORED = ("AP model", "AP network", "AP file", "AP50 file")


def as_table(files: Sequence[ExportedFile]) -> str:
    """One row for each file. AP of model and network is that of all boxes, AP of the file that of
    the few that its options let through."""
    scored = any(file.file_metrics is not None for file in files)
    headers = [*_HEADERS, *(_SCORED if scored else ())]
    rows = [_row(file) + (_scores(file) if scored else []) for file in files]
    widths = column_widths(headers, *rows)
    numbers = range(1, len(headers))
    lines = [format_row(headers, widths, numbers), format_row(["-" * w for w in widths], widths)]
    return "\n".join([*lines, *(format_row(row, widths, numbers) for row in rows)])


def as_record(files: Sequence[ExportedFile], options: Options, weights: Path) -> dict[str, Any]:
    """As JSON holds it: null for what could not be measured."""
    return {
        "weights": str(weights),
        "options": dataclasses.asdict(options),
        "files": [
            {
                "kind": file.kind,
                "bytes": len(file.content),
                "milliseconds": file.milliseconds,
                "parity": _plain(file.parity),
                "broken": file.broken,
                "model": _numbers(file.model_metrics),
                "network": _numbers(file.network_metrics),
                "file": _numbers(file.file_metrics),
            }
            for file in files
        ],
    }


def _row(file: ExportedFile) -> list[str]:
    parity = file.parity
    return [
        file.kind,
        f"{len(file.content):,}",
        f"{file.milliseconds:.1f}",
        f"{parity.boxes_db:.1f}",
        f"{parity.score_mean:.5f}",
        f"{parity.score_max:.4f}",
        "none found" if math.isnan(parity.agreement) else f"{parity.agreement:.3f}",
    ]


def _scores(file: ExportedFile) -> list[str]:
    metrics = (file.model_metrics, file.network_metrics, file.file_metrics)
    found = [one.numbers() if one is not None else {} for one in metrics]
    values = [*(numbers.get("ap", math.nan) for numbers in found), found[2].get("ap50", math.nan)]
    return ["" if math.isnan(value) else f"{value:.4f}" for value in values]


def _plain(parity: Parity) -> dict[str, Any]:
    return {name: _finite(value) for name, value in dataclasses.asdict(parity).items()}


def _numbers(metrics: CocoMetrics | None) -> dict[str, Any] | None:
    if metrics is None:
        return None
    return {name: _finite(value) for name, value in metrics.numbers().items()}


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
