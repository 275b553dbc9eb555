# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""One function for every kind of file that a detector can begin from."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Any

from training.warm_start.calibration import calibrate_batch_norm
from training.warm_start.load_report import LoadReport


def load(model: Any, path: str | os.PathLike[str], images: Any = None) -> LoadReport:
    """Gives a detector the weights of a file, as many as it has.

    * .weights.h5 of one of our own runs: all, without the class heads where the classes are others.
    * .weights.h5 or .h5 of keras.applications, or .npz of its arrays: the backbone.
    * .tflite: the backbone from a classifier, everything from an SSD detector; activation ranges
      come along, so such a model can be quantised at once.

    The input's normalisation is made ours, (pixel - 128) / 128: a difference goes into the first
    convolution.

    Args:
      model: a `training.models.Detector`.
      path: of the file.
      images: [B, S, S, 3], 0 to 255, of the training data: batch norm's statistics are measured
        with them, as `calibrate_batch_norm` says. Needed for .tflite files, unless batch norm is
        frozen from the start.

    Returns:
      What was loaded, and what not.

    Raises:
      ValueError: another kind of file, or something in it does not fit: the message says what,
        where, got and expected. The model is then as it was.
      OSError: the file cannot be read.
    """
    file = Path(path)
    if not file.is_file():
        raise FileNotFoundError(f"there is no file {file} to start from")
    report = _load(model, file)
    if images is None:
        return report
    calibrate_batch_norm(model, images, keep=report.loaded)
    return dataclasses.replace(report, calibrated=True)


def _load(model: Any, file: Path) -> LoadReport:
    # On first use: they import h5py, or flatbuffers and the schema.
    if file.suffix == ".tflite":
        from training.warm_start.tflite_import import load_tflite

        return load_tflite(model, str(file))
    from training.warm_start.keras_weights import load_application
    from training.warm_start.own_weights import is_own, load_own

    if file.suffix == ".npz":
        return load_application(model, file)
    if file.suffix in (".h5", ".hdf5"):
        return load_own(model, file) if is_own(file) else load_application(model, file)
    raise ValueError(f"{file} ends in {file.suffix!r}, expected .weights.h5, .npz or .tflite")
