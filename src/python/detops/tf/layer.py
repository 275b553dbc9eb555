# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""The op as a Keras layer."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import ArrayLike

from detops.arrays import as_float32
from detops.options import Options
from detops.tf.postprocess import FORMS, TensorDetections, check_inputs, detection_postprocess


@tf.keras.utils.register_keras_serializable(package="detops")
class DetectionPostProcess(tf.keras.layers.Layer):  # type: ignore[misc]
    """`TFLite_Detection_PostProcess` as the last layer of a Keras model on TensorFlow.

    `layer([box_encodings, scores])` takes float32 [B, N, K >= 4] and [B, N, classes] and returns
    `TensorDetections`, as `detection_postprocess` does. The layer has no weights and computes in
    float32 whatever the policy is.

    Args:
      options: the options of the op.
      anchors: [N, 4] numbers, centre y, centre x, height, width; part of the layer.
      op: "composite" or "node", see `detection_postprocess`.
      **arguments: passed to `keras.layers.Layer`, for example `name`.

    Raises:
      TypeError: options of another type, or anchors that are not numbers.
      ValueError: anchors that are not [N, 4], or another `op`. Inputs are checked when called.
    """

    def __init__(
        self, options: Options, anchors: ArrayLike, *, op: str = "composite", **arguments: Any
    ) -> None:
        if not isinstance(options, Options):
            raise TypeError(f"options is a {type(options).__name__}, expected detops.Options")
        if op not in FORMS:
            raise ValueError(f"op is {op!r}, expected one of {', '.join(FORMS)}")
        arguments.setdefault("dtype", "float32")
        super().__init__(**arguments)
        self.options = options
        self.anchors = as_float32("anchors", anchors, (None, 4))
        self.op = op

    def call(self, inputs: Any) -> TensorDetections:
        """The detections of [box_encodings, scores]."""
        boxes, scores = inputs
        return detection_postprocess(boxes, scores, self.anchors, self.options, op=self.op)

    def compute_output_spec(self, inputs: Any, **_: Any) -> TensorDetections:
        """Symbolic outputs, without tracing the body."""
        boxes, scores = inputs
        check_inputs(boxes.shape, scores.shape, self.anchors.shape, self.options)
        slots = self.options.max_detections * self.options.max_classes_per_detection
        batch = boxes.shape[0]
        shapes = ((batch, slots, 4), (batch, slots), (batch, slots), (batch,))
        return TensorDetections(*(tf.keras.KerasTensor(shape, dtype="float32") for shape in shapes))

    def get_config(self) -> dict[str, Any]:
        """What Keras stores to make the layer again."""
        return {
            **super().get_config(),
            "options": dataclasses.asdict(self.options),
            "anchors": np.asarray(self.anchors).tolist(),
            "op": self.op,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> DetectionPostProcess:
        """The layer of a stored configuration."""
        return cls(**{**config, "options": Options(**config["options"])})
