# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""A .tflite file as a graph of operators with real-valued constants."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detops.convert import read_metadata
from detops.convert.model_edit import ModelEdit
from detops.model_file import ModelFile, Operator
from training.warm_start.block_weights import BlockWeights
from training.warm_start.input_normalization import InputNormalization

_INTEGERS = {"uint8": (0, 255), "int8": (-128, 127), "int16": (-32768, 32767)}
_CONVOLUTIONS = ("CONV_2D", "DEPTHWISE_CONV_2D")
# What changes a tensor's form and not its numbers.
_CARRIERS = ("RESHAPE", "SQUEEZE", "DEQUANTIZE", "QUANTIZE", "LOGISTIC")


class TfliteGraph:
    """The main subgraph of a file.

    Raises:
      ValueError: not a .tflite file.
      OSError: it cannot be read.
      ImportError: flatbuffers or the TFLite schema is not installed.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fspath(path)
        self.file = ModelFile.read(path)
        if not self.file.subgraphs:
            raise ValueError(f"{self.path} has no subgraph")
        self.graph = self.file.subgraphs[0]
        # The options of builtin operators, which ModelFile leaves out.
        edit = ModelEdit(path)
        self._operators = edit.graphs[0].operators
        self._schema = edit.schema
        self._producers = {t: op for op in self.graph.operators for t in op.outputs}

    def convolutions(self) -> list[Operator]:
        """All convolutions in the order in which they are computed."""
        return [op for op in self.graph.operators if op.name in _CONVOLUTIONS]

    def producer(self, tensor: int) -> Operator | None:
        """What computes a tensor."""
        return self._producers.get(tensor)

    def before_carriers(self, tensor: int) -> int:
        """Steps back over reshapes, changes of type and the sigmoid."""
        operator = self.producer(tensor)
        while operator is not None and operator.name in _CARRIERS:
            tensor = operator.inputs[0]
            operator = self.producer(tensor)
        return tensor

    def value(self, tensor: int) -> NDArray[np.float32]:
        """The real numbers of a constant.

        Raises:
          ValueError: it is none.
        """
        entry = self.graph.tensors[tensor]
        found = entry.constant()
        if found is None:
            producer = self.producer(tensor)
            if producer is not None and producer.name == "DEQUANTIZE":
                return self.value(producer.inputs[0])
            raise ValueError(f"{self.path}: tensor {tensor} {entry.name!r} is not a constant")
        if entry.quantization is None:
            return found.astype(np.float32)
        shape = [1] * found.ndim
        scales = np.asarray(entry.quantization.scales, np.float64)
        if scales.size > 1:
            shape[entry.quantization.axis] = scales.size
        points = np.asarray(entry.quantization.zero_points or (0,), np.float64)
        points = points.reshape(shape if points.size > 1 else [1] * found.ndim)
        real = (found.astype(np.float64) - points) * scales.reshape(shape)
        return real.astype(np.float32)

    def quantized_range(self, tensor: int) -> tuple[float, float] | None:
        """The lowest and highest number that an 8-bit tensor can hold."""
        entry = self.graph.tensors[tensor]
        limits, quantization = _INTEGERS.get(entry.dtype), entry.quantization
        if limits is None or quantization is None or len(quantization.scales) != 1:
            return None
        point, scale = (quantization.zero_points or (0,))[0], quantization.scales[0]
        return (limits[0] - point) * scale, (limits[1] - point) * scale

    def normalization(self) -> InputNormalization:
        """What the network sees of a pixel.

        Raises:
          ValueError: the file does not say.
        """
        entry = self.graph.tensors[self.graph.inputs[0]]
        if entry.dtype in ("uint8", "int8") and entry.quantization is not None:
            point = (entry.quantization.zero_points or (0,))[0]
            mean = point + (128 if entry.dtype == "int8" else 0)
            return InputNormalization((mean,), (1.0 / entry.quantization.scales[0],))
        metadata = read_metadata(self.path)
        if metadata is None or not metadata.input_std:
            raise ValueError(
                f"{self.path}: input {entry.name!r} is {entry.dtype} and no metadata says its mean "
                "and std, expected a quantised input or metadata"
            )
        return InputNormalization(metadata.input_mean, metadata.input_std)

    def block_weights(self, operator: Operator) -> BlockWeights:
        """The weights of a convolution.

        Raises:
          ValueError: it is not padded to "same", is dilated or grouped, or its weights are no
            constants.
        """
        where = f"node {operator.index}, {operator.name} {self._name(operator)!r},"
        options = self._operators[operator.index].builtinOptions
        depthwise = operator.name == "DEPTHWISE_CONV_2D"
        kernel = self.value(operator.inputs[1])
        # Stored as [outputs, h, w, inputs], or [1, h, w, channels].
        kernel = np.ascontiguousarray(np.moveaxis(kernel, 0, -1))
        channels = self.graph.tensors[operator.inputs[0]].shape[-1]
        if kernel.shape[2] != channels:
            raise ValueError(
                f"{self.path}: {where} has kernel {list(kernel.shape)} for {channels} inputs, "
                "expected one of as many"
            )
        self._check_options(where, options, kernel.shape)
        outputs = kernel.shape[2 if depthwise else 3]
        has_bias = len(operator.inputs) > 2 and operator.inputs[2] >= 0
        bias = self.value(operator.inputs[2]) if has_bias else np.zeros(outputs, np.float32)
        return BlockWeights.folded(
            where.rstrip(","),
            kernel,
            bias,
            strides=int(options.strideH),
            clamp=self._clamp(where, options),
            output_range=self.quantized_range(operator.outputs[0]),
        )

    def _check_options(self, where: str, options: Any, kernel: tuple[int, ...]) -> None:
        strides = {int(options.strideH), int(options.strideW)}
        dilations = {int(options.dilationHFactor), int(options.dilationWFactor)}
        if len(strides) != 1 or dilations != {1} or kernel[0] != kernel[1]:
            raise ValueError(
                f"{self.path}: {where} has kernel {list(kernel[:2])}, strides {sorted(strides)} "
                f"and dilations {sorted(dilations)}, expected a square without dilation"
            )
        # Without a border to fill, both kinds are the same.
        if options.padding != self._schema.Padding.SAME and kernel[0] > 1:
            raise ValueError(f"{self.path}: {where} is padded to VALID, expected SAME")

    def _clamp(self, where: str, options: Any) -> tuple[float, float]:
        kinds = self._schema.ActivationFunctionType
        clamps = {
            kinds.NONE: (-np.inf, np.inf),
            kinds.RELU: (0.0, np.inf),
            kinds.RELU6: (0.0, 6.0),
        }
        if options.fusedActivationFunction not in clamps:
            raise ValueError(
                f"{self.path}: {where} has activation {options.fusedActivationFunction}, expected "
                "none, RELU or RELU6"
            )
        return clamps[options.fusedActivationFunction]

    def _name(self, operator: Operator) -> str:
        return self.graph.tensors[operator.outputs[0]].name
