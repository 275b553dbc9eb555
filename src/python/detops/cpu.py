# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Which instruction sets the kernels use here."""

from __future__ import annotations

from dataclasses import dataclass

from detops import _core


@dataclass(frozen=True)
class CpuFeatures:
    """The instruction sets that detops has kernels for."""

    built: tuple[str, ...]
    """Those in this build, the plainest first: "scalar", "sse2", "avx2", "avx512" or "neon"."""
    available: tuple[str, ...]
    """Those of them that this processor runs."""
    active: str
    """The one in use: the widest, unless the environment variable `DETOPS_ISA` names another."""


def cpu_features() -> CpuFeatures:
    """The instruction sets of this build, this processor, and the one in use.

    Raises:
      ValueError: `DETOPS_ISA` names an unknown instruction set or one that cannot run here. The op
        and the NumPy functions refuse to work for the same reason.
    """
    sets = _core.kernel_sets()
    return CpuFeatures(
        built=tuple(name for name, _ in sets),
        available=tuple(name for name, runs in sets if runs),
        active=_core.active_kernel_set(),
    )
