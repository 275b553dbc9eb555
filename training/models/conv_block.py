# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Convolution, batch norm, activation: the unit that is trained in float and exported in 8 bits.

Source: Krishnamoorthi 2018, "Quantizing deep convolutional networks for efficient inference: A
whitepaper", section 3.2.2 (batch norm with correction and freezing).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from training.models.activation_range import ActivationRange
from training.models.batch_statistics import batch_statistics
from training.models.initial_weights import He, Normal
from training.models.phase import Phase

EPSILON = 1e-3
_ACTIVATIONS = {"relu6": ops.relu6, "relu": ops.relu, None: None}
# A channel of nearly zero weights would get a scale so small that its bias leaves 32 bits.
_SMALLEST_CHANNEL = 1e-4
_SMALLEST_RANGE = 1e-6
# The TFLite converter merges equal kernels, and quantises anew, for each channel, one that several
# convolutions read. Ranges that differ by this part of them keep the kernels apart.
_SHARE = 2.0**-20


class ConvBlock(keras.layers.Layer):  # type: ignore[misc]
    """A convolution with batch norm or a bias, an activation, and the range of the result.

    Weights are quantised as inference will see them, folded with batch norm's long-term statistics.
    While batch norm is live the result is corrected to the statistics of the batch, which are those
    of the unquantised convolution.

    Args:
      phase: the switches of the detector.
      filters: output channels; of a depthwise convolution those of its input.
      kernel_size: side of the kernel.
      strides: in both directions.
      depthwise: one kernel for each channel.
      activation: "relu6", "relu" or None.
      batch_norm: without it there is a bias.
      padding: "same", or "valid" where the caller pads.
      observed: whether the result has a range of its own; not where one follows a later
        concatenation or sum.
      per_channel: one scale for each output channel of the weights; else one for all.
      weight_decay: factor of the L2 penalty of the kernel.
      momentum: of batch norm's moving averages.
      synchronized: batch norm takes the statistics of the whole batch where replicas share it; else
        each replica those of its own rows.
      initializer: of the kernel; None for that of He et al., of each channel if depthwise.
      bias: the bias starts here; None leaves it out.
      weights_of: the block, built before this one, whose kernel and bias this one uses: the same
        convolution with a batch norm and a range of its own.
    """

    def __init__(
        self,
        phase: Phase,
        filters: int,
        kernel_size: int = 1,
        *,
        strides: int = 1,
        padding: str = "same",
        depthwise: bool = False,
        activation: str | None = "relu6",
        batch_norm: bool = True,
        observed: bool = True,
        per_channel: bool = False,
        weight_decay: float = 0.0,
        momentum: float = 0.99,
        synchronized: bool = True,
        initializer: Any = None,
        bias: float | None = 0.0,
        weights_of: ConvBlock | None = None,
        name: str | None = None,
    ) -> None:
        # Weights are folded and quantised in float32, and cast for the convolution alone.
        super().__init__(name=name, autocast=False)
        self.phase = phase
        self.filters, self.kernel_size, self.strides = filters, kernel_size, strides
        self.depthwise, self.batch_norm, self.per_channel = depthwise, batch_norm, per_channel
        self.padding, self.momentum, self.synchronized = padding, momentum, synchronized
        self.activation = _ACTIVATIONS[activation]
        # A depthwise kernel reads one channel; its shape tells of all.
        usual = Normal(math.sqrt(2.0) / kernel_size) if depthwise else He()
        self._initializer = usual if initializer is None else initializer
        self._regularizer = keras.regularizers.L2(weight_decay) if weight_decay else None
        self._bias = bias
        # In a function: Keras would take a block that is an attribute for a part of this one.
        self._owner: Callable[[], ConvBlock] = lambda: weights_of or self
        self._shares = 0
        self._share = 0 if weights_of is None else weights_of.next_share()
        lowest = None if activation is None else 0.0
        self.range = ActivationRange(phase, lowest=lowest, name="range") if observed else None

    def build(self, input_shape: Any) -> None:
        """Makes the variables for inputs [B, H, W, C]."""
        size, channels = self.kernel_size, int(input_shape[-1])
        last = (channels, 1) if self.depthwise else (channels, self.filters)
        self.filters = channels if self.depthwise else self.filters
        shared = self._owner() is not self
        self.kernel: Any
        self.bias: Any
        if shared:
            self.kernel = self._owner().kernel
        else:
            self.kernel = self.add_weight(
                shape=(size, size, *last),
                initializer=self._initializer,
                # Decaying a depthwise kernel costs accuracy (Howard et al. 2017, section 3.2).
                regularizer=None if self.depthwise else self._regularizer,
                name="kernel",
            )
        if self.batch_norm:
            self._add_batch_norm()
        elif shared:
            self.bias = self._owner().bias
        elif self._bias is None:
            self.bias = None
        else:
            start = keras.initializers.Constant(self._bias)
            self.bias = self.add_weight(shape=(self.filters,), initializer=start, name="bias")

    def _add_batch_norm(self) -> None:
        for name, start, trainable in (
            ("gamma", "ones", True),
            ("beta", "zeros", True),
            ("moving_mean", "zeros", False),
            ("moving_variance", "ones", False),
        ):
            weight = self.add_weight(
                shape=(self.filters,), initializer=start, trainable=trainable, name=name
            )
            setattr(self, name, weight)

    def call(self, inputs: Any, training: bool = False) -> Any:
        """[B, H, W, C] to [B, ceil(H / strides), ceil(W / strides), filters], or less, unpadded."""
        if self.phase.measure is not None and self.batch_norm:
            self.phase.measure(self, self._convolve(inputs, self.kernel))
        if training and self.batch_norm and not self.phase.batch_norm_frozen:
            outputs = self._with_batch_statistics(inputs)
        else:
            kernel, bias = self.folded()
            outputs = self._add(self._convolve(inputs, self._quantized(kernel)), bias)
        if self.activation is not None:
            outputs = self.activation(outputs)
        return outputs if self.range is None else self.range(outputs, training=training)

    def next_share(self) -> int:
        """A number for each block that uses the weights of this one, from 1."""
        self._shares += 1
        return self._shares

    def folded(self) -> tuple[Any, Any]:
        """Kernel and bias of inference, float32, with batch norm in them."""
        if not self.batch_norm:
            bias = ops.zeros(self.filters) if self.bias is None else self.bias
            return ops.convert_to_tensor(self.kernel), ops.convert_to_tensor(bias)
        factor = self.gamma / ops.sqrt(self.moving_variance + EPSILON)
        return self.kernel * self._spread(factor), self.beta - self.moving_mean * factor

    def _with_batch_statistics(self, inputs: Any) -> Any:
        plain = ops.cast(self._convolve(inputs, self.kernel), "float32")
        (mean, variance), followed = batch_statistics(plain, synchronized=self.synchronized)
        self._follow(self.moving_mean, followed[0])
        self._follow(self.moving_variance, followed[1])
        deviation = ops.sqrt(variance + EPSILON)
        shift = self.beta - self.gamma * mean / deviation
        if not self.phase.quantizes:
            return self._add(plain * (self.gamma / deviation), shift)
        long_term = ops.sqrt(self.moving_variance + EPSILON)
        kernel = self._quantized(self.kernel * self._spread(self.gamma / long_term))
        outputs = ops.cast(self._convolve(inputs, kernel), "float32")
        return self._add(outputs * (long_term / deviation), shift)

    def _follow(self, average: Any, seen: Any) -> None:
        seen = ops.stop_gradient(seen)
        average.assign(average * self.momentum + seen * (1.0 - self.momentum))

    def _spread(self, factor: Any) -> Any:
        """A number for each output channel, in a shape that multiplies the kernel."""
        return ops.expand_dims(factor, -1) if self.depthwise else factor

    def _convolve(self, inputs: Any, kernel: Any) -> Any:
        convolve = ops.depthwise_conv if self.depthwise else ops.conv
        dtype = self.compute_dtype
        return convolve(
            ops.cast(inputs, dtype),
            ops.cast(kernel, dtype),
            strides=self.strides,
            padding=self.padding,
        )

    def _add(self, outputs: Any, bias: Any) -> Any:
        return ops.cast(outputs + ops.cast(bias, outputs.dtype), self.compute_dtype)

    def _quantized(self, kernel: Any) -> Any:
        """8 bits, symmetric, without -128 (Jacob et al. 2018, section 3)."""
        if not self.phase.quantizes:
            return kernel
        shape = kernel.shape
        if self.depthwise:
            # The channel last, where the fake-quantised tensor needs it.
            kernel = ops.reshape(kernel, shape[:3])
        largest = ops.stop_gradient(self._largest(kernel)) * (1.0 + self._share * _SHARE)
        quantized = keras.quantizers.fake_quant_with_min_max_vars(
            kernel,
            -largest,
            largest,
            narrow_range=True,
            axis=len(kernel.shape) - 1 if self.per_channel else None,
        )
        return ops.reshape(quantized, shape)

    def _largest(self, kernel: Any) -> Any:
        size = ops.abs(kernel)
        of_all = ops.maximum(ops.max(size), _SMALLEST_RANGE)
        if not self.per_channel:
            return of_all
        of_each = ops.max(size, axis=tuple(range(len(kernel.shape) - 1)))
        return ops.maximum(of_each, of_all * _SMALLEST_CHANNEL)
