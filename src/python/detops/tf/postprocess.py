# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""The op as a TensorFlow function that the converter turns into the custom op."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import tensorflow as tf

from detops import _core
from detops.options import Options
from detops.tf import reference
from detops.tf.op_definition import composite_signature, create_node

FORMS = ("composite", "node")


class TensorDetections(NamedTuple):
    """The four outputs of the op as float32 tensors, in the op's order; M = max_detections *
    max_classes_per_detection, slots past the count are zero."""

    detection_boxes: Any
    """[B, M, 4]: ymin, xmin, ymax, xmax."""
    detection_classes: Any
    """[B, M]: 0-based, without the background."""
    detection_scores: Any
    """[B, M]."""
    num_detections: Any
    """[B]: kept anchors in fast mode, detections in regular mode."""


def detection_postprocess(
    box_encodings: Any, scores: Any, anchors: Any, options: Options, *, op: str = "composite"
) -> TensorDetections:
    """`TFLite_Detection_PostProcess` in a TensorFlow model.

    Keras 3 symbolic inputs make a `DetectionPostProcess` layer. Call
    `detops.register_ops(converter)` before `converter.convert()`: it lets the
    op through and completes it in the file.

    Args:
      box_encodings: float32 [B, N, K >= 4], order y, x, h, w; columns past 4 are skipped. Only B
        may be unknown.
      scores: float32 [B, N, num_classes], or one more column in front for the background.
      anchors: float32 [N, 4], centre y, centre x, height, width.
      options: the options of the op.
      op: "composite" runs in TensorFlow, eagerly and in graphs, with the op's detections within
        rounding for finite inputs, and converts to the op with float32 or dequantised inputs.
        "node" converts only; the quantiser of a quantisation-aware model then feeds the op int8
        boxes, scores and anchors, which stock cannot run and detops can.

    Returns:
      The four outputs, of static shape but for an unknown B.

    Raises:
      TypeError: inputs that are not float32, or options that are not of their types.
      ValueError: shapes or options that do not fit, or another `op`; the message says which.
      RuntimeError: `op="node"` outside a graph.
    """
    if op not in FORMS:
        raise ValueError(f"op is {op!r}, expected one of {', '.join(FORMS)}")
    if isinstance(box_encodings, tf.keras.KerasTensor):
        from detops.tf.layer import DetectionPostProcess

        found: TensorDetections = DetectionPostProcess(options, anchors, op=op)(
            [box_encodings, scores]
        )
        return found
    inputs = (
        _as_tensor("box_encodings", box_encodings),
        _as_tensor("scores", scores),
        _as_tensor("anchors", anchors),
    )
    boxes_shape, scores_shape, anchors_shape = (tensor.shape for tensor in inputs)
    check_inputs(boxes_shape, scores_shape, anchors_shape, options)
    outputs = create_node(*inputs, options) if op == "node" else _composite(options)(*inputs)
    return TensorDetections(*outputs)


def _as_tensor(name: str, value: Any) -> Any:
    tensor = tf.convert_to_tensor(value)
    if tensor.dtype != tf.float32:
        raise TypeError(f"{name} has type {tensor.dtype.name}, expected float32")
    return tensor


def check_inputs(boxes: Any, scores: Any, anchors: Any, options: Options) -> None:
    """The op's own checks on static shapes, of which only the batch may be unknown."""
    if not isinstance(options, Options):
        raise TypeError(f"options is a {type(options).__name__}, expected detops.Options")
    described = [
        _describe("box_encodings", boxes, 3, "[B, N, K >= 4]"),
        _describe("scores", scores, 3, "[B, N, classes]"),
        _describe("anchors", anchors, 2, "[N, 4]"),
    ]
    if tf.TensorShape(boxes)[0] is None or tf.TensorShape(scores)[0] is None:
        described[0][1][0] = described[1][1][0] = 1
    faults = _core.check(options, *described)
    if faults:
        raise ValueError("; ".join(message for _, message in faults))


def _describe(name: str, shape: Any, rank: int, expected: str) -> _core.Description:
    sizes = tf.TensorShape(shape)
    first_known = 1 if rank == 3 else 0
    if sizes.rank != rank or None in sizes.as_list()[first_known:]:
        what = "where only B may be unknown" if first_known else "all known"
        raise ValueError(f"{name} has shape {sizes}, expected {expected}, {what}")
    return "float32", [size or 0 for size in sizes.as_list()], [], 0


@functools.lru_cache(maxsize=64)
def _composite(options: Options) -> Any:
    """The function whose name and attributes tell the converter which op it stands for."""

    # One trace for each set of shapes is wanted: the outputs' static shapes depend on them.
    def TFLite_Detection_PostProcess(box_encodings: Any, scores: Any, anchors: Any) -> Any:
        return reference.detections(box_encodings, scores, anchors, options)

    return tf.function(
        TFLite_Detection_PostProcess,
        experimental_implements=composite_signature(options),
        autograph=False,
    )
