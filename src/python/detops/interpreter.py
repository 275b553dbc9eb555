# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Interpreters with the op in them, from whichever runtime is installed."""

from __future__ import annotations

import contextlib
import importlib
import os
from collections.abc import Iterator
from typing import Any

from detops import _core
from detops.model_file import ModelFile
from detops.nodes.faults import find_file_faults, output_faults, wide_zero_point
from detops.registrar import delegate_path, register_ops
from detops.whole_file import read_regular

# Runtime names, with the module that holds each one's Interpreter and what to install, in order of
# preference.
_RUNTIMES = {
    "litert": ("ai_edge_litert.interpreter", '"detops[litert]"'),
    "tensorflow": ("tensorflow.lite.python.interpreter", '"detops[tf]"'),
    "tflite_runtime": ("tflite_runtime.interpreter", "tflite-runtime"),
}


def runtime_module(runtime: str | None = None) -> Any:
    """The Python module of a TFLite runtime.

    Args:
      runtime: "litert", "tensorflow", "tflite_runtime", or None for the first one installed.

    Raises:
      ValueError: an unknown name.
      ImportError: that runtime, or any, is not installed; the message says what to install.
    """
    if runtime is not None and runtime not in _RUNTIMES:
        raise ValueError(f"runtime is {runtime!r}, expected one of {', '.join(_RUNTIMES)}")
    for name in [runtime] if runtime is not None else list(_RUNTIMES):
        try:
            return importlib.import_module(_RUNTIMES[name][0])
        except ModuleNotFoundError as error:
            if runtime is not None:
                package = _RUNTIMES[name][1]
                raise ImportError(f"{name} is not installed: pip install {package}") from error
    raise ImportError('no TFLite runtime is installed: pip install "detops[litert]"')


def Interpreter(
    model_path: str | os.PathLike[str] | None = None,
    model_content: bytes | None = None,
    *,
    runtime: str | None = None,
    **arguments: Any,
) -> Any:
    """Makes an interpreter of an installed runtime with detops registered.

    Unlike `register_ops` it sees the file before the runtime does: a broken option block, on which
    the runtime's own op crashes the process while the interpreter is made, is an error here.

    Args:
      model_path: a .tflite file; or
      model_content: its bytes.
      runtime: "litert", "tensorflow", "tflite_runtime", or None for the first one installed.
      **arguments: passed on, for example `num_threads`.

    Returns:
      The runtime's own Interpreter, before `allocate_tensors()`.

    Raises:
      TypeError: a path that is no path, or content that is not bytes.
      ValueError: not a .tflite file, or a malformed post-processing node.
      FileNotFoundError: no such file.
      ImportError: no such runtime.
    """
    if (model_path is None) == (model_content is None):
        raise ValueError("expected either model_path or model_content")
    if model_content is not None and not isinstance(model_content, bytes):
        raise TypeError(f"model_content is a {type(model_content).__name__}, expected bytes")
    if model_path is not None and not isinstance(os.fspath(model_path), str):
        raise TypeError(f"model_path is {model_path!r}, expected a str or a path of str")
    source = model_content if model_content is not None else os.fspath(model_path or "")
    check_openable(ModelFile.read(source))
    interpreter = stock_interpreter(source, runtime=runtime, **arguments)
    register_ops(interpreter)
    return interpreter


def stock_interpreter(source: str | bytes, *, runtime: str | None = None, **arguments: Any) -> Any:
    """An interpreter of an installed runtime as it is.

    Args:
      source: the path of a .tflite file, or its bytes.
      runtime: as for `Interpreter`; likewise the other arguments, and the errors.
    """
    if isinstance(source, str) and not _is_unicode(source):
        # The runtimes take paths in UTF-8 only.
        source = read_regular(source)
    key = "model_path" if isinstance(source, str) else "model_content"
    with names_in_words():
        return runtime_module(runtime).Interpreter(**{key: source}, **arguments)


@contextlib.contextmanager
def names_in_words() -> Iterator[None]:
    """Within it a name that a runtime's Python interface cannot pass on is told in words."""
    try:
        yield
    except UnicodeDecodeError as error:
        raise ValueError(
            f"the runtime has {error.object[:80]!r} to tell, with a name in it that is not UTF-8, "
            "expected names in UTF-8"
        ) from error


def _is_unicode(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def check_openable(model: ModelFile) -> None:
    """Raises ValueError for a post-processing node on which a runtime may crash before detops is
    asked: its option block cannot be read, or its outputs are constants or what it reads; for zero
    points that runtimes would cut; and for what they crash on whatever the nodes are: no
    subgraphs, some that run one another in a circle, an operator without an output."""
    if not model.subgraphs:
        raise ValueError("the model has no subgraphs, expected one at least")
    for finding in find_file_faults(model):
        raise ValueError(finding.text)
    nodes = model.postprocess_operators()
    for graph, operator in nodes:
        faults = _core.read_options(operator.custom_options or b"")[1]
        faults += output_faults(graph, operator)
        if faults:
            raise ValueError("; ".join(message for _, message in faults))
    for graph in {graph.index: graph for graph, _ in nodes}.values():
        for tensor in graph.tensors:
            wide = wide_zero_point(tensor.quantization) if tensor.quantization else []
            if wide:
                raise ValueError(f"tensor {tensor.index} {tensor.name!r} {wide[0]}")


def load_delegate(runtime: str | None = None) -> Any:
    """The detops delegate as the runtime's own delegate object, for `experimental_delegates=[...]`.

    Args:
      runtime: as for `Interpreter`.

    Raises:
      ImportError: no such runtime.
    """
    return runtime_module(runtime).load_delegate(str(delegate_path()))
