# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Annotated pictures for training: read, checked, augmented, batched.

    source = open_source("pets", label_from="file_name")
    for images, truth in training_batches(source, image_size=300, batch_size=8, seed=0):
        ...

Pascal VOC XML, COCO JSON and TFRecords with the Object Detection API's keys are read. Boxes are
ymin, xmin, ymax, xmax as fractions of the picture, classes are numbered from 0. From the command
line: `python -m training.data --help`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from training.data.evaluation_pipeline import evaluation_batches
    from training.data.example import Example, RecordImage
    from training.data.opening import open_source
    from training.data.pipeline import training_batches
    from training.data.problems import Problems
    from training.data.source import Source

__all__ = [
    "Example",
    "Problems",
    "RecordImage",
    "Source",
    "evaluation_batches",
    "open_source",
    "training_batches",
]

_MODULES = {
    "Example": "example",
    "Problems": "problems",
    "RecordImage": "example",
    "Source": "source",
    "evaluation_batches": "evaluation_pipeline",
    "open_source": "opening",
    "training_batches": "pipeline",
}


def __getattr__(name: str) -> Any:
    # On first use: TensorFlow takes seconds to import, `--help` and a mistyped command should not.
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
