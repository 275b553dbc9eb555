# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Puts the op into an interpreter, by a delegate: a resolver is out of Python's reach.

A TFLite converter is handed on to `detops.tf`, which alone knows TensorFlow.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from detops import _core
from detops.options import OP_NAME

# Where a registration is remembered, so that a second one finds the first.
_ATTRIBUTE = "_detops_registration"


@dataclass(frozen=True)
class Registration:
    """What `register_ops` did to an interpreter or a converter.

    True in a condition when detops runs at least one node of the model, or prepared a converter.
    """

    nodes: int
    """`TFLite_Detection_PostProcess` nodes that detops runs."""
    fused: tuple[str, ...] = ()
    """Nodes in front of them that disappeared into them: "DEQUANTIZE", "RESHAPE"."""
    conversion: tuple[str, ...] = field(default=(), repr=False)
    """What was done to a converter, in words; empty for an interpreter."""

    def __bool__(self) -> bool:
        return self.nodes > 0 or bool(self.conversion)

    def __str__(self) -> str:
        if self.conversion:
            return f"the converter {', '.join(self.conversion)}"
        if not self.nodes:
            return f"no {OP_NAME} node in this model: nothing to register"
        what = f"detops runs {self.nodes} {OP_NAME} node{'s' if self.nodes > 1 else ''}"
        if not self.fused:
            return f"{what}, nothing fused"
        count = f"{len(self.fused)} node{'s' if len(self.fused) > 1 else ''}"
        return f"{what}, fused {count}: {', '.join(self.fused)}"


def register_ops(target: Any) -> Registration:
    """Makes an interpreter run `TFLite_Detection_PostProcess` with detops, or a converter keep it.

    For an interpreter: best called before `allocate_tensors()`: the DEQUANTIZE nodes in front of
    the op are then fused and the op reads the quantised tensors. Called after it, the runtime's own
    delegate owns those nodes already and the op reads their float32 output; the detections are the
    same. Calling it again changes nothing and returns the first answer.

    For a converter: call it before `convert()`, which then allows custom ops, keeps the op of
    `detops.tf.detection_postprocess` and returns a file whose node has all options, static output
    shapes, and outputs in the op's order and under its names.

    Args:
      target: a `tensorflow.lite.Interpreter`, an `ai_edge_litert.interpreter.Interpreter`, or
        another interpreter with their Python interface; it keeps what it needs alive. Or a
        `tf.lite.TFLiteConverter` from any of its `from_...` functions.

    Returns:
      How many nodes detops took and what it fused, or what was done to the converter. `nodes` is 0
      for a model without the op.

    Raises:
      TypeError: the object is neither.
      ValueError: the interpreter is allocated and the model is malformed; the message names what,
        where, got and expected. Before allocation `allocate_tensors()` raises it as RuntimeError.
      RuntimeError: an array that is a view into the interpreter, from `tensor()`, is still held;
        the delegate may move what it looks at.
    """
    earlier = getattr(target, _ATTRIBUTE, None)
    if isinstance(earlier, Registration):
        return earlier
    register = _register_in_converter if _is_converter(target) else _register_in_interpreter
    registration = register(target)
    setattr(target, _ATTRIBUTE, registration)
    return registration


def _is_converter(target: Any) -> bool:
    """By name: asking TensorFlow would import it."""
    return any(
        base.__name__ == "TFLiteConverterBase" and base.__module__.startswith("tensorflow.")
        for base in type(target).__mro__
    )


def _register_in_converter(target: Any) -> Registration:
    from detops.tf.converter import prepare_converter

    return Registration(nodes=0, conversion=prepare_converter(target))


def _register_in_interpreter(target: Any) -> Registration:
    apply_delegate = _delegate_entry(target)
    handle = _delegate_of(target)
    before = handle.report()
    try:
        apply_delegate(handle._get_native_delegate_pointer())
    except (RuntimeError, ValueError) as error:
        raise ValueError(f"the interpreter refused the detops delegate: {error}") from error
    report = {key: count - before[key] for key, count in handle.report().items()}
    fused = ("DEQUANTIZE",) * report["dequantize_nodes"] + ("RESHAPE",) * report["reshape_nodes"]
    return Registration(report["postprocess_nodes"] or report["earlier_nodes"], fused)


def _delegate_entry(target: Any) -> Any:
    """The bound method of the native interpreter that applies a delegate."""
    kind = f"{type(target).__module__}.{type(target).__qualname__}"
    if isinstance(target, type):
        raise TypeError(f"register_ops takes an interpreter, got the class {target.__qualname__}")
    if not hasattr(getattr(target, "_interpreter", None), "ModifyGraphWithDelegate"):
        raise TypeError(
            "register_ops takes a tensorflow.lite.Interpreter, an "
            f"ai_edge_litert.interpreter.Interpreter or a tf.lite.TFLiteConverter, got {kind}"
        )
    # The runtimes' own guard of calls that may move tensors; it counts references to the native
    # interpreter, so none may be held yet.
    getattr(target, "_ensure_safe", lambda: None)()
    return target._interpreter.ModifyGraphWithDelegate


def _delegate_of(target: Any) -> _core.DelegateHandle:
    """The delegate of an interpreter, stored where it stores its own and lets go of them last.

    One that an earlier call left is taken again: a runtime remembers a delegate it has refused.
    """
    delegates = list(getattr(target, "_delegates", None) or [])
    for delegate in delegates:
        if isinstance(delegate, _core.DelegateHandle):
            return delegate
    handle = _core.DelegateHandle()
    # Before it is applied: an interpreter must not outlive a delegate it has seen.
    target._delegates = [*delegates, handle]
    return handle


def delegate_path() -> Path:
    """The shared library that holds the delegate, for programs that load delegates by file.

    It exports `tflite_plugin_create_delegate` and `tflite_plugin_destroy_delegate`, as
    `load_delegate` of both runtimes, `benchmark_model --external_delegate_path` and C++ expect.

    Raises:
      FileNotFoundError: the package was installed without the library.
    """
    folder = Path(__file__).parent
    for name in ("libdetops.so", "libdetops.dylib", "detops.dll"):
        path = folder / name
        if path.exists():
            return path
    raise FileNotFoundError(f"no detops library in {folder}; reinstall detops")
