# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""The command `detops`.

Exit codes: 0 all is well, 1 a problem with a model or picture or answers that differ, 2 a wrong
command line, 129, 130 and 143 SIGHUP, Ctrl-C and SIGTERM, 141 the reader of the output went away.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Sequence
from typing import NoReturn

from detops import __version__
from detops.cli import bench, convert, demo, detect, doctor, eval, inspect
from detops.cli.ending import FAILED, run
from detops.cli.table import one_line


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"detops: error: {one_line(message)} (see: {self.prog} --help)\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line and returns its exit code.

    Args:
      arguments: without the name of the program; None for those of the process.
    """
    return run("detops", lambda: _run(arguments), wrong=FAILED)


def _run(arguments: Sequence[str] | None) -> int:
    parser = _build_parser()
    parsed = parser.parse_args(arguments)
    if parsed.command is None:
        parser.print_help()
        return 0
    with warnings.catch_warnings():
        # Not to be told about the future of TensorFlow with every answer.
        warnings.filterwarnings("ignore", r"\s*Warning: tf\.lite\.Interpreter is deprecated")
        return int(parsed.run(parsed))


def _build_parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="detops",
        description="TFLite_Detection_PostProcess done right: tools for SSD models in .tflite "
        "files.",
        epilog="example:\n  detops detect model.tflite photo.jpg --out annotated.jpg",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"detops {__version__}")
    commands = parser.add_subparsers(
        title="commands", dest="command", metavar="COMMAND", parser_class=_Parser
    )
    for command in (demo, detect, inspect, doctor, bench, eval, convert):
        command.add_command(commands)
    return parser
