# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Bad and odd models: refused with what, where, got and expected; or supported, and then right.

They run in child processes, so that one that crashes its process costs one test and is named.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import detops
from bad_models import (
    BROKEN_BLOCKS,
    BROKEN_FILES,
    REFUSED,
    REFUSED_AT_ONCE,
    RESIZED,
    SUPPORTED,
    assert_words,
    build_case,
    readable_options,
)
from detops.interpreter import runtime_module
from model_builder import (
    OUTPUT_NAMES,
    run,
)
from reference import (
    Case,
    assert_like_reference,
    postprocess,
    seen_as_floats,
)

# ---------------------------------------------------------------------------------------------
# The child process
# ---------------------------------------------------------------------------------------------

ROUTES = ("register_ops", "detops.Interpreter", "register_ops after allocation")


class RefusedByStock(Exception):
    """Stock's own allocation failed, before detops was asked."""


def _construct(runtime: str, route: str, content: bytes) -> Any:
    if route == "detops.Interpreter":
        return detops.Interpreter(model_content=content, runtime=runtime, num_threads=1)
    interpreter = runtime_module(runtime).Interpreter(model_content=content, num_threads=1)
    if route == "register_ops after allocation":
        try:
            interpreter.allocate_tensors()
        except RuntimeError as error:
            raise RefusedByStock(str(error)) from error
    detops.register_ops(interpreter)
    return interpreter


def _raised(action: Callable[[], Any]) -> dict[str, str] | None:
    try:
        action()
    except Exception as error:
        return {"type": type(error).__name__, "message": str(error)}
    return None


def _child_refused(runtime: str, route: str, content: bytes) -> dict[str, Any]:
    interpreter: Any = None

    def construct() -> None:
        nonlocal interpreter
        interpreter = _construct(runtime, route, content)

    raised = _raised(construct)
    if raised is not None:
        return {"stage": "construct", **raised}
    raised = _raised(interpreter.allocate_tensors)
    if raised is None:
        return {"stage": "nothing was refused"}
    # A program may well try again, or go on regardless.
    again = _raised(interpreter.allocate_tensors)
    return {
        "stage": "allocate",
        **raised,
        "again": again is not None and raised["message"] in again["message"],
        "invoke_refused": _raised(interpreter.invoke) is not None,
    }


def _child_resized(runtime: str, route: str, row: str) -> dict[str, Any]:
    """A good frame, a shape that does not fit, and the good frame again."""
    (model, inputs), position, shape, _ = RESIZED[row]
    interpreter = _construct(runtime, route, model.build())
    frames = [run(interpreter, inputs)]
    index = interpreter.get_input_details()[position]["index"]
    interpreter.resize_tensor_input(index, shape)
    raised = _raised(interpreter.allocate_tensors) or {"message": "nothing was refused"}
    invoke_refused = _raised(interpreter.invoke) is not None
    interpreter.resize_tensor_input(index, inputs[position].shape)
    frames.append(run(interpreter, inputs))
    return {**raised, "invoke_refused": invoke_refused, **_described(frames)}


def _described(frames: list[dict[str, np.ndarray[Any, Any]]]) -> dict[str, Any]:
    return {"frames": [{k: [v.shape, v.tolist()] for k, v in frame.items()} for frame in frames]}


def _child_supported(runtime: str, route: str, cases: list[Case]) -> dict[str, Any]:
    interpreter = _construct(runtime, route, cases[0][0].build())
    return _described([run(interpreter, inputs) for _, inputs in cases])


def child(runtime: str, route: str, names: list[str]) -> None:
    """Runs rows one after the other; what is printed tells how far it came."""
    for name in names:
        print(json.dumps({"start": name}), flush=True)
        kind, _, row = name.partition(": ")
        if kind == "supported":
            outcome = _child_supported(runtime, route, SUPPORTED[row])
        elif kind == "resized":
            outcome = _child_resized(runtime, route, row)
        elif kind in ("refused", "at once"):
            model = {**REFUSED, **REFUSED_AT_ONCE}[row][0]
            outcome = _child_refused(runtime, route, model.build())
        elif kind == "file":
            outcome = _child_refused(runtime, route, BROKEN_FILES[row][0])
        else:
            model = dataclasses.replace(build_case()[0], options=BROKEN_BLOCKS[row][0])
            outcome = _child_refused(runtime, route, model.build())
        print(json.dumps({"end": name, **outcome}), flush=True)


@functools.cache
def outcomes(runtime: str, route: str) -> dict[str, dict[str, Any]]:
    """What became of every row; a row that ended its process has the outcome {"crash": ...}."""
    names = [f"refused: {row}" for row in REFUSED]
    if route != "register_ops after allocation":
        # Before detops is asked, the runtime has looked at the graph, and crashed.
        names += [f"at once: {row}" for row in REFUSED_AT_ONCE]
    names += [f"supported: {row}" for row in SUPPORTED]
    names += [f"resized: {row}" for row in RESIZED]
    if route == "detops.Interpreter":
        names += [f"block: {row}" for row in BROKEN_BLOCKS]
        names += [f"file: {row}" for row in BROKEN_FILES]
    found: dict[str, dict[str, Any]] = {}
    while names:
        done = _run_child(runtime, route, names)
        for line in done.stdout.splitlines():
            with contextlib.suppress(ValueError):
                entry = json.loads(line)
                if "end" in entry:
                    found[entry["end"]] = entry
                else:
                    started = entry["start"]
        if done.returncode != 0:
            found[started] = {"crash": f"exit status {done.returncode}", "log": done.stderr[-2000:]}
        names = [name for name in names if name not in found]
    return found


def _run_child(runtime: str, route: str, names: list[str]) -> subprocess.CompletedProcess[str]:
    code = "import json, sys, test_bad_models as t; t.child(*json.loads(sys.stdin.read()))"
    path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    return subprocess.run(
        [sys.executable, "-c", code],
        input=json.dumps([runtime, route, names]),
        env={**os.environ, "PYTHONPATH": path, "TF_CPP_MIN_LOG_LEVEL": "2"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


# ---------------------------------------------------------------------------------------------
# Models
# ---------------------------------------------------------------------------------------------


def _outcome(runtime: str, route: str, name: str) -> dict[str, Any]:
    outcome = outcomes(runtime, route)[name]
    assert "crash" not in outcome, f"{outcome['crash']}\n{outcome['log']}"
    return outcome


@pytest.mark.parametrize("row", REFUSED)
@pytest.mark.parametrize("route", ROUTES)
def test_refused_when_prepared(runtime: str, route: str, row: str) -> None:
    outcome = _outcome(runtime, route, f"refused: {row}")
    if route == "register_ops after allocation":
        # Stock's own allocation checks some of it, and says so in its own words.
        if outcome.get("type") != "RefusedByStock":
            assert (outcome["stage"], outcome["type"]) == ("construct", "ValueError")
            assert_words(outcome["message"], REFUSED[row][1])
        return
    assert (outcome["stage"], outcome.get("type")) == ("allocate", "RuntimeError"), outcome
    assert_words(outcome["message"], ("TFLite_Detection_PostProcess", *REFUSED[row][1]))
    assert outcome["again"], "the second allocation was not refused"
    assert outcome["invoke_refused"]


@pytest.mark.parametrize("row", REFUSED_AT_ONCE)
@pytest.mark.parametrize("route", ROUTES[:2])
def test_refused_before_the_runtime_looks(runtime: str, route: str, row: str) -> None:
    outcome = _outcome(runtime, route, f"at once: {row}")
    assert (outcome["stage"], outcome.get("type")) == ("construct", "ValueError"), outcome
    assert_words(outcome["message"], REFUSED_AT_ONCE[row][1])


@pytest.mark.parametrize("row", BROKEN_BLOCKS)
def test_broken_option_block_is_refused_when_opened(runtime: str, row: str) -> None:
    outcome = _outcome(runtime, "detops.Interpreter", f"block: {row}")
    assert (outcome["stage"], outcome.get("type")) == ("construct", "ValueError"), outcome
    assert_words(outcome["message"], BROKEN_BLOCKS[row][1])


@pytest.mark.parametrize("row", BROKEN_FILES)
def test_broken_file_is_refused_when_opened(runtime: str, row: str) -> None:
    outcome = _outcome(runtime, "detops.Interpreter", f"file: {row}")
    assert (outcome["stage"], outcome.get("type")) == ("construct", "ValueError"), outcome
    assert_words(outcome["message"], BROKEN_FILES[row][1])


def _assert_frames(outcome: dict[str, Any], cases: list[Case], what: str) -> None:
    for number, (frame, case) in enumerate(zip(outcome["frames"], cases, strict=True)):
        arrays = [
            np.array(frame[name][1], np.float32).reshape(frame[name][0]) for name in OUTPUT_NAMES
        ]
        assert_like_reference(arrays, readable_options(case), f"{what}, frame {number}")


@pytest.mark.parametrize("row", SUPPORTED)
@pytest.mark.parametrize("route", ROUTES)
def test_supported_and_right(runtime: str, route: str, row: str) -> None:
    _assert_frames(_outcome(runtime, route, f"supported: {row}"), SUPPORTED[row], row)


@pytest.mark.parametrize("row", RESIZED)
@pytest.mark.parametrize("route", ROUTES)
def test_checked_again_when_resized(runtime: str, route: str, row: str) -> None:
    case, _, _, words = RESIZED[row]
    outcome = _outcome(runtime, route, f"resized: {row}")
    assert_words(outcome["message"], words)
    assert outcome["invoke_refused"]
    _assert_frames(outcome, [case, case], row)


def test_the_supported_rows_detect_something() -> None:
    # Zeros would equal zeros.
    empty = ("no anchors", "no detections wanted")
    for row, cases in SUPPORTED.items():
        arrays = seen_as_floats(cases[0])
        options = readable_options(cases[0])[0].options
        assert isinstance(options, Mapping)
        found = postprocess(arrays[0][0], arrays[1][0], arrays[2], options)
        assert (found.count > 0) != row.startswith(empty), row
