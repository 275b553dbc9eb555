# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""LiteRT's CompiledModel through its C interface, with detops as the custom op kernel.

The wheel's Python class takes no custom op kernels, but its library exports everything that a C++
program would call, so this calls exactly that.
"""

from __future__ import annotations

import ctypes
import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import detops

Array = np.ndarray[Any, Any]
POINTER = ctypes.c_void_p
CPU, READ, WRITE = 1, 0, 1
TYPES = {"float32": 1, "int32": 2, "uint8": 3, "int8": 9}


class Layout(ctypes.Structure):
    _fields_ = (
        ("rank_and_flags", ctypes.c_uint32),
        ("dims", ctypes.c_int32 * 8),
        ("strides", ctypes.c_uint32 * 8),
    )


class RankedType(ctypes.Structure):
    _fields_ = (("element", ctypes.c_int), ("layout", Layout))

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.layout.dims[: self.layout.rank_and_flags & 0x7F])


class Functions(ctypes.Structure):
    _fields_ = (("get_tensor_type", POINTER), ("lock", POINTER), ("unlock", POINTER))


def library_path() -> Path | None:
    """LiteRT's own shared library, or None where there is none that takes custom op kernels."""
    package = importlib.util.find_spec("ai_edge_litert")
    if package is None or package.origin is None:
        return None
    path = Path(package.origin).parent / "libLiteRt.so"
    return path if path.is_file() else None


class RuntimeFailed(Exception):
    """A function of LiteRT did not return 0."""


class CompiledModel:
    """A model compiled for the CPU, whose post-processing node is detops's kernel."""

    def __init__(self, model: Path, quantizations: Mapping[int, tuple[str, float, int]]) -> None:
        path = library_path()
        assert path is not None
        self._litert = ctypes.CDLL(str(path))
        self._detops = ctypes.CDLL(str(detops.delegate_path()))
        self._detops.detops_litert_kernel_message.restype = ctypes.c_char_p
        self._detops.detops_litert_kernel_interface.restype = POINTER
        self._kernel = self._make_kernel(quantizations)
        self._environment, self._model, options = POINTER(), POINTER(), POINTER()
        self._compiled = POINTER()
        self._call("CreateEnvironment", 0, None, ctypes.byref(self._environment))
        file = str(model).encode()
        self._call("CreateModelFromFile", self._environment, file, ctypes.byref(self._model))
        self._call("CreateOptions", ctypes.byref(options))
        self._call("SetOptionsHardwareAccelerators", options, CPU)
        interface = POINTER(self._detops.detops_litert_kernel_interface())
        name = b"TFLite_Detection_PostProcess"
        self._call("AddCustomOpKernelOption", options, name, 1, interface, self._kernel)
        compiled = ctypes.byref(self._compiled)
        self._call("CreateCompiledModel", self._environment, self._model, options, compiled)
        self._litert.LiteRtDestroyOptions(options)

    def _make_kernel(self, quantizations: Mapping[int, tuple[str, float, int]]) -> POINTER:
        address = {
            name: ctypes.cast(getattr(self._litert, f"LiteRt{function}"), POINTER)
            for name, function in (
                ("get_tensor_type", "GetTensorBufferTensorType"),
                ("lock", "LockTensorBuffer"),
                ("unlock", "UnlockTensorBuffer"),
            )
        }
        functions, kernel = Functions(**address), POINTER()
        made = self._detops.detops_litert_kernel_create(
            ctypes.byref(functions), ctypes.byref(kernel), None, ctypes.c_size_t(0)
        )
        assert made == 0
        for number, quantization in quantizations.items():
            self._declare(kernel, number, *quantization)
        return kernel

    def declare(self, number: int, dtype: str, scale: float, zero_point: int) -> None:
        """Says the type and quantisation of an input when the model is compiled already."""
        self._declare(self._kernel, number, dtype, scale, zero_point)

    def _declare(
        self, kernel: POINTER, number: int, dtype: str, scale: float, zero_point: int
    ) -> None:
        assert not self._detops.detops_litert_kernel_set_input(
            kernel, number, TYPES[dtype], ctypes.c_float(scale), zero_point, None, 0
        )

    @property
    def message(self) -> str:
        """What detops says of the last preparation or run."""
        text = self._detops.detops_litert_kernel_message(self._kernel)
        assert isinstance(text, bytes)
        return text.decode()

    def run(self, inputs: Sequence[Array]) -> dict[str, Array]:
        """Outputs by name."""
        signature, count = POINTER(), ctypes.c_size_t()
        self._call("GetModelSignature", self._model, ctypes.c_size_t(0), ctypes.byref(signature))
        self._call("GetNumSignatureOutputs", signature, ctypes.byref(count))
        buffers = [self._buffer(signature, "Input", i) for i in range(len(inputs))]
        for (buffer, _, _), array in zip(buffers, inputs, strict=True):
            address = POINTER()
            self._call("LockTensorBuffer", buffer, ctypes.byref(address), WRITE)
            ctypes.memmove(address, array.tobytes(), array.nbytes)
            self._call("UnlockTensorBuffer", buffer)
        # The shapes of outputs may be known only when all is prepared.
        shapes = (Layout * count.value)()
        layouts = ("GetCompiledModelOutputTensorLayouts", self._compiled, ctypes.c_size_t(0))
        self._call(*layouts, count, shapes, ctypes.c_bool(True))
        outputs = [self._buffer(signature, "Output", i, shapes[i]) for i in range(count.value)]
        self._call(
            "RunCompiledModel",
            self._compiled,
            ctypes.c_size_t(0),
            ctypes.c_size_t(len(inputs)),
            (POINTER * len(inputs))(*[buffer for buffer, _, _ in buffers]),
            count,
            (POINTER * count.value)(*[buffer for buffer, _, _ in outputs]),
        )
        found = {}
        for buffer, shape, name in outputs:
            address = POINTER()
            self._call("LockTensorBuffer", buffer, ctypes.byref(address), READ)
            size = int(np.prod(shape))
            values = (ctypes.c_float * size).from_address(address.value or 0) if size else []
            found[name] = np.array(values, np.float32).reshape(shape)
            self._call("UnlockTensorBuffer", buffer)
        for buffer, _, _ in [*buffers, *outputs]:
            self._litert.LiteRtDestroyTensorBuffer(buffer)
        return found

    def _buffer(
        self, signature: Any, kind: str, number: int, layout: Layout | None = None
    ) -> tuple[POINTER, tuple[int, ...], str]:
        index = ctypes.c_size_t(number)
        tensor, ranked, needed = POINTER(), RankedType(), POINTER()
        name, buffer = ctypes.c_char_p(), POINTER()
        self._call(f"GetSignature{kind}TensorByIndex", signature, index, ctypes.byref(tensor))
        self._call(f"GetSignature{kind}Name", signature, index, ctypes.byref(name))
        self._call("GetRankedTensorType", tensor, ctypes.byref(ranked))
        if layout is not None:
            ranked.layout = layout
        requirements = f"GetCompiledModel{kind}BufferRequirements"
        first = ctypes.c_size_t(0)
        self._call(requirements, self._compiled, first, index, ctypes.byref(needed))
        self._call(
            "CreateManagedTensorBufferFromRequirements",
            self._environment,
            ctypes.byref(ranked),
            needed,
            ctypes.byref(buffer),
        )
        return buffer, ranked.shape, (name.value or b"").decode()

    def close(self) -> None:
        """Frees the model, then the kernel."""
        self._litert.LiteRtDestroyCompiledModel(self._compiled)
        self._litert.LiteRtDestroyModel(self._model)
        self._litert.LiteRtDestroyEnvironment(self._environment)
        self._detops.detops_litert_kernel_destroy(self._kernel)

    def _call(self, name: str, *arguments: Any) -> None:
        status = getattr(self._litert, f"LiteRt{name}")(*arguments)
        if status != 0:
            raise RuntimeFailed(f"LiteRt{name} returned {status}; detops: {self.message}")
