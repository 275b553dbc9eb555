# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Reads what a compiled program costs from its text, as XLA prints it for a TPU.

Only what runs counts: the entry computation, the bodies of its loops as often as they run, the
dearest branch of each conditional. The inside of a fusion belongs to the fusion.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

_HEADER = re.compile(r"(?P<entry>ENTRY )?%?(?P<name>[\w.\-]+) \(.*\{$")
# The type is a shape or a tuple of shapes; layouts hold parentheses and never a space.
_INSTRUCTION = re.compile(r" = (?P<type>\(.*?\)|\S+) (?P<opcode>[a-z][\w\-]*)\(")
_CYCLES = re.compile(r'"estimated_cycles":"(\d+)"')
_TRIPS = re.compile(r'"known_trip_count":\{"n":"(\d+)"')
_SHAPE = re.compile(r"\b(pred|bf16|[fsuc]\d+)(?:e\d+m\d+\w*)?\[([\d,]*)\]")
_CALLED = re.compile(r"(?:body|condition|to_apply|calls)=%?([\w.\-]+)")
_BRANCHES = re.compile(r"branch_computations=\{([^}]*)\}")
_TWO_BRANCHES = re.compile(r"(?:true|false)_computation=%?([\w.\-]+)")
_COLLECTIVES = (
    "all-reduce",
    "all-gather",
    "reduce-scatter",
    "all-to-all",
    "collective-permute",
)


@dataclass
class Cost:
    """Of a computation, on one device."""

    cycles: int = 0
    """The compiler's estimate; communication is not in it."""
    collectives: Counter[str] = field(default_factory=Counter)
    """How many of each kind."""
    collective_bytes: Counter[str] = field(default_factory=Counter)
    """Bytes of their results, by kind."""
    unknown_loops: int = 0
    """Loops of unknown length, counted as if they ran once."""

    def add(self, other: Cost, times: int = 1) -> None:
        """Adds another cost, so many times."""
        self.cycles += times * other.cycles
        self.unknown_loops += other.unknown_loops
        for mine, theirs in (
            (self.collectives, other.collectives),
            (self.collective_bytes, other.collective_bytes),
        ):
            mine.update({kind: times * number for kind, number in theirs.items()})


def program_cost(text: str) -> Cost:
    """The cost of a compiled program from `Compiled.as_text()`.

    Raises:
      ValueError: the text has no entry computation.
    """
    entry, bodies = _computations(text)
    if not entry:
        raise ValueError("the program's text has no ENTRY computation")
    return _cost(entry, bodies, {})


def _computations(text: str) -> tuple[str, dict[str, list[str]]]:
    entry = ""
    bodies: dict[str, list[str]] = {}
    current: list[str] | None = None
    for line in text.splitlines():
        if current is None:
            if match := _HEADER.match(line):
                current = bodies[match["name"]] = []
                entry = match["name"] if match["entry"] else entry
        elif line.startswith("}"):
            current = None
        else:
            current.append(line)
    return entry, bodies


def _cost(name: str, bodies: Mapping[str, list[str]], known: dict[str, Cost]) -> Cost:
    if name not in known:
        known[name] = total = Cost()
        for line in bodies.get(name, ()):
            _add_instruction(total, line, bodies, known)
    return known[name]


def _add_instruction(
    total: Cost, line: str, bodies: Mapping[str, list[str]], known: dict[str, Cost]
) -> None:
    match = _INSTRUCTION.search(line)
    if match is None:
        return
    total.cycles += sum(map(int, _CYCLES.findall(line)))
    opcode = match["opcode"]
    kind = opcode.removesuffix("-start")
    if kind in _COLLECTIVES:
        total.collectives[kind] += 1
        total.collective_bytes[kind] += _result_bytes(match["type"], opcode)
    elif opcode == "while":
        trips = _TRIPS.search(line)
        total.unknown_loops += trips is None
        for called in _CALLED.findall(line):
            total.add(_cost(called, bodies, known), int(trips[1]) if trips else 1)
    elif opcode == "conditional":
        branches = [_cost(name, bodies, known) for name in _branch_names(line)]
        total.add(max(branches, key=lambda cost: cost.cycles, default=Cost()))
    elif opcode in ("call", "async-start"):
        for called in _CALLED.findall(line):
            total.add(_cost(called, bodies, known))


def _branch_names(line: str) -> list[str]:
    listed = _BRANCHES.search(line)
    if listed is None:
        return _TWO_BRANCHES.findall(line)
    return [name.strip().lstrip("%") for name in listed[1].split(",")]


def _result_bytes(type_text: str, opcode: str) -> int:
    sizes = [_bytes(*shape) for shape in _SHAPE.findall(type_text)]
    # What begins a gather or a permutation also returns its operand.
    if opcode.endswith("-start") and opcode != "all-reduce-start":
        return max(sizes, default=0)
    return sum(sizes)


def _bytes(dtype: str, dimensions: str) -> int:
    bits = 8 if dtype == "pred" else int(dtype.lstrip("bfsuc"))
    return math.prod(int(size) for size in dimensions.split(",") if size) * bits // 8
