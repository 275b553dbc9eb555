# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Finds a trained detector: in the folder of a run, or a file of weights and what belongs to it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from detops.labels import read_labels
from training.config import Config, load_config
from training.warm_start.own_weights import load_own

_WEIGHTS = "best.weights.h5"


@dataclass(frozen=True)
class TrainedModel:
    """A detector with its weights and what it was trained for."""

    model: Any
    config: Config
    labels: tuple[str, ...]
    weights: Path


def load_trained(path: Path, *, config: str = "", labels: str = "") -> TrainedModel:
    """Builds the detector of a run and loads its weights.

    Args:
      path: a run's folder, whose best.weights.h5 is taken; or a .weights.h5 file.
      config: name or file; "" for config.json beside the weights.
      labels: a file of class names; "" for labels.txt beside the weights.

    Raises:
      ValueError: something is missing, or the weights are of another detector.
      OSError: a file cannot be read.
    """
    weights = path / _WEIGHTS if path.is_dir() else path
    if not weights.is_file():
        raise ValueError(f"there are no weights {weights}, expected a run's folder or .weights.h5")
    settings = load_config(config or _beside(weights, "config.json", "--config"))
    names = tuple(read_labels(labels or _beside(weights, "labels.txt", "--labels")))
    from training.models import build_detector

    policy = keras.config.dtype_policy()
    # Whatever it was trained in: the file is float32 or 8 bits.
    keras.config.set_dtype_policy("float32")
    try:
        model = build_detector(
            architecture=settings.architecture,
            num_classes=len(names),
            image_size=settings.image_size,
            depth_multiplier=settings.depth_multiplier,
            per_channel=settings.per_channel,
            anchor_scales=settings.anchor_sizes(),
        )
    finally:
        keras.config.set_dtype_policy(policy)
    fresh = load_own(model, weights).fresh
    if fresh:
        raise ValueError(
            f"{weights} does not hold {settings.architecture} with {len(names)} classes: nothing "
            f"for {fresh[0]}"
        )
    return TrainedModel(model, settings, names, weights)


def _beside(weights: Path, name: str, option: str) -> Path:
    found = weights.parent / name
    if not found.is_file():
        raise ValueError(f"there is no {name} beside {weights}; give {option}")
    return found
