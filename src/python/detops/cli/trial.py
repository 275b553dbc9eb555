# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Runs a model in a process of its own: the stock op crashes on some, and takes its process along.

Also makes and feeds interpreters, which is the same on both sides of the process border.
"""

from __future__ import annotations

import importlib
import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import detops
from detops.interpreter import names_in_words, runtime_module, stock_interpreter

_START = "from detops.cli.trial import answer; answer()"
# Before the answer, since a runtime may print as well.
_MARK = "detops-trial:"
_SECONDS = 600
_INVOKES = 2


@dataclass(frozen=True)
class Outcome:
    """How a trial ended."""

    status: str
    """"ok", "error" (an exception), "crash" (the process died), or "timeout"."""
    text: str
    """For "ok" what came out, else the reason."""

    @property
    def ok(self) -> bool:
        return self.status == "ok"

    def __str__(self) -> str:
        return {"ok": "", "crash": "crashes: "}.get(self.status, "fails: ") + self.text


def try_invoke(
    model: str,
    arrays: Sequence[NDArray[Any]],
    *,
    stock: bool,
    runtime: str | None,
    threads: int = 1,
) -> Outcome:
    """Makes an interpreter, with the stock op or with detops, and invokes it a few times."""
    request = {"task": "invoke", "model": model, "runtime": runtime}
    return _ask({**request, "stock": stock, "threads": threads}, arrays)


def registration_of(model: str, runtime: str | None) -> str:
    """What `register_ops` reports for a model, or why there is no report."""
    return str(_ask({"task": "register", "model": model, "runtime": runtime}, []))


def make_interpreter(model: str, *, stock: bool, runtime: str | None, threads: int) -> Any:
    """An interpreter of a runtime with its own op, or with detops."""
    if stock:
        return stock_interpreter(model, runtime=runtime, num_threads=threads)
    return detops.Interpreter(model, runtime=runtime, num_threads=threads)


def ready_interpreter(
    model: str, arrays: Sequence[NDArray[Any]], *, stock: bool, runtime: str | None, threads: int
) -> Any:
    """An interpreter that was invoked once, and has its answers."""
    interpreter = make_interpreter(model, stock=stock, runtime=runtime, threads=threads)
    feed(interpreter, arrays)
    interpreter.invoke()
    return interpreter


def feed(interpreter: Any, arrays: Sequence[NDArray[Any]]) -> None:
    """Allocates the tensors and sets the inputs, resized to the arrays where they differ."""
    with names_in_words():
        details = interpreter.get_input_details()
        for detail, array in zip(details, arrays, strict=True):
            if tuple(detail["shape"]) != array.shape:
                interpreter.resize_tensor_input(detail["index"], array.shape)
        interpreter.allocate_tensors()
    for detail, array in zip(details, arrays, strict=True):
        interpreter.set_tensor(detail["index"], array)


# ---------------------------------------------------------------------------------------------
# This side
# ---------------------------------------------------------------------------------------------


def _ask(request: dict[str, Any], arrays: Sequence[NDArray[Any]]) -> Outcome:
    stream = io.BytesIO()
    np.savez(stream, *arrays)
    message = json.dumps(request).encode() + b"\n" + stream.getvalue()
    try:
        done = subprocess.run(
            [sys.executable, "-c", _START],
            input=message,
            capture_output=True,
            timeout=_SECONDS,
            env=_environment(),
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Outcome("timeout", f"no answer in {_SECONDS} s")
    for line in reversed(done.stdout.decode("utf-8", "replace").splitlines()):
        if line.startswith(_MARK) and done.returncode == 0:
            return Outcome(**json.loads(line.removeprefix(_MARK)))
    return Outcome("crash", _end_text(done.returncode))


def _environment() -> dict[str, str]:
    # The process has to find this very package, however this one did.
    package = str(Path(detops.__file__).parent.parent)
    earlier = os.environ.get("PYTHONPATH")
    path = package if not earlier else os.pathsep.join([package, earlier])
    return {**os.environ, "PYTHONPATH": path}


def _end_text(code: int) -> str:
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"exit code {code}"


# ---------------------------------------------------------------------------------------------
# That side
# ---------------------------------------------------------------------------------------------


def answer() -> None:
    """Reads a request from stdin, does it, and prints the outcome; run in its own process."""
    header, _, content = sys.stdin.buffer.read().partition(b"\n")
    request = json.loads(header)
    try:
        with np.load(io.BytesIO(content)) as file:
            arrays = [file[f"arr_{number}"] for number in range(len(file.files))]
        task = _register if request["task"] == "register" else _invoke
        outcome = {"status": "ok", "text": task(request, arrays)}
    except Exception as error:
        outcome = {"status": "error", "text": " ".join(str(error).split()) or repr(error)}
    print(f"\n{_MARK}{json.dumps(outcome)}", flush=True)


def _register(request: dict[str, Any], arrays: list[NDArray[Any]]) -> str:
    interpreter = detops.Interpreter(request["model"], runtime=request["runtime"])
    return str(detops.register_ops(interpreter))


def _invoke(request: dict[str, Any], arrays: list[NDArray[Any]]) -> str:
    interpreter = make_interpreter(
        request["model"],
        stock=request["stock"],
        runtime=request["runtime"],
        threads=request["threads"],
    )
    feed(interpreter, arrays)
    for _ in range(_INVOKES):
        interpreter.invoke()
    with names_in_words():
        return f"runs, {len(interpreter.get_output_details())} outputs"


def runtime_name(runtime: str | None) -> str:
    """The module of the runtime in use, with its version where it says one."""
    module = runtime_module(runtime)
    package = importlib.import_module(module.__name__.split(".")[0])
    return f"{package.__name__} {getattr(package, '__version__', '')}".strip()
