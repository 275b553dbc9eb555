# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""What a measurement was made on."""

from __future__ import annotations

import datetime
import importlib.metadata
import platform
from pathlib import Path
from typing import Any

import detops

_PACKAGES = (
    "ai-edge-litert",
    "tensorflow",
    "numpy",
    "opencv-python-headless",
    "onnxruntime",
    "torchvision",
)


def describe_machine() -> dict[str, Any]:
    """CPU, instruction set in use, date and versions."""
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d"),
        "cpu": _cpu_name(),
        "instruction_set": detops.cpu_features().active,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "detops": detops.__version__,
        "packages": {name: version for name in _PACKAGES if (version := _version(name))},
    }


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _cpu_name() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
