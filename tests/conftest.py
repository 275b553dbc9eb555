# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Fixtures that more than one test file uses."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import Any

import pytest

# Runtime names as detops.Interpreter takes them, with the package that holds each.
RUNTIMES = {"litert": "ai_edge_litert", "tensorflow": "tensorflow"}

# Its start-up notices would hide what a failing test printed.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")


@pytest.fixture(scope="session", params=list(RUNTIMES))
def runtime(request: pytest.FixtureRequest) -> str:
    """The name of a TFLite runtime; each test that takes it runs once per runtime."""
    name = str(request.param)
    if importlib.util.find_spec(RUNTIMES[name]) is None:
        pytest.skip(f"{RUNTIMES[name]} is not installed")
    return name


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real models and photos, which is not part of the repository."""
    root = os.environ.get("DETOPS_DATA")
    if not root:
        pytest.skip("DETOPS_DATA is not set")
    return Path(root)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Prints what tests recorded as "measured", passed or not."""
    for report in [r for reports in terminalreporter.stats.values() for r in reports]:
        for name, value in getattr(report, "user_properties", []):
            if name == "measured" and report.when == "call":
                terminalreporter.write_line(str(value))
