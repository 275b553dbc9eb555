# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""The native half of examples/android, on this machine's JVM.

There is no Android here. What Kotlin declares is turned into Java, compiled, and called: so names,
types and behaviour of the C++ side are those that the app needs.
"""

from __future__ import annotations

import ctypes
import re
import shutil
import subprocess
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

import detops

ROOT = Path(__file__).parent.parent
EXAMPLE = ROOT / "examples/android"
MAIN = EXAMPLE / "app/src/main"
PET_FACES = ROOT / "src/python/detops/models/pet_faces.tflite"
CALLER = Path(__file__).parent / "android/CheckNative.java"
JNI_PREFIX = "Java_detops_example_NativeDetops_"
JAVA_TYPES = {
    "Int": "int",
    "Long": "long",
    "Float": "float",
    "Boolean": "boolean",
    "IntArray": "int[]",
    "FloatArray": "float[]",
    "Array<IntArray>": "int[][]",
    "ByteBuffer": "java.nio.ByteBuffer",
    "": "void",
}
TYPE_CODES = {"float32": 1, "uint8": 3, "int8": 9}

Array = NDArray[Any]


def _externals() -> dict[str, str]:
    """The `external fun`s of all Kotlin files, name to Java declaration."""
    found = {}
    for path in sorted(MAIN.rglob("*.kt")):
        declared = re.findall(r"external fun (\w+)\(([^)]*)\)(?:: ([\w<>]+))?", path.read_text())
        for name, parameters, result in declared:
            typed = re.findall(r"(\w+): ([\w<>]+)", parameters)
            java = ", ".join(f"{JAVA_TYPES[kind]} {parameter}" for parameter, kind in typed)
            assert path.name == "NativeDetops.kt"
            found[name] = f"public native {JAVA_TYPES[result]} {name}({java});"
    assert len(found) > 5
    return found


class Native(NamedTuple):
    library: Path
    classes: Path


@pytest.fixture(scope="module")
def native(tmp_path_factory: pytest.TempPathFactory) -> Native:
    """detops_jni, built by the example's own CMake, and the Java classes that call it."""
    tools = {name: shutil.which(name) for name in ("javac", "java", "cmake", "ninja", "c++")}
    missing = [name for name, path in tools.items() if path is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
    home = Path(str(tools["javac"])).resolve().parent.parent
    if not (home / "include/linux/jni_md.h").exists():
        pytest.skip(f"no jni.h for Linux in {home}")
    folder = tmp_path_factory.mktemp("android")
    _compile_java(folder)
    return Native(_compile_library(folder, home), folder)


def _compile_java(folder: Path) -> None:
    mirror = folder / "NativeDetops.java"
    mirror.write_text(
        "package detops.example;\nfinal class NativeDetops {\n"
        "static final NativeDetops INSTANCE = new NativeDetops();\n"
        'static { System.loadLibrary("detops_jni"); }\n'
        + "\n".join(_externals().values())
        + "\n}\n"
    )
    command = ["javac", "-Xlint:all", "-Werror", "-h", folder, "-d", folder, mirror, CALLER]
    subprocess.run(command, check=True)


def _compile_library(folder: Path, java_home: Path) -> Path:
    # Declared by Java, defined in C++: the compiler refuses other types in one of them.
    flags = (
        f"-O0 -Werror -include {folder}/detops_example_NativeDetops.h "
        f"-I{java_home}/include -I{java_home}/include/linux"
    )
    build = folder / "build"
    configure = ["cmake", "-G", "Ninja", "-S", MAIN / "cpp", "-B", build]
    options = ["-DCMAKE_BUILD_TYPE=Debug", f"-DCMAKE_CXX_FLAGS={flags}"]
    subprocess.run([*configure, *options], check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["cmake", "--build", build], check=True, stdout=subprocess.DEVNULL)
    return build / "libdetops_jni.so"


def _java(native: Native, *folders: Path) -> str:
    command = [
        "java",
        "-Xcheck:jni",
        f"-Djava.library.path={native.library.parent}",
        *("-cp", str(native.classes)),
        "detops.example.CheckNative",
        *map(str, folders),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "WARNING" not in done.stdout, done.stdout
    return done.stdout


class Case(NamedTuple):
    options: detops.Options
    inputs: list[Array]
    quantization: list[tuple[float, int]]


def _case(
    dtypes: tuple[str, str, str], *, batch: int, background: int, options: detops.Options
) -> Case:
    rng = np.random.default_rng(7)
    anchors = 60
    corners = rng.uniform(0.1, 0.9, (anchors, 4))
    floats = [
        rng.normal(0, 2, (batch, anchors, 4)),
        rng.uniform(0, 1, (batch, anchors, options.num_classes + background)),
        np.where(np.arange(4) < 2, corners, corners / 2),
    ]
    scales = [0.06, 1 / 256, 1 / 200]
    inputs, quantization = [], []
    for values, dtype, scale in zip(floats, dtypes, scales, strict=True):
        if dtype == "float32":
            inputs.append(values.astype(dtype))
            quantization.append((0.0, 0))
            continue
        zero_point = (3 if values.min() < 0 else -128) + (128 if dtype == "uint8" else 0)
        limits = np.iinfo(dtype)
        levels = np.clip(np.round(values / scale) + zero_point, limits.min, limits.max)
        inputs.append(levels.astype(dtype))
        quantization.append((float(np.float32(scale)), zero_point))
    return Case(options, inputs, quantization)


def _options(**changes: Any) -> detops.Options:
    usual: dict[str, Any] = {
        "num_classes": 3,
        "max_detections": 10,
        "max_classes_per_detection": 1,
        "detections_per_class": 5,
        "use_regular_nms": False,
        "nms_score_threshold": 0.3,
        "nms_iou_threshold": 0.6,
        "y_scale": 10.0,
        "x_scale": 10.0,
        "h_scale": 5.0,
        "w_scale": 5.0,
    }
    return detops.Options(**{**usual, **changes})


CASES = {
    "float": _case(("float32",) * 3, batch=1, background=1, options=_options()),
    "int8": _case(("int8",) * 3, batch=2, background=0, options=_options(use_regular_nms=True)),
    "mixed": _case(
        ("uint8", "int8", "float32"),
        batch=1,
        background=1,
        options=_options(max_classes_per_detection=2, num_classes=4),
    ),
}


def _write(case: Case, folder: Path) -> Path:
    options = case.options
    limits = ("num_classes", "max_detections", "max_classes_per_detection", "detections_per_class")
    lists = {
        "limits": [getattr(options, name) for name in limits],
        "thresholds": [options.nms_score_threshold, options.nms_iou_threshold],
        "box_scales": [options.y_scale, options.x_scale, options.h_scale, options.w_scale],
        "types": [TYPE_CODES[str(values.dtype)] for values in case.inputs],
        "scales": [scale for scale, _ in case.quantization],
        "zero_points": [zero_point for _, zero_point in case.quantization],
        **{f"shape{i}": list(values.shape) for i, values in enumerate(case.inputs)},
    }
    lines = [f"{name}={' '.join(map(str, values))}" for name, values in lists.items()]
    lines.append(f"regular={str(options.use_regular_nms).lower()}")
    folder.mkdir()
    (folder / "case.properties").write_text("\n".join(lines))
    for i, values in enumerate(case.inputs):
        (folder / f"input{i}").write_bytes(values.tobytes())
    return folder


@pytest.fixture(scope="module")
def ran(native: Native, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """The folder of the cases after the JVM ran them, and what it printed, name to exception."""
    folder = tmp_path_factory.mktemp("cases")
    printed = _java(native, *(_write(case, folder / name) for name, case in CASES.items()))
    return folder, dict(line.split(": ", 1) for line in printed.splitlines())


@pytest.mark.parametrize("name", CASES)
def test_java_gets_the_bits_of_python(ran: tuple[Path, dict[str, str]], name: str) -> None:
    case = CASES[name]
    given = [q if q[0] else None for q in case.quantization]
    expected = detops.postprocess(
        *case.inputs,
        case.options,
        box_quantization=given[0],
        score_quantization=given[1],
        anchor_quantization=given[2],
    )
    assert expected.num_detections.min() >= 3
    for i, values in enumerate(expected):
        assert (ran[0] / name / f"output{i}").read_bytes() == values.tobytes(), expected._fields[i]


ARGUMENT, STATE = "java.lang.IllegalArgumentException", "java.lang.IllegalStateException"
REFUSED = {
    "no classes": (ARGUMENT, "option num_classes is 0"),
    "null box scales": (ARGUMENT, "boxScales is null"),
    "three box scales": (ARGUMENT, "boxScales has 3 elements, expected 4"),
    "null types": (ARGUMENT, "types is null"),
    "unknown type": (ARGUMENT, "the type of scores is 7, expected 1 (float32), 3 (uint8)"),
    "null shapes": (ARGUMENT, "shapes is null"),
    "two shapes": (ARGUMENT, "shapes has 2 elements, expected 3"),
    "null shape": (ARGUMENT, "the shape of boxEncodings is null"),
    "rank 1 anchors": (ARGUMENT, "anchors has shape [20], expected [anchors, 4]"),
    "rank 6 boxes": (ARGUMENT, "expected [batch, anchors, 4 or more]"),
    "huge": (ARGUMENT, "expected products below 2^31"),
    "closed run": (STATE, "the postprocessor is closed"),
    "closed batch": (STATE, "the postprocessor is closed"),
    "closed slots": (STATE, "the postprocessor is closed"),
    "null boxes": (ARGUMENT, "boxEncodings is null"),
    "heap anchors": (ARGUMENT, "anchors is not a direct buffer"),
    "short scores": (ARGUMENT, "scores holds 9 bytes, expected 10 elements of 1 bytes"),
    "short boxes": (ARGUMENT, "boxEncodings holds 79 bytes, expected 20 elements of 4 bytes"),
    "short output": (ARGUMENT, "boxes has 39 elements, expected 40"),
    "null output": (ARGUMENT, "boxes is null"),
}


def test_faults_are_java_exceptions(ran: tuple[Path, dict[str, str]]) -> None:
    printed = dict(ran[1])
    assert printed.pop("nothing") == "no exception"
    assert printed.pop("delegate") == "true"
    assert printed.keys() == REFUSED.keys()
    for name, (kind, words) in REFUSED.items():
        assert printed[name].startswith(f"{kind}: "), name
        assert words in printed[name], name


def test_the_delegate_of_the_app_runs_a_model(native: Native) -> None:
    pytest.importorskip("ai_edge_litert")
    pytest.importorskip("flatbuffers")
    from ai_edge_litert.interpreter import Interpreter

    from detops.convert import rewrite_quantized

    create = getattr(ctypes.CDLL(str(native.library)), f"{JNI_PREFIX}delegateCreate")
    create.restype = ctypes.c_int64

    class Handle:
        """What the Java interpreter reads from a Delegate, as the Python one calls it."""

        def _get_native_delegate_pointer(self) -> int:
            return int(create(None, None))

    # Stock refuses this file, so a result can only come from the delegate.
    content = rewrite_quantized(PET_FACES.read_bytes(), into="int8", verify=False)
    with pytest.raises(RuntimeError):
        _outputs(Interpreter(model_content=content))
    found = _outputs(Interpreter(model_content=content, experimental_delegates=[Handle()]))
    expected = _outputs(detops.Interpreter(model_content=content, runtime="litert"))
    assert all(a.tobytes() == b.tobytes() for a, b in zip(found, expected, strict=True))


def _outputs(interpreter: Any) -> list[Array]:
    interpreter.allocate_tensors()
    entrance = interpreter.get_input_details()[0]
    picture = np.random.default_rng(1).integers(0, 256, entrance["shape"], np.uint8)
    interpreter.set_tensor(entrance["index"], picture)
    interpreter.invoke()
    return [interpreter.get_tensor(each["index"]) for each in interpreter.get_output_details()]


def test_the_library_exports_the_functions_of_kotlin_alone(native: Native) -> None:
    nm = shutil.which("nm")
    if nm is None:
        pytest.skip("nm is not installed")
    listed = subprocess.run(
        [nm, "-D", "--defined-only", native.library], capture_output=True, text=True, check=True
    )
    exported = {line.split()[-1] for line in listed.stdout.splitlines()}
    assert exported == {JNI_PREFIX + name for name in _externals()}


def test_kotlin_and_cpp_name_the_same_functions() -> None:
    source = (MAIN / "cpp/detops_jni.cc").read_text()
    assert set(re.findall(rf"{JNI_PREFIX}(\w+)\(", source)) == _externals().keys()


def test_xml_files_parse_and_name_what_exists() -> None:
    files = sorted(MAIN.rglob("*.xml"))
    assert len(files) == 2
    trees = {path.name: ElementTree.parse(path).getroot() for path in files}
    name = "{http://schemas.android.com/apk/res/android}name"
    activity = trees["AndroidManifest.xml"].find("application/activity")
    assert activity is not None
    assert (MAIN / f"kotlin/detops/example/{activity.get(name, '')[1:]}.kt").exists()
    strings = {each.get("name") for each in trees["strings.xml"]}
    used = (MAIN / "AndroidManifest.xml").read_text() + "".join(
        path.read_text() for path in MAIN.rglob("*.kt")
    )
    assert strings == set(re.findall(r"(?:@string/|R\.string\.)(\w+)", used))


def test_the_model_that_gradle_copies_exists() -> None:
    build = (EXAMPLE / "app/build.gradle.kts").read_text()
    copied = re.search(r'projectDirectory\.file\("([^"]+)"\)', build)
    assert copied
    assert (EXAMPLE / "app" / copied[1]).resolve() == PET_FACES
