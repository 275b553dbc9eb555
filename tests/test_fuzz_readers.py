# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""The fuzz targets of the Python readers, on seeds, on what was found before, and on some noise."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

FUZZ = Path(__file__).parent / "fuzz"
sys.path.insert(0, str(FUZZ))

from reader_targets import TARGETS, mutations  # noqa: E402

# As many as fit two seconds or so.
ROUNDS = {"real_model": 4, "tf_record": 20, "convert": 400, "model_file": 3000}
USUAL_ROUNDS = 200
REGRESSIONS = [
    pytest.param(path.parent.name, path, id=f"{path.parent.name}/{path.name}")
    for name in TARGETS
    for path in sorted((FUZZ / "regressions" / name).glob("*"))
]


@pytest.mark.parametrize("name", TARGETS)
def test_seeds(name: str) -> None:
    target = TARGETS[name]
    for seed in target.seeds():
        target.check(seed)
    target.check(b"")


@pytest.mark.parametrize(("name", "path"), REGRESSIONS)
def test_regressions(name: str, path: Path) -> None:
    TARGETS[name].check(path.read_bytes())


@pytest.mark.parametrize("name", TARGETS)
def test_mutations(name: str) -> None:
    target, seeds = TARGETS[name], TARGETS[name].seeds()
    for number in range(ROUNDS.get(name, USUAL_ROUNDS)):
        rng = np.random.default_rng(number)
        data = mutations(seeds[number % len(seeds)], target.words, rng)
        try:
            target.check(data)
        except Exception:
            print(f"number {number}: {data!r}")
            raise
