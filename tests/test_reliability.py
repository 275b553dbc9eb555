# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""docs/reliability.md names tests that exist, and every test of a fault is in it."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
ROW = re.compile(r"`(tests/[\w/.]+)(?:::(\w+))?`")


def _page() -> str:
    return (ROOT / "docs" / "reliability.md").read_text()


def _tests(path: Path) -> dict[str, bool]:
    """Names of the tests of a file; true for those marked as a fault."""
    found = {}
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            marks = [ast.unparse(decorator) for decorator in node.decorator_list]
            found[node.name] = "pytest.mark.fault" in marks
    return found


def test_every_row_names_a_test() -> None:
    faults = _page().partition("## Fuzzing")[0]
    rows = [line for line in faults.splitlines() if re.match(r"\| (?!fault|---)", line)]
    assert len(rows) > 25
    for row in rows:
        named = ROW.findall(row)
        assert named, row
        for file, test in named:
            assert (ROOT / file).is_file(), row
            assert not test or test in _tests(ROOT / file), row


def test_every_marked_test_has_a_row() -> None:
    named = {test for _, test in ROW.findall(_page())}
    marked = {
        test
        for path in (ROOT / "tests").glob("test_*.py")
        for test, is_fault in _tests(path).items()
        if is_fault
    }
    assert len(marked) > 10
    assert not marked - named
