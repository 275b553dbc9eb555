# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""The source distribution and the wheel that is built from it, with no network."""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parent.parent


def _run(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, cwd=cwd, check=False
    )
    assert done.returncode == 0, f"{command}:\n{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("scikit_build_core")
    folder = tmp_path_factory.mktemp("sdist")
    build = f"from scikit_build_core import build; build.build_sdist({str(folder)!r})"
    _run(sys.executable, "-c", build, cwd=ROOT)
    [archive] = folder.iterdir()
    return archive


@pytest.fixture(scope="module")
def wheel(sdist: Path) -> Path:
    pytest.importorskip("pybind11")
    offline = ("--no-index", "--no-build-isolation", "--no-deps", "--no-cache-dir")
    out = sdist.parent / "wheel"
    _run(sys.executable, "-m", "pip", "wheel", *offline, "-w", out, sdist, cwd=sdist.parent)
    [built] = out.iterdir()
    return built


def test_the_source_distribution_holds_the_sources(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    for needed in (
        "CMakeLists.txt",
        "LICENSE",
        "cmake/detopsConfig.cmake.in",
        "src/cc/include/detops/detops.h",
        "src/python/detops/models/pet_faces.tflite",
        "tests/test_exact.py",
        "third_party/tflite_abi/detops_tflite/c_abi.h",
    ):
        assert needed in names
    built = [name for name in names if re.search(r"\.(so|o|a|pyc)$|^build/", name)]
    assert not built
    assert sdist.stat().st_size < 6_000_000


def test_the_wheel_holds_the_package_alone(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert {name.partition("/")[0].partition("-")[0] for name in names} == {"detops"}
    libraries = [name for name in names if re.search(r"\.(so|pyd|dll|dylib)\b", name)]
    assert len(libraries) == 2
    assert not [name for name in names if name.endswith((".h", ".hpp", ".a", ".cmake"))]


def test_the_wheel_works_with_numpy_alone(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    numpy = Path(np.__file__).parent
    for folder in (numpy, numpy.with_name("numpy.libs")):
        if folder.is_dir():
            (tmp_path / folder.name).symlink_to(folder)
    # Without any site-packages.
    check = ROOT / "tests" / "wheel_check.py"
    code = f"import runpy, sys; sys.path.insert(0, '.'); runpy.run_path({str(check)!r}, "
    told = _run(sys.executable, "-I", "-S", "-c", code + "run_name='__main__')", cwd=tmp_path)
    assert "works" in told


@pytest.mark.skipif(sys.platform != "linux", reason="manylinux is a name for Linux")
def test_the_wheel_is_a_manylinux_wheel(wheel: Path, tmp_path: Path) -> None:
    pytest.importorskip("auditwheel")
    command = (sys.executable, "-m", "auditwheel", "repair", "-w", tmp_path, wheel)
    told = _run(*command, cwd=tmp_path)
    [repaired] = tmp_path.glob("*.whl")
    assert "manylinux" in repaired.name
    with zipfile.ZipFile(repaired) as archive:
        assert not [name for name in archive.namelist() if ".libs/" in name], told
