# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Finished detector files: the network, the op behind it, metadata and labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from detops import Options
from detops.convert import add_metadata, attach_postprocess, rewrite_quantized, tidy
from training.export.network import convert_network
from training.models.detector import PIXEL_MEAN, PIXEL_SCALE

KINDS = ("float", "int8", "uint8", "dequantize")
"""float: float32 throughout. int8: the op reads the network's int8 numbers, for detops. uint8: its
twin, whose scores reach the op as uint8, for every stock runtime. dequantize: float32 numbers reach
the op of the int8 network."""


def is_quantized(kind: str) -> bool:
    """Whether a kind holds the fake-quantised model.

    Raises:
      ValueError: there is no such kind.
    """
    if kind not in KINDS:
        raise ValueError(f"kind is {kind!r}, expected one of {', '.join(KINDS)}")
    return kind != "float"


def export_options(num_classes: int, **changes: Any) -> Options:
    """The op's options of the usual mobile files: 10 detections, fast suppression."""
    return Options(num_classes=num_classes, nms_score_threshold=1e-8).replace(**changes)


def export_detector(
    model: Any, options: Options, *, labels: Sequence[str], kind: str = "int8"
) -> bytes:
    """A .tflite file of a trained detector.

    Args:
      model: a `training.models.Detector`.
      options: of the op.
      labels: one for each class, without a background.
      kind: one of `KINDS`.

    Raises:
      ValueError: options or labels do not fit the model, or it cannot be quantised.
    """
    network = convert_network(model, quantized=is_quantized(kind))
    return finish(network, model, options, labels=labels, kind=kind)


def finish(
    network: bytes, model: Any, options: Options, *, labels: Sequence[str], kind: str
) -> bytes:
    """The same for a network that has been converted already, which takes most of the time."""
    if options.num_classes != model.num_classes:
        raise ValueError(
            f"options.num_classes is {options.num_classes}, the model has {model.num_classes}"
        )
    # By position: with four classes the shapes do not tell.
    file = attach_postprocess(network, model.anchors, options, boxes=0, scores=1)
    if kind in ("int8", "uint8"):
        # The pixels' quantisation and everything else was run before and after by the gate.
        file = rewrite_quantized(file, into=kind, verify=False)
    file = tidy(file, verify=False)
    return add_metadata(
        file,
        labels=labels,
        input_mean=PIXEL_MEAN,
        input_std=PIXEL_SCALE,
        description=f"Finds {', '.join(labels[:5])}{' and others' if len(labels) > 5 else ''}",
    )
