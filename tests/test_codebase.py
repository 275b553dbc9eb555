# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Rules of the code base that a machine can check."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

import detops

ROOT = Path(__file__).parent.parent
SUFFIXES = {
    *(".py", ".pyi", ".cc", ".c", ".h", ".hpp", ".inc", ".txt", ".toml", ".cmake"),
    *(".java", ".kt", ".kts", ".modulemap", ".properties", ".swift", ".xml"),
}
FOLDERS = ("src", "tests", "third_party", "benchmarks", "examples", "cmake")
LIBRARY_BYTES = 150_000


def _sources() -> list[Path]:
    found = [p for folder in FOLDERS for p in (ROOT / folder).rglob("*") if p.suffix in SUFFIXES]
    assert len(found) > 60
    return [path for path in found if "egg-info" not in str(path)]


def test_every_source_file_names_its_licence() -> None:
    lacking = [
        str(path.relative_to(ROOT))
        for path in _sources()
        if "SPDX-License-Identifier: Apache-2.0" not in path.read_text()[:300]
    ]
    assert not lacking


def test_files_stay_short() -> None:
    long = [
        (str(path.relative_to(ROOT)), lines)
        for path in _sources()
        if path.parts[len(ROOT.parts)] == "src" and (lines := path.read_text().count("\n")) > 500
    ]
    assert not long


def test_kernels_know_no_tflite_type() -> None:
    using = [
        path.name
        for path in (ROOT / "src/cc/kernels").iterdir()
        if re.search(r"TfLite|tflite_ops/|c_abi", path.read_text().replace("// ", ""))
    ]
    assert not using


def test_the_command_line_is_the_top_layer() -> None:
    package = ROOT / "src/python/detops"
    below = [p for p in package.rglob("*.py") if "cli" not in p.parts and p.name != "__main__.py"]
    assert len(below) > 30
    assert not [
        path.name for path in below if re.search(r"(from|import) detops\.cli", path.read_text())
    ]


def test_wide_instructions_stay_in_their_files() -> None:
    build = (ROOT / "src/cc/CMakeLists.txt").read_text()
    for flag in re.findall(r"-m(?:avx\w*|sse\w*)|/arch:\w+", build):
        line = next(line for line in build.splitlines() if flag in line)
        command = build[: build.index(line) + len(line)].rsplit("set_source_files_properties", 1)[1]
        assert "_kernels.cc" in command, f"{flag} is not set on one kernel file alone"


def test_one_version() -> None:
    stated = re.search(r"project\(detops VERSION ([0-9.]+)", (ROOT / "CMakeLists.txt").read_text())
    assert stated
    assert detops.__version__ == stated[1]


def test_only_the_public_interface_is_exported() -> None:
    nm = shutil.which("nm")
    library = detops.delegate_path()
    if nm is None or library.suffix != ".so":
        pytest.skip("nm is needed to read the exported symbols of an ELF library")
    listed = subprocess.run(
        [nm, "-D", "--defined-only", str(library)], capture_output=True, text=True, check=True
    )
    names = {line.split()[-1] for line in listed.stdout.splitlines()}
    header = (ROOT / "src/cc/include/detops/detops.h").read_text()
    public = set(re.findall(r"DETOPS_API [^;]*?\b(detops_\w+)\(", header))
    assert len(public) > 15
    assert names == public | {"tflite_plugin_create_delegate", "tflite_plugin_destroy_delegate"}


def test_the_library_is_small(tmp_path: Path) -> None:
    strip = shutil.which("strip")
    library = detops.delegate_path()
    if strip is None or library.suffix != ".so":
        pytest.skip("strip is needed to measure an ELF library")
    stripped = tmp_path / library.name
    subprocess.run([strip, "-s", "-o", str(stripped), str(library)], check=True)
    assert stripped.stat().st_size < LIBRARY_BYTES
