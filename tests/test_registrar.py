# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""register_ops, Interpreter, load_delegate: what they take and say, and how long they live."""

from __future__ import annotations

import dataclasses
import gc
import os
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import detops
from detops import interpreter as interpreter_module
from detops.interpreter import runtime_module
from model_builder import (
    OUTPUT_NAMES,
    PostprocessModel,
    default_options,
    quantize,
    random_case,
    run,
)
from reference import Case, assert_same_bits

OP = "TFLite_Detection_PostProcess"
# A kernel that stays behind costs ten KiB or more for each interpreter.
KIBIBYTES_ALLOWED = 2048


def int8_case(**changes: Any) -> Case:
    """int8 inputs and constant int8 anchors, each behind a DEQUANTIZE."""
    rng = np.random.default_rng(5)
    anchors = np.concatenate([rng.uniform(0.2, 0.8, (30, 2)), rng.uniform(0.1, 0.4, (30, 2))], 1)
    quantizations = [(0.03, 0), (1 / 256, -128), (0.004, -128)]
    arrays = [rng.normal(0, 1, (1, 30, 4)), rng.random((1, 30, 4)), anchors]
    stored = [
        quantize(array, np.int8, quantization)
        for array, quantization in zip(arrays, quantizations, strict=True)
    ]
    fields: dict[str, Any] = {
        "anchors": stored[2],
        "class_columns": 4,
        **dict.fromkeys(["box_dtype", "score_dtype", "anchor_dtype"], np.int8),
        "box_quantization": quantizations[0],
        "score_quantization": quantizations[1],
        "anchor_quantization": quantizations[2],
        "dequantize": True,
        "options": default_options(3),
    }
    return PostprocessModel(**{**fields, **changes}), stored[:2]


def make(runtime: str, content: bytes, **arguments: Any) -> Any:
    return runtime_module(runtime).Interpreter(
        model_content=content, **{"num_threads": 1, **arguments}
    )


def assert_equals_stock(interpreter: Any, runtime: str, case: Case) -> None:
    stock = run(make(runtime, case[0].build()), case[1])
    ours = run(interpreter, case[1])
    count = int(stock["num_detections"][0])
    assert count > 2
    for name in OUTPUT_NAMES:
        used = slice(None) if name == "num_detections" else (0, slice(count))
        assert_same_bits(ours[name][used], stock[name][used], name)


# ---------------------------------------------------------------------------------------------
# register_ops
# ---------------------------------------------------------------------------------------------


def test_registered_twice_is_registered_once(runtime: str) -> None:
    case = int8_case()
    interpreter = make(runtime, case[0].build())
    first = detops.register_ops(interpreter)
    assert detops.register_ops(interpreter) is first
    assert_equals_stock(interpreter, runtime, case)
    assert detops.register_ops(interpreter) is first
    assert_equals_stock(interpreter, runtime, case)
    # The graph holds one kernel of ours, not two.
    operators = [op["op_name"] for op in interpreter._get_ops_details()]
    assert operators.count("DELEGATE") == 1


def test_registered_between_frames(runtime: str) -> None:
    case = int8_case()
    interpreter = make(runtime, case[0].build())
    assert_equals_stock(interpreter, runtime, case)
    assert detops.register_ops(interpreter).nodes == 1
    assert_equals_stock(interpreter, runtime, case)


def test_interpreter_of_detops_is_registered_already(runtime: str) -> None:
    case = int8_case()
    interpreter = detops.Interpreter(model_content=case[0].build(), runtime=runtime)
    assert type(interpreter) is runtime_module(runtime).Interpreter
    registration = detops.register_ops(interpreter)
    assert (registration.nodes, registration.fused) == (1, ("DEQUANTIZE",) * 3)
    assert_equals_stock(interpreter, runtime, case)


def test_model_without_the_op(runtime: str) -> None:
    model, _ = int8_case(custom_code="Another_Op")
    interpreter = make(runtime, model.build())
    registration = detops.register_ops(interpreter)
    assert registration == detops.Registration(0, ())
    assert not registration
    assert str(registration) == f"no {OP} node in this model: nothing to register"
    # The op that nobody knows is still nobody's.
    with pytest.raises(RuntimeError, match="Another_Op"):
        interpreter.allocate_tensors()


def test_registration_describes_itself(runtime: str) -> None:
    plain = detops.register_ops(make(runtime, random_case(0, dequantize=False)[0].build()))
    assert plain
    assert str(plain) == f"detops runs 1 {OP} node, nothing fused"
    assert repr(plain) == "Registration(nodes=1, fused=())"
    fused = detops.register_ops(make(runtime, int8_case(two_ops=True)[0].build()))
    assert str(fused) == (
        f"detops runs 2 {OP} nodes, fused 3 nodes: DEQUANTIZE, DEQUANTIZE, DEQUANTIZE"
    )
    assert repr(fused) == (
        "Registration(nodes=2, fused=('DEQUANTIZE', 'DEQUANTIZE', 'DEQUANTIZE'))"
    )
    with pytest.raises(dataclasses.FrozenInstanceError):
        fused.nodes = 3  # type: ignore[misc]


class TFLiteConverter:
    """Stands for the converter's object: easily mistaken for an interpreter, costly to make."""

    def __init__(self) -> None:
        self._interpreter = None

    def convert(self) -> bytes:
        return b""


class _HalfAnInterpreter:
    def __init__(self) -> None:
        self._interpreter = object()


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        (None, "NoneType"),
        ("model.tflite", "str"),
        (Path("model.tflite"), "Path"),
        (b"TFL3", "bytes"),
        (5, "int"),
        (TFLiteConverter(), "TFLiteConverter"),
        (_HalfAnInterpreter(), "_HalfAnInterpreter"),
        (TFLiteConverter, "the class TFLiteConverter"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_wrong_objects(wrong: Any, named: str) -> None:
    with pytest.raises(TypeError, match="register_ops takes") as raised:
        detops.register_ops(wrong)
    assert named in str(raised.value)
    assert "interpreter" in str(raised.value).lower()


def test_wrong_objects_of_the_runtime(runtime: str) -> None:
    module = runtime_module(runtime)
    native = make(runtime, int8_case()[0].build())._interpreter
    for wrong, named in [
        (module.Interpreter, "the class Interpreter"),
        (module, "module"),
        (native, "InterpreterWrapper"),
        (detops.load_delegate(runtime), "Delegate"),
    ]:
        with pytest.raises(TypeError, match="register_ops takes") as raised:
            detops.register_ops(wrong)
        assert named in str(raised.value)


# ---------------------------------------------------------------------------------------------
# Failed registrations
# ---------------------------------------------------------------------------------------------


def _with_dynamic_anchors() -> Case:
    return random_case(
        8,
        dtypes=(np.float32, np.float32, np.float32),
        dynamic_anchors=True,
        score_kind="uniform",
        options={"nms_score_threshold": 0.0, "max_classes_per_detection": 1, "max_detections": 50},
    )


def _resize_anchors(interpreter: Any, rows: int) -> None:
    interpreter.resize_tensor_input(interpreter.get_input_details()[2]["index"], [rows, 4])


def test_refused_before_allocation_and_made_right(runtime: str) -> None:
    case = _with_dynamic_anchors()
    interpreter = make(runtime, case[0].build())
    _resize_anchors(interpreter, 3)
    registration = detops.register_ops(interpreter)
    for _ in range(2):
        with pytest.raises(RuntimeError, match="anchors has 3 rows"):
            interpreter.allocate_tensors()
        assert detops.register_ops(interpreter) is registration
    _resize_anchors(interpreter, case[0].rows)
    assert_equals_stock(interpreter, runtime, case)


def test_refused_after_allocation_leaves_stock_at_work(runtime: str) -> None:
    case = _with_dynamic_anchors()
    interpreter = make(runtime, case[0].build())
    _resize_anchors(interpreter, 3)
    interpreter.allocate_tensors()
    for _ in range(3):
        with pytest.raises(ValueError, match=r"refused .* anchors has 3 rows"):
            detops.register_ops(interpreter)
    _resize_anchors(interpreter, case[0].rows)
    assert_equals_stock(interpreter, runtime, case)


def test_refused_after_allocation_and_made_right(runtime: str) -> None:
    case = _with_dynamic_anchors()
    interpreter = make(runtime, case[0].build())
    _resize_anchors(interpreter, 3)
    interpreter.allocate_tensors()
    with pytest.raises(ValueError, match="anchors has 3 rows"):
        detops.register_ops(interpreter)
    _resize_anchors(interpreter, case[0].rows)
    interpreter.allocate_tensors()
    assert detops.register_ops(interpreter).nodes == 1
    assert_equals_stock(interpreter, runtime, case)


def test_a_view_into_the_interpreter_is_not_left_behind(runtime: str) -> None:
    case = int8_case()
    interpreter = make(runtime, case[0].build())
    interpreter.allocate_tensors()
    view = interpreter.tensor(interpreter.get_input_details()[0]["index"])()
    with pytest.raises(RuntimeError, match="reference to internal data"):
        detops.register_ops(interpreter)
    del view
    assert detops.register_ops(interpreter).nodes == 1


# ---------------------------------------------------------------------------------------------
# The delegate as a library
# ---------------------------------------------------------------------------------------------


def test_delegate_path_is_the_library() -> None:
    path = detops.delegate_path()
    assert isinstance(path, Path)
    assert path.is_file()
    assert path.parent == Path(detops.__file__).parent


def test_delegate_path_of_a_package_without_library(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("detops.registrar.__file__", str(tmp_path / "registrar.py"))
    with pytest.raises(FileNotFoundError, match="no detops library in"):
        detops.delegate_path()


def test_loaded_delegate_runs_the_op(runtime: str) -> None:
    case = int8_case()
    delegate = detops.load_delegate(runtime)
    interpreter = make(runtime, case[0].build(), experimental_delegates=[delegate])
    assert_equals_stock(interpreter, runtime, case)
    operators = [op["op_name"] for op in interpreter._get_ops_details()]
    assert operators.count("DELEGATE") == 1
    # Slots past the count are zero only in ours.
    model, inputs = case
    count = int(run(interpreter, inputs)["num_detections"][0])
    none = [inputs[0], np.full_like(inputs[1], -128)]
    assert 0 < count < model.options["max_detections"] + 1
    assert not run(interpreter, none)["detection_boxes"].any()


def test_loaded_delegate_for_many_interpreters(runtime: str) -> None:
    case = int8_case()
    shared = [detops.load_delegate(runtime)]
    interpreters = [make(runtime, case[0].build(), experimental_delegates=shared) for _ in range(3)]
    for interpreter in interpreters:
        assert_equals_stock(interpreter, runtime, case)
    del interpreters[1]
    gc.collect()
    for interpreter in interpreters:
        assert_equals_stock(interpreter, runtime, case)


def test_registered_after_a_loaded_delegate(runtime: str) -> None:
    case = int8_case()
    shared = [detops.load_delegate(runtime)]
    interpreter = make(runtime, case[0].build(), experimental_delegates=shared)
    assert detops.register_ops(interpreter).nodes == 1
    assert len(shared) == 1, "the caller's own list was changed"
    assert_equals_stock(interpreter, runtime, case)


def test_registered_after_a_loaded_delegate_that_took_two_nodes(runtime: str) -> None:
    model, _ = int8_case(two_ops=True)
    delegates = [detops.load_delegate(runtime)]
    interpreter = make(runtime, model.build(), experimental_delegates=delegates)
    assert detops.register_ops(interpreter).nodes == 2


@pytest.mark.parametrize("options", [{"threads": 4}, {"": ""}, {"a": 1, "b": 2}])
def test_loaded_delegate_refuses_options(runtime: str, options: dict[str, Any]) -> None:
    load = runtime_module(runtime).load_delegate
    with pytest.raises(ValueError) as raised:
        load(str(detops.delegate_path()), options)
    wanted = f'unknown delegate option "{next(iter(options))}", expected none'
    assert wanted in str(raised.value)
    assert load(str(detops.delegate_path()), {}) is not None


# ---------------------------------------------------------------------------------------------
# Lifetimes
# ---------------------------------------------------------------------------------------------


def test_interpreter_keeps_what_it_needs(runtime: str) -> None:
    case = int8_case()
    interpreter = make(runtime, case[0].build())
    detops.register_ops(interpreter)
    gc.collect()
    # Memory that was freed too early is likely to be handed out again.
    garbage = [bytearray(size) for size in range(16, 4096, 16)]
    assert_equals_stock(interpreter, runtime, case)
    del garbage


def test_interpreter_holds_the_delegate(runtime: str) -> None:
    # Freed memory mostly still holds what it held, so that nothing else may show its absence.
    own = detops.load_delegate(runtime)
    interpreter = make(runtime, int8_case()[0].build(), experimental_delegates=[own])
    for _ in range(2):
        detops.register_ops(interpreter)
        kinds = [type(delegate).__name__ for delegate in interpreter._delegates]
        assert kinds == ["Delegate", "DelegateHandle"]
    assert interpreter._delegates[0] is own


def test_views_outlive_the_interpreter(runtime: str) -> None:
    case = int8_case()
    interpreter = detops.Interpreter(model_content=case[0].build(), runtime=runtime)
    expected = run(interpreter, case[1])
    views = {
        detail["name"]: interpreter.tensor(detail["index"])()
        for detail in interpreter.get_output_details()
    }
    getters = [interpreter.tensor(d["index"]) for d in interpreter.get_output_details()]
    del interpreter
    gc.collect()
    garbage = [bytearray(size) for size in range(16, 4096, 16)]
    for name in OUTPUT_NAMES:
        assert_same_bits(views[name], expected[name], name)
    assert_same_bits(getters[0](), expected[OUTPUT_NAMES[0]], "a getter")
    del views, getters, garbage
    gc.collect()


def test_registered_interpreters_are_freed(runtime: str) -> None:
    interpreter = make(runtime, int8_case()[0].build())
    registration = detops.register_ops(interpreter)
    alive = weakref.ref(interpreter)
    del interpreter
    # Without the garbage collector: nothing of ours may refer back to the interpreter.
    assert alive() is None
    assert registration.nodes == 1


def _resident_kibibytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * (os.sysconf("SC_PAGE_SIZE") // 1024)


def _large_model(anchors: int) -> bytes:
    """A model whose kernel has more than 150 kB of buffers of its own."""
    return PostprocessModel(
        anchors=np.full((anchors, 4), 0.5, np.float32),
        num_anchors=1000,
        class_columns=20,
        options=default_options(20, use_regular_nms=True, max_detections=10),
    ).build()


@pytest.mark.parametrize("refused", [False, True], ids=["run", "refused"])
def test_hundreds_of_interpreters_leave_no_memory_behind(runtime: str, refused: bool) -> None:
    if not Path("/proc/self/statm").exists():
        pytest.skip("needs /proc/self/statm")
    content = _large_model(999 if refused else 1000)
    rng = np.random.default_rng(0)
    scores = rng.random((1, 1000, 20)).astype(np.float32)
    inputs = [np.zeros((1, 1000, 4), np.float32), scores]

    def cycle() -> None:
        interpreter = detops.Interpreter(model_content=content, runtime=runtime)
        if refused:
            with pytest.raises(RuntimeError, match="anchors has 999 rows"):
                interpreter.allocate_tensors()
        else:
            assert run(interpreter, inputs)["num_detections"][0] > 0

    for _ in range(30):
        cycle()
    before = _resident_kibibytes()
    for _ in range(600):
        cycle()
    grown = _resident_kibibytes() - before
    assert grown < KIBIBYTES_ALLOWED, f"{grown} KiB more after 600 interpreters"


def _in_threads(count: int, work: Callable[[int], None]) -> None:
    errors: list[BaseException] = []

    def guarded(number: int) -> None:
        try:
            work(number)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def test_many_interpreters_in_threads(runtime: str) -> None:
    cases = [random_case(seed, stock=False, dequantize=seed % 2 == 0) for seed in range(8)]
    contents = [model.build() for model, _ in cases]
    expected = [
        run(detops.Interpreter(model_content=content, runtime=runtime), case[1])
        for content, case in zip(contents, cases, strict=True)
    ]
    barrier = threading.Barrier(8)

    def work(number: int) -> None:
        barrier.wait()
        for turn in range(15):
            which = (number + turn) % len(cases)
            interpreter = detops.Interpreter(model_content=contents[which], runtime=runtime)
            for _ in range(3):
                found = run(interpreter, cases[which][1])
                for name in OUTPUT_NAMES:
                    assert_same_bits(found[name], expected[which][name], f"thread {number}")

    _in_threads(8, work)


def test_postprocess_in_threads() -> None:
    cases = [random_case(seed, dtypes=(np.float32,) * 3, dequantize=False) for seed in range(8)]

    def call(case: Case) -> detops.Detections:
        model, inputs = case
        boxes = inputs[0].reshape(1, model.rows, model.box_columns)
        scores = inputs[1].reshape(1, model.rows, model.class_columns)
        anchors = inputs[2] if model.anchors is None else model.anchors
        return detops.postprocess(boxes, scores, anchors, detops.Options(**model.options))

    expected = [call(case) for case in cases]

    def work(number: int) -> None:
        for turn in range(50):
            which = (number + turn) % len(cases)
            for got, want in zip(call(cases[which]), expected[which], strict=True):
                assert_same_bits(got, want, f"thread {number}")

    _in_threads(4, work)


# ---------------------------------------------------------------------------------------------
# Importing, and arguments of Interpreter
# ---------------------------------------------------------------------------------------------


def test_import_brings_numpy_only() -> None:
    code = (
        "import sys; before = set(sys.modules); import detops; "
        "names = {name.partition('.')[0] for name in set(sys.modules) - before}; "
        "print(*sorted(names - set(sys.stdlib_module_names)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["detops", "numpy"]


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        ({}, ValueError, "expected either model_path or model_content"),
        (
            {"model_path": "a.tflite", "model_content": b""},
            ValueError,
            "expected either model_path or model_content",
        ),
        ({"model_path": "no_such_model.tflite"}, FileNotFoundError, "no_such_model.tflite"),
        ({"model_path": 5}, TypeError, "PathLike"),
        ({"model_content": b""}, ValueError, "the file has 0 bytes"),
        ({"model_content": b"abc"}, ValueError, "the file has 3 bytes"),
        ({"model_content": b"\x1c\0\0\0ONNX" + bytes(50)}, ValueError, "ONNX.*expected b'TFL3'"),
        ({"model_content": b"\xff\xff\xff\x7fTFL3"}, ValueError, "the file has 8 bytes"),
        (
            {"model_content": b"x", "runtime": "onnx"},
            ValueError,
            "runtime is 'onnx', expected one of litert, tensorflow, tflite_runtime",
        ),
    ],
)
def test_wrong_arguments_of_interpreter(
    arguments: dict[str, Any], kind: type[Exception], message: str
) -> None:
    if arguments.get("runtime") is not None:
        arguments = {**arguments, "model_content": int8_case()[0].build()}
    with pytest.raises(kind, match=message):
        detops.Interpreter(**arguments)


def test_wrong_arguments_of_the_runtime_pass_through(runtime: str) -> None:
    content = int8_case()[0].build()
    with pytest.raises(ValueError, match="num_threads"):
        detops.Interpreter(model_content=content, runtime=runtime, num_threads=0)
    with pytest.raises(TypeError, match="no_such_argument"):
        detops.Interpreter(model_content=content, runtime=runtime, no_such_argument=1)


def test_interpreter_of_a_path(runtime: str, tmp_path: Path) -> None:
    case = int8_case()
    path = tmp_path / "mod\u00e8le.tflite"
    path.write_bytes(case[0].build())
    for given in (path, str(path)):
        interpreter = detops.Interpreter(given, runtime=runtime, num_threads=2)
        assert_equals_stock(interpreter, runtime, case)
    path.write_bytes(b"GIF89a..")
    with pytest.raises(ValueError, match=f"{path.name}.*identifier is b'9a..', expected b'TFL3'"):
        detops.Interpreter(path, runtime=runtime)


def test_runtime_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(name: str) -> Any:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(interpreter_module.importlib, "import_module", nothing)
    content = int8_case()[0].build()
    with pytest.raises(ImportError, match=r'not installed: pip install "detops\[tf\]"'):
        detops.Interpreter(model_content=content, runtime="tensorflow")
    with pytest.raises(ImportError, match='no TFLite runtime is installed: pip install "detops'):
        detops.Interpreter(model_content=content)
    with pytest.raises(ImportError, match=r'pip install "detops\[litert\]"'):
        detops.load_delegate("litert")


def test_first_installed_runtime_is_taken(monkeypatch: pytest.MonkeyPatch, runtime: str) -> None:
    wanted = runtime_module(runtime)
    names = interpreter_module._RUNTIMES
    real = interpreter_module.importlib.import_module

    def only(name: str) -> Any:
        if name != names[runtime][0]:
            raise ModuleNotFoundError(name)
        return real(name)

    monkeypatch.setattr(interpreter_module.importlib, "import_module", only)
    interpreter = detops.Interpreter(model_content=int8_case()[0].build())
    assert type(interpreter) is wanted.Interpreter


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"model_path": b"model.tflite"}, "model_path is b'model.tflite', expected a str"),
        ({"model_path": 3}, "expected str, bytes or os.PathLike"),
        ({"model_content": "model.tflite"}, "model_content is a str, expected bytes"),
        ({"model_content": bytearray(8)}, "model_content is a bytearray, expected bytes"),
    ],
)
def test_interpreter_tells_paths_from_content(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(TypeError, match=words):
        detops.Interpreter(**arguments)
