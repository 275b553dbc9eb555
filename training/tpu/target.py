# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""TPUs to compile for: by the names of Google Cloud (v5e-8) or of libtpu's topologies (v5e:2x4)."""

from __future__ import annotations

import difflib
import math
import re
from dataclasses import dataclass

_TOPOLOGY = re.compile(r"(?P<generation>v\d+[ep]?|tpu\d+x):(?P<grid>\d+(x\d+){1,2})")


@dataclass(frozen=True)
class Generation:
    """What a program for one device of a generation can use."""

    clock_hz: float | None
    """Of the tensor core, for the compiler's cycles; None where no figure is public.

    v2 and v3: Norrie et al. 2021, "The Design Process for Google's Training Chips: TPUv2 and
    TPUv3". v4: Jouppi et al. 2023, "TPU v4: An Optically Reconfigurable Supercomputer". The others:
    the published peak (197, 459 and 918 bfloat16 TFLOP/s a chip) divided by what the matrix units
    can do in a cycle: 2^17, 2^18 and 2^19 operations, of which the compiler's own cycles for a
    product of 8192 x 8192 matrices reach 70 to 90 %."""
    hbm_gib: float
    """Of a device, as libtpu 0.0.42 enforces it: a part is kept for the system."""
    devices_per_chip: int
    """As a program sees them."""
    chip_config: str | None = None
    """libtpu's name for how the cores of a chip are used; None is its default."""


GENERATIONS = {
    "v2": Generation(700e6, 7.48, 2),
    "v3": Generation(940e6, 15.48, 2),
    # A virtual machine joins the two cores of a v4 chip.
    "v4": Generation(1050e6, 30.75, 1, "megacore"),
    "v5e": Generation(1.5e9, 15.75, 1),
    "v5p": Generation(1.75e9, 95.74, 1),
    "v6e": Generation(1.75e9, 31.25, 1),
    "tpu7x": Generation(None, 94.75, 2),
}

TOPOLOGIES = {
    "v2-8": "v2:2x2",
    "v3-8": "v3:2x2",
    "v4-8": "v4:2x2x1",
    "v5e-8": "v5e:2x4",
    "v5litepod-8": "v5e:2x4",
    "v5p-8": "v5p:2x2x1",
    "v6e-8": "v6e:2x4",
}
"""Google Cloud's names. The number counts cores up to v4 and v5p, chips for v5e and v6e."""


@dataclass(frozen=True)
class Target:
    """A slice of a TPU."""

    name: str
    """As it was asked for."""
    topology: str
    """As libtpu takes it: chips along each axis."""

    @property
    def generation(self) -> Generation:
        """Clock and memory."""
        return GENERATIONS[self.topology.partition(":")[0]]

    @property
    def chips(self) -> int:
        """In the slice."""
        return math.prod(map(int, self.topology.partition(":")[2].split("x")))

    @property
    def devices(self) -> int:
        """Over which a batch is split."""
        return self.chips * self.generation.devices_per_chip


def find_target(name: str) -> Target:
    """The target of a name.

    Args:
      name: "v2-8", "v5e-8", ... or a topology of a known generation, "v5e:4x4".

    Raises:
      ValueError: there is none of this name; the nearest is named.
    """
    asked = name.strip().lower()
    topology = TOPOLOGIES.get(asked, asked)
    match = _TOPOLOGY.fullmatch(topology)
    if match is None or match["generation"] not in GENERATIONS or "0" in match["grid"].split("x"):
        known = [*TOPOLOGIES, *dict.fromkeys(TOPOLOGIES.values())]
        near = difflib.get_close_matches(asked, known, 1, cutoff=0.3)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
        raise ValueError(f"there is no TPU {name!r}; {hint}")
    return Target(name, topology)
