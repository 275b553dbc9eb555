# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""The installed library, as a stranger's project finds it."""

from __future__ import annotations

import os
import re
import runpy
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import detops

ROOT = Path(__file__).parent.parent
EXAMPLE = ROOT / "examples" / "cpp"
# What the op and its kernels may add to a program for a phone.
ARM64_BYTES = 120_000

NEEDED = [name for name in ("cmake", "ninja", "c++") if shutil.which(name) is None]
pytestmark = pytest.mark.skipif(bool(NEEDED), reason=f"{', '.join(NEEDED)} not found")


def _run(*command: str | Path, **arguments: Any) -> str:
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, **arguments
    )
    assert done.returncode == 0, f"{command}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


def _build(source: Path, build: Path, *options: str) -> Path:
    _run("cmake", "-G", "Ninja", "-S", source, "-B", build, *options)
    _run("cmake", "--build", build)
    return build


@pytest.fixture(scope="session")
def prefix(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where `cmake --install` put libdetops."""
    build = _build(ROOT, tmp_path_factory.mktemp("library"))
    target = tmp_path_factory.mktemp("prefix")
    _run("cmake", "--install", build, "--prefix", target)
    return target


@pytest.fixture(scope="session")
def buffers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a real network gives for a picture, as the example writes it."""
    pytest.importorskip("ai_edge_litert")
    image = pytest.importorskip("PIL.Image")
    folder = tmp_path_factory.mktemp("buffers")
    noise = np.random.default_rng(3).integers(0, 256, (64, 64, 3), np.uint8)
    image.fromarray(noise).resize((256, 256)).save(folder / "photo.png")
    model = Path(str(detops.__file__)).parent / "models" / "pet_faces.tflite"
    dump = runpy.run_path(str(EXAMPLE / "dump_buffers.py"))["main"]
    dump(str(model), str(folder / "photo.png"), str(folder))
    return folder


def _expected(folder: Path) -> bytes:
    """The same outputs from Python."""
    values: dict[str, Any] = {}
    tensors: dict[str, Any] = {}
    for line in (folder / "problem.txt").read_text().splitlines():
        kind, name, *rest = line.split()
        if kind == "option":
            values[name] = (
                float(rest[0]) if "scale" in name or "thr" in name else int(float(rest[0]))
            )
            continue
        shape = [int(size) for size in rest[4:]]
        array = np.fromfile(folder / f"{name}.bin", rest[0]).reshape(shape)
        tensors[name] = array, None if rest[0] == "float32" else (float(rest[1]), int(rest[2]))
    values["use_regular_nms"] = bool(values["use_regular_nms"])
    found = detops.postprocess(
        *(tensors[name][0] for name in ("box_encodings", "scores", "anchors")),
        detops.Options(**values),
        box_quantization=tensors["box_encodings"][1],
        score_quantization=tensors["scores"][1],
        anchor_quantization=tensors["anchors"][1],
    )
    assert found.num_detections.min() >= 1
    parts = (found.boxes, found.classes, found.scores, found.num_detections)
    return b"".join(np.asarray(part, np.float32).tobytes() for part in parts)


def _check(program: Path, buffers: Path, tmp_path: Path, **arguments: Any) -> None:
    out = tmp_path / "out.bin"
    printed = _run(program, buffers, out, **arguments)
    assert out.read_bytes() == _expected(buffers)
    assert printed.startswith("class ")


@pytest.mark.parametrize("shared", ["OFF", "ON"])
def test_a_strangers_program_gets_the_bits_of_python(
    prefix: Path, buffers: Path, tmp_path: Path, shared: str
) -> None:
    options = (f"-DCMAKE_PREFIX_PATH={prefix}", f"-DBUILD_SHARED_LIBS={shared}")
    build = _build(EXAMPLE, tmp_path / "build", *options)
    _check(build / "postprocess", buffers, tmp_path)


def test_as_a_subdirectory(buffers: Path, tmp_path: Path) -> None:
    text = (EXAMPLE / "CMakeLists.txt").read_text()
    fetched = text.replace(
        "find_package(detops 0.1 REQUIRED)",
        "include(FetchContent)\n"
        f'FetchContent_Declare(detops SOURCE_DIR "{ROOT}")\n'
        "FetchContent_MakeAvailable(detops)",
    )
    assert fetched != text
    (tmp_path / "CMakeLists.txt").write_text(fetched)
    shutil.copy(EXAMPLE / "postprocess.cc", tmp_path)
    build = _build(tmp_path, tmp_path / "build")
    _check(build / "postprocess", buffers, tmp_path)
    # A project that contains detops installs what it wants.
    _run("cmake", "--install", build, "--prefix", tmp_path / "prefix")
    assert not list((tmp_path / "prefix").rglob("*detops*"))


def test_pkg_config(prefix: Path, buffers: Path, tmp_path: Path) -> None:
    if shutil.which("pkg-config") is None:
        pytest.skip("pkg-config not found")
    [folder] = {path.parent for path in prefix.rglob("detops.pc")}
    environment = {**os.environ, "PKG_CONFIG_PATH": str(folder)}
    flags = _run("pkg-config", "--cflags", "--libs", "detops", env=environment).split()
    assert (
        _run("pkg-config", "--modversion", "detops", env=environment).strip() == detops.__version__
    )
    program = tmp_path / "postprocess"
    _run("c++", "-std=c++17", EXAMPLE / "postprocess.cc", *flags, "-o", program)
    [library] = {path.parent for path in prefix.rglob("libdetops.so")}
    found = {**os.environ, "LD_LIBRARY_PATH": str(library)}
    _check(program, buffers, tmp_path, env=found)


def test_bad_buffers_are_refused(prefix: Path, buffers: Path, tmp_path: Path) -> None:
    build = _build(EXAMPLE, tmp_path / "build", f"-DCMAKE_PREFIX_PATH={prefix}")
    for name, change in (
        ("problem.txt", lambda text: text.replace(b"max_detections 10.0", b"max_detections -1.0")),
        ("scores.bin", lambda data: data[:-1]),
    ):
        folder = tmp_path / name
        shutil.copytree(buffers, folder)
        changed = change((buffers / name).read_bytes())
        assert changed != (buffers / name).read_bytes()
        (folder / name).write_bytes(changed)
        done = subprocess.run(
            [build / "postprocess", folder], capture_output=True, text=True, check=False
        )
        assert done.returncode == 1
        assert done.stderr.strip()


def test_another_minor_version_is_not_taken(prefix: Path, tmp_path: Path) -> None:
    text = (EXAMPLE / "CMakeLists.txt").read_text()
    (tmp_path / "CMakeLists.txt").write_text(text.replace("detops 0.1", "detops 0.2"))
    shutil.copy(EXAMPLE / "postprocess.cc", tmp_path)
    refused = subprocess.run(
        ["cmake", "-S", tmp_path, "-B", tmp_path / "build", f"-DCMAKE_PREFIX_PATH={prefix}"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert refused.returncode != 0
    assert "0.2" in refused.stderr


def test_every_public_header_stands_alone(prefix: Path, tmp_path: Path) -> None:
    headers = sorted((prefix / "include" / "detops").iterdir())
    assert [header.name for header in headers] == ["detops.h", "detops.hpp", "litert.hpp"]
    for compiler, standard, name in (
        ("cc", "c99", "detops.h"),
        ("c++", "c++11", "detops.h"),
        ("c++", "c++11", "detops.hpp"),
        ("c++", "c++20", "detops.hpp"),
    ):
        suffix = "c" if compiler == "cc" else "cc"
        source = tmp_path / f"{standard}.{suffix}"
        source.write_text(f"#include <detops/{name}>\nint main(void) {{ return 0; }}\n")
        flags = ("-Wall", "-Wextra", "-Wpedantic", "-Werror", f"-std={standard}")
        _run(compiler, *flags, f"-I{prefix / 'include'}", "-fsyntax-only", source)


# The parts of LiteRT's interface that litert.hpp names, which its user includes.
_LITERT = """
#include <detops_litert/c_abi.h>
typedef struct LiteRtOptionsT* LiteRtOptions;
extern "C" {
LiteRtStatus LiteRtGetTensorBufferTensorType(LiteRtTensorBuffer, LiteRtRankedTensorType*);
LiteRtStatus LiteRtLockTensorBuffer(LiteRtTensorBuffer, void**, LiteRtTensorBufferLockMode);
LiteRtStatus LiteRtUnlockTensorBuffer(LiteRtTensorBuffer);
LiteRtStatus LiteRtAddCustomOpKernelOption(LiteRtOptions, const char*, int,
                                           const LiteRtCustomOpKernel*, void*);
}
#include <detops/litert.hpp>
#include <cstring>
LiteRtStatus LiteRtGetTensorBufferTensorType(LiteRtTensorBuffer, LiteRtRankedTensorType*) {
  return kLiteRtStatusOk;
}
LiteRtStatus LiteRtLockTensorBuffer(LiteRtTensorBuffer, void**, LiteRtTensorBufferLockMode) {
  return kLiteRtStatusOk;
}
LiteRtStatus LiteRtUnlockTensorBuffer(LiteRtTensorBuffer) { return kLiteRtStatusOk; }
LiteRtStatus LiteRtAddCustomOpKernelOption(LiteRtOptions, const char* name, int version,
                                           const LiteRtCustomOpKernel* kernel, void* data) {
  kernel->Init(data, "", 0);
  return std::strcmp(name, "TFLite_Detection_PostProcess") == 0 && version == 1
             ? kLiteRtStatusOk : kLiteRtStatusErrorInvalidArgument;
}
int main() {
  detops::LiteRtKernel kernel;
  const bool added = kernel.AddTo(nullptr) == kLiteRtStatusOk;
  const bool told = std::strstr(kernel.message(), "option block") != nullptr;
  return added && told && kernel.SetInput(3, DETOPS_INT8, 1, 0) == DETOPS_INVALID ? 0 : 1;
}
"""


def test_the_header_for_litert(prefix: Path, tmp_path: Path) -> None:
    source, program = tmp_path / "program.cc", tmp_path / "program"
    source.write_text(_LITERT)
    [library] = prefix.rglob("libdetops.a")
    includes = (f"-I{prefix / 'include'}", f"-I{ROOT / 'third_party' / 'litert_abi'}")
    _run("c++", "-std=c++11", "-Wall", "-Werror", *includes, source, library, "-o", program)
    _run(program)


def _linked(tools: Sequence[str], library: Path, tmp_path: Path) -> int:
    """Bytes of a stripped shared object with nothing but the op and what it needs."""
    compiler, strip = tools
    listed, target = tmp_path / "public.map", tmp_path / "op.so"
    listed.write_text("{ global: detops_registration; local: *; };\n")
    flags = ("-shared", "-Wl,--gc-sections", "-Wl,-z,max-page-size=4096", "-flto=auto", "-Os")
    wanted = ("-Wl,-u,detops_registration", f"-Wl,--version-script={listed}")
    _run(compiler, *flags, *wanted, library, "-o", target)
    _run(strip, "-s", target)
    return target.stat().st_size


def test_the_op_for_a_phone_is_small(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    tools = ("aarch64-linux-gnu-g++", "aarch64-linux-gnu-strip")
    if any(shutil.which(tool) is None for tool in tools):
        pytest.skip("no compiler for 64-bit ARM (g++-aarch64-linux-gnu)")
    toolchain = f"-DCMAKE_TOOLCHAIN_FILE={ROOT / 'cmake' / 'aarch64-linux-gnu.cmake'}"
    sizes = {}
    for name, options in (
        ("release", ["-DCMAKE_BUILD_TYPE=Release"]),
        ("small", ["-DCMAKE_BUILD_TYPE=MinSizeRel", "-DCMAKE_INTERPROCEDURAL_OPTIMIZATION=ON"]),
    ):
        build = _build(ROOT, tmp_path / name, toolchain, *options)
        sizes[name] = _linked(tools, build / "src" / "cc" / "libdetops.a", tmp_path)
    told = ", ".join(f"{size:,} ({name})" for name, size in sizes.items())
    record_property("measured", f"64-bit ARM, op and kernels, stripped: {told} of {ARM64_BYTES:,}")
    assert sizes["small"] < sizes["release"] <= ARM64_BYTES


def test_presets_build_what_they_say() -> None:
    listed = _run("cmake", "--list-presets=all", cwd=ROOT)
    names = set(re.findall(r'^  "(\w+)"', listed, re.MULTILINE))
    assert {"release", "small", "lto", "dev", "asan", "tsan", "aarch64", "armv7"} <= names
