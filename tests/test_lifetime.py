# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""What is made, shared, forked and destroyed, in any order and ten thousand times."""

from __future__ import annotations

import gc
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import detops
from model_builder import OUTPUT_NAMES, random_case, run
from reference import Case, assert_same_bits

CYCLES = 10_000
# What allocators and caches may still take after the first thousand; a leak of one small object a
# cycle would be more.
KIBIBYTES_ALLOWED = 512


def _case(**changes: Any) -> Case:
    return random_case(5, stock=False, dtypes=(np.int8, np.int8, np.float32), **changes)


def _interpreter(case: Case, runtime: str, **arguments: Any) -> Any:
    return detops.Interpreter(model_content=case[0].build(), runtime=runtime, **arguments)


def _assert_same(found: dict[str, Any], expected: dict[str, Any], where: str) -> None:
    for name in OUTPUT_NAMES:
        assert_same_bits(found[name], expected[name], f"{name}, {where}")


def _resident_kibibytes() -> int:
    path = Path("/proc/self/statm")
    if not path.exists():
        pytest.skip("needs /proc/self/statm")
    return int(path.read_text().split()[1]) * (os.sysconf("SC_PAGE_SIZE") // 1024)


def _interpreters(runtime: str) -> None:
    content = _case(dequantize=True)[0].build()

    def cycle() -> None:
        detops.Interpreter(model_content=content, runtime=runtime).allocate_tensors()

    _check_growth(cycle)


def _refused_interpreters(runtime: str) -> None:
    content = random_case(5, options={"num_classes": 0})[0].build()
    module = detops.interpreter.runtime_module(runtime)

    def cycle() -> None:
        interpreter = module.Interpreter(model_content=content)
        with pytest.raises(RuntimeError):
            detops.register_ops(interpreter)
            interpreter.allocate_tensors()

    _check_growth(cycle)


def _calls_on_arrays(_: str) -> None:
    boxes, anchors = np.zeros((1, 50, 4), np.int8), np.full((50, 4), 0.5, np.float32)
    scores = np.random.default_rng(0).random((1, 50, 3)).astype(np.float32)
    options = detops.Options(num_classes=3, use_regular_nms=True)

    def cycle() -> None:
        detops.postprocess(boxes, scores, anchors, options, box_quantization=(0.1, 0))
        with pytest.raises(ValueError, match="scale"):
            detops.postprocess(boxes, scores, anchors, options, box_quantization=(0.0, 0))
        detops.nms(anchors, scores[0, :, 0])

    _check_growth(cycle)


_CYCLES = {
    "interpreters": _interpreters,
    "refused": _refused_interpreters,
    "arrays": _calls_on_arrays,
}


def _check_growth(cycle: Callable[[], None]) -> None:
    """Fails if ten thousand cycles leave memory behind, the first thousand not counted."""
    for _ in range(CYCLES // 10):
        cycle()
    gc.collect()
    before = _resident_kibibytes()
    for _ in range(CYCLES - CYCLES // 10):
        cycle()
    gc.collect()
    grown = _resident_kibibytes() - before
    assert grown < KIBIBYTES_ALLOWED, f"{grown} KiB more after {CYCLES} cycles"


def _check_in_new_process(kind: str, runtime: str = "") -> None:
    """What other tests left in this process would move the figure."""
    _resident_kibibytes()
    done = subprocess.run(
        [sys.executable, "-W", "ignore", __file__, kind, runtime],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-500:]


@pytest.mark.fault
def test_ten_thousand_interpreters(runtime: str) -> None:
    _check_in_new_process("interpreters", runtime)


@pytest.mark.fault
def test_ten_thousand_refused_interpreters(runtime: str) -> None:
    _check_in_new_process("refused", runtime)


@pytest.mark.fault
def test_ten_thousand_calls_on_arrays() -> None:
    _check_in_new_process("arrays")


@pytest.mark.fault
def test_one_interpreter_from_many_threads_in_turn(runtime: str) -> None:
    case = _case()
    interpreter = _interpreter(case, runtime)
    expected = run(interpreter, case[1])
    turn, wrong = threading.Lock(), queue.SimpleQueue[BaseException]()

    def work() -> None:
        try:
            for _ in range(20):
                with turn:
                    _assert_same(
                        run(interpreter, case[1]), expected, threading.current_thread().name
                    )
        except BaseException as error:
            wrong.put(error)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong.empty(), wrong.get()


@pytest.mark.fault
def test_made_in_a_thread_that_has_ended(runtime: str) -> None:
    case = _case()
    made: list[Any] = []
    thread = threading.Thread(target=lambda: made.append(_interpreter(case, runtime)))
    thread.start()
    thread.join()
    expected = run(_interpreter(case, runtime), case[1])
    _assert_same(run(made[0], case[1]), expected, "made in another thread")


@pytest.mark.fault
@pytest.mark.parametrize("first", ["interpreter", "delegate"])
def test_the_delegate_and_the_interpreter_go_in_any_order(runtime: str, first: str) -> None:
    case = _case()
    module = detops.interpreter.runtime_module(runtime)
    for _ in range(5):
        delegate = detops.load_delegate(runtime)
        interpreter = module.Interpreter(
            model_content=case[0].build(), experimental_delegates=[delegate]
        )
        run(interpreter, case[1])
        if first == "interpreter":
            del interpreter, delegate
        else:
            del delegate, interpreter
        gc.collect()


_FORK = """
import os, sys
import numpy as np
sys.path.insert(0, {tests!r})
import detops
from model_builder import random_case, run
model, inputs = random_case(5, stock=False, dtypes=("int8", "int8", "float32"))
content = model.build()
interpreter = detops.Interpreter(model_content=content, runtime={runtime!r}, num_threads=1)
expected = run(interpreter, inputs)
def same():
    again = detops.Interpreter(model_content=content, runtime={runtime!r}, num_threads=1)
    for one in (interpreter, again):
        found = run(one, inputs)
        if any(found[name].tobytes() != expected[name].tobytes() for name in expected):
            return False
    return True
child = os.fork()
if child == 0:
    os._exit(0 if same() else 3)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) or (0 if same() else 4))
"""


@pytest.mark.fault
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_process_goes_on_with_both(runtime: str) -> None:
    code = _FORK.format(tests=str(Path(__file__).parent), runtime=runtime)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.fault
def test_errors_in_the_middle_leave_the_interpreter_usable(runtime: str) -> None:
    case = _case()
    interpreter = _interpreter(case, runtime)
    expected = run(interpreter, case[1])
    details = interpreter.get_input_details()
    for _ in range(50):
        with pytest.raises(ValueError):
            interpreter.set_tensor(details[0]["index"], np.zeros((1, 1), np.int8))
        with pytest.raises(RuntimeError):
            # More boxes than scores and anchors.
            more = details[0]["shape"] + [0, 3, 0][: len(details[0]["shape"])]
            interpreter.resize_tensor_input(details[0]["index"], more)
            interpreter.allocate_tensors()
        interpreter.resize_tensor_input(details[0]["index"], details[0]["shape"])
        _assert_same(run(interpreter, case[1]), expected, "after errors")


@pytest.mark.fault
def test_registered_again_and_again(runtime: str) -> None:
    case = _case(dequantize=True)
    interpreter = _interpreter(case, runtime)
    expected = run(interpreter, case[1])
    for _ in range(100):
        detops.register_ops(interpreter)
    _assert_same(run(interpreter, case[1]), expected, "after a hundred registrations")


if __name__ == "__main__":
    _CYCLES[sys.argv[1]](sys.argv[2])
