# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""The network of a detector as a .tflite file, up to where the op begins."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
from keras import ops

from detops.convert.model_edit import ModelEdit, indices, text_of
from detops.convert.raw_outputs import are_probabilities
from training.models.phase import Mode
from training.warm_start.block_weights import convolutions_of

# Of LOGISTIC's result in 8 bits, which its fixed scale of 1/256 asks for.
_SCORE_RANGE = (0.0, 255.0 / 256.0)


def convert_network(model: Any, *, quantized: bool) -> bytes:
    """Converts everything before the op.

    Args:
      model: a `training.models.Detector` with TensorFlow as Keras's backend; its mode is the same
        afterwards.
      quantized: as it was trained with fake quantisation; int8 inside, uint8 pixels in.

    Returns:
      A .tflite file: one image [1, S, S, 3], uint8, or float32 as (pixel - 128) / 128; box
      encodings float32 [1, N, 4] and scores float32 [1, N, num_classes] out, in this order.

    Raises:
      ValueError: another backend; or a range that has never been observed, for quantised files.
      FloatingPointError: a weight is not finite.
    """
    if keras.backend.backend() != "tensorflow":
        raise ValueError(
            f"Keras's backend is {keras.backend.backend()}, the converter needs tensorflow: set "
            "KERAS_BACKEND=tensorflow"
        )
    _check_finite(model)
    if quantized:
        _check_ranges(model)
    import tensorflow as tf

    mode: Mode = "quantized" if quantized else "float"
    with model.phase.in_mode(mode), _uneven_biases(model):
        function = _frozen(model, quantized)
    # The empty module says that nothing is left to be tracked.
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function], tf.Module())
    if quantized:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.inference_input_type = tf.uint8
    return _arranged(bytes(converter.convert()))


def _arranged(network: bytes) -> bytes:
    """Boxes first, since the converter does not keep the order of the outputs; and short names,
    which otherwise take a few hundred bytes for each fused tensor."""
    edit = ModelEdit(network)
    graph = edit.graphs[0]
    outputs = sorted(indices(graph.outputs), key=lambda t: are_probabilities(edit, graph, t))
    graph.outputs = np.asarray(outputs, np.int32)
    for tensor in graph.tensors:
        tensor.name = "/".join(text_of(tensor.name).partition(";")[0].split("/")[-2:])
    return edit.save()


def _frozen(model: Any, quantized: bool) -> Any:
    """The network as a concrete function whose variables have become constants."""
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import (
        convert_variables_to_constants_v2,
    )

    size = model.image_size

    def network(image: Any) -> Any:
        outputs = model.from_pixels(image)
        scores = ops.sigmoid(outputs["logits"])
        if quantized:
            scores = keras.quantizers.fake_quant_with_min_max_vars(scores, *_SCORE_RANGE)
        return outputs["box_encodings"], scores

    image = tf.TensorSpec((1, size, size, 3), tf.float32, name="image")
    traced = tf.function(network, input_signature=[image])
    return convert_variables_to_constants_v2(traced.get_concrete_function())


@contextmanager
def _uneven_biases(model: Any) -> Iterator[None]:
    """Within it no convolution has the same bias in all channels.

    The converter quantises such a bias with the scale of the first channel, whatever those of the
    others are. The heads of a fresh model are so. One last bit of one channel is enough.
    """
    changed = []
    for block in convolutions_of(model):
        bias = ops.convert_to_numpy(block.folded()[1])
        if len(bias) < 2 or bias[0] == 0 or not (bias == bias[0]).all():
            continue
        variable = block.beta if block.batch_norm else block.bias
        before = ops.convert_to_numpy(variable)
        uneven = before.copy()
        uneven[0] = np.nextafter(uneven[0], np.float32(np.inf))
        variable.assign(uneven)
        changed.append((variable, before))
    try:
        yield
    finally:
        for variable, before in changed:
            variable.assign(before)


def _check_finite(model: Any) -> None:
    for variable in model.variables:
        if not bool(ops.all(ops.isfinite(ops.cast(variable, "float32")))):
            raise FloatingPointError(f"{variable.path} holds a number that is not finite")


def _check_ranges(model: Any) -> None:
    """A range of no width would quantise everything to zero."""
    bounds = {v.path: float(ops.convert_to_numpy(v)) for v in model.variables if _is_bound(v)}
    for path, highest in bounds.items():
        owner, _, name = path.rpartition("/")
        if name == "maximum" and not highest > bounds[f"{owner}/minimum"]:
            raise ValueError(
                f"{owner} has observed nothing but {highest:g}, expected a range: a quantised file "
                "needs a model that has been trained, or come from a quantised file"
            )


def _is_bound(variable: Any) -> bool:
    path: str = variable.path
    return path.endswith(("/minimum", "/maximum"))
