# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""The Swift package, as far as it can be checked without Swift.

The C++ target is compiled as Package.swift lists it, no file and no flag more, and a C program is
linked to it by the header that the module map names.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import detops

ROOT = Path(__file__).parent.parent
MANIFEST = (ROOT / "Package.swift").read_text()
SWIFT = sorted((ROOT / "examples/ios").rglob("*.swift"))
# Files that need compile flags of their own, and the entries of a shared library.
LEFT_OUT = {"kernels/avx2_kernels.cc", "kernels/avx512_kernels.cc", "tflite_ops/plugin.cc"}


def _strings(label: str) -> list[str]:
    """The string literals of a list of CDetops."""
    listed = re.search(rf"{label}: \[(.*?)\n            \]", MANIFEST, re.DOTALL)
    assert listed, label
    return re.findall(r'"((?:[^"\\]|\\.)*)"', listed[1])


def _path(label: str) -> str:
    found = re.search(rf'\b{label}: "([^"]+)"', MANIFEST)
    assert found, label
    return found[1]


TARGET = ROOT / _path("path")
HEADERS = TARGET / _path("publicHeadersPath")
SEARCH_PATHS = [TARGET / path for path in re.findall(r'headerSearchPath\("([^"]+)"\)', MANIFEST)]


def _flags() -> list[str]:
    defines = re.findall(r'\.define\("(\w+)"(?:, to: "((?:[^"\\]|\\.)*)")?\)', MANIFEST)
    assert len(defines) == MANIFEST.count(".define(")
    standard = re.search(r"cxxLanguageStandard: \.cxx(\d+)", MANIFEST)
    assert standard
    return [
        f"-std=c++{standard[1]}",
        *(
            f"-D{name}={value}".replace('\\"', '"') if value else f"-D{name}"
            for name, value in defines
        ),
        *(f"-I{path}" for path in (HEADERS, *SEARCH_PATHS)),
    ]


def test_the_target_is_compiled_as_listed(tmp_path: Path) -> None:
    cpp, c = shutil.which("c++"), shutil.which("cc")
    if cpp is None or c is None:
        pytest.skip("no C and C++ compiler is installed")

    def compiled(number: int, source: str) -> Path:
        made = tmp_path / f"{number}.o"
        command = [cpp, "-O0", "-Wall", "-Wextra", *_flags(), "-c", TARGET / source, "-o", made]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0 and not done.stderr, f"{source}: {done.stderr}"
        return made

    program = tmp_path / "program.c"
    program.write_text(
        f'#include "{_module_header()}"\n'
        "#include <stdio.h>\n"
        "int detops_c_program(void);\n"
        "int main(void) {\n"
        "  struct TfLiteDelegate* delegate = detops_delegate_create();\n"
        "  const int wrong = detops_c_program() + (delegate == NULL);\n"
        "  detops_delegate_destroy(delegate);\n"
        "  puts(detops_version());\n"
        "  return wrong;\n"
        "}\n"
    )
    with ThreadPoolExecutor(2) as pool:
        objects = list(pool.map(compiled, *zip(*enumerate(_strings("sources")), strict=True)))
    for source in (program, ROOT / "tests/cc/c_program.c"):
        objects.append(tmp_path / f"{source.stem}.o")
        command = [c, "-std=c99", "-Werror", f"-I{HEADERS}", "-c", source, "-o", objects[-1]]
        subprocess.run(command, check=True)
    subprocess.run([cpp, *objects, "-o", tmp_path / "program"], check=True)
    done = subprocess.run([tmp_path / "program"], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == detops.__version__


def _module_header() -> str:
    header = re.search(r'^ +header "([^"]+)"', (HEADERS / "module.modulemap").read_text(), re.M)
    assert header
    return header[1]


def test_the_module_is_the_target_and_has_the_c_header() -> None:
    assert re.search(r"^module CDetops \{", (HEADERS / "module.modulemap").read_text(), re.M)
    assert '.target(\n            name: "CDetops"' in MANIFEST
    assert (HEADERS / _module_header()).exists()


def test_the_sources_are_those_of_cmake() -> None:
    listed = re.findall(r"\w+/\w+\.cc", (TARGET / "CMakeLists.txt").read_text())
    assert len(_strings("sources")) > 30
    assert set(_strings("sources")) == set(listed) - LEFT_OUT


def test_every_other_file_is_a_header_or_excluded() -> None:
    files = {str(path.relative_to(TARGET)) for path in TARGET.rglob("*") if path.is_file()}
    silent = {name for name in files if name.endswith((".h", ".hpp", ".modulemap"))}
    assert files - silent - set(_strings("sources")) == set(_strings("exclude"))


def test_what_other_packages_may_depend_on() -> None:
    # Either makes Swift refuse the package as a dependency.
    assert "unsafeFlags" not in MANIFEST
    assert SEARCH_PATHS
    assert all(path.resolve().is_relative_to(ROOT) and path.is_dir() for path in SEARCH_PATHS)
    # The tools version counts only in the first line.
    assert MANIFEST.startswith("// swift-tools-version:")


def test_swift_names_what_the_header_has() -> None:
    assert len(SWIFT) > 4
    header = (HEADERS / _module_header()).read_text()
    for path in SWIFT:
        text = path.read_text()
        assert "SPDX-License-Identifier: Apache-2.0" in text[:300]
        for name in re.findall(r"\b(?:detops|DETOPS)_\w+", text):
            assert re.search(rf"\b{name}\b", header), f"{path.name} uses {name}"
