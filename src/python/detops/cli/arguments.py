# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Arguments that several commands share, and how their values are read."""

from __future__ import annotations

import argparse
import math
import re
from typing import Any

RUNTIMES = ("litert", "tensorflow")


def new_command(
    commands: Any, name: str, *, summary: str, description: str, example: str
) -> argparse.ArgumentParser:
    """A subcommand with the arguments that all have."""
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=summary,
        description=description,
        epilog=f"example:\n  {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("model", metavar="MODEL", help="a .tflite file")
    parser.add_argument("--json", action="store_true", help="print one JSON document instead")
    return parser


def add_runtime(parser: argparse.ArgumentParser, use: str) -> None:
    """--runtime, with what it is for."""
    parser.add_argument("--runtime", choices=RUNTIMES, help=use)


def add_picture_input(parser: argparse.ArgumentParser) -> None:
    """How a picture becomes the input of the network."""
    group = parser.add_argument_group("input of the network")
    channels_help = "for float32 inputs: a number, or three with commas (default: 127.5)"
    group.add_argument("--mean", type=channels, help=channels_help)
    group.add_argument("--std", type=channels, help=channels_help)
    group.add_argument(
        "--input-size",
        type=size,
        metavar="HxW",
        help="height x width, for models that leave it open",
    )


def positive(text: str) -> int:
    """A whole number from 1."""
    if not re.fullmatch(r"[0-9]{1,9}", text) or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1")
    return int(text)


def number(text: str) -> float:
    """Any number but NaN."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if math.isnan(value):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number")
    return value


def channels(text: str) -> float | list[float]:
    """A number, or three: one per channel."""
    values = [number(part) for part in text.split(",")]
    if len(values) not in (1, 3):
        raise argparse.ArgumentTypeError(f"{text!r} has {len(values)} numbers, expected 1 or 3")
    return values[0] if len(values) == 1 else values


def size(text: str) -> tuple[int, int]:
    """HEIGHTxWIDTH in pixels."""
    match = re.fullmatch(r"([0-9]{1,5})[xX]([0-9]{1,5})", text)
    if match is None or "0" in match.groups():
        raise argparse.ArgumentTypeError(f"{text!r} is not HEIGHTxWIDTH, for example 300x300")
    return int(match[1]), int(match[2])
