# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Runs exported files."""

from __future__ import annotations

import statistics
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detops import Interpreter
from training.models.detector import PIXEL_MEAN, PIXEL_SCALE

_WARM_UP = 3


class FileRunner:
    """An interpreter of one thread around the bytes of a .tflite file with one image as input."""

    def __init__(self, model: bytes) -> None:
        self._interpreter = Interpreter(model_content=model, num_threads=1)
        self._interpreter.allocate_tensors()
        self._input = self._interpreter.get_input_details()[0]
        self._outputs = [entry["index"] for entry in self._interpreter.get_output_details()]

    def __call__(self, image: NDArray[np.uint8]) -> list[NDArray[Any]]:
        """The outputs, in the file's order, for an image uint8 [S, S, 3]."""
        pixels: NDArray[Any] = image[np.newaxis]
        if self._input["dtype"] == np.float32:
            pixels = (pixels.astype(np.float32) - PIXEL_MEAN) / PIXEL_SCALE
        self._interpreter.set_tensor(self._input["index"], pixels)
        self._interpreter.invoke()
        return [self._interpreter.get_tensor(index) for index in self._outputs]

    def milliseconds(self, image: NDArray[np.uint8], runs: int = 20) -> float:
        """The median time of a run."""
        for _ in range(_WARM_UP):
            self(image)
        seconds = []
        for _ in range(runs):
            began = time.perf_counter()
            self._interpreter.invoke()
            seconds.append(time.perf_counter() - began)
        return 1000 * statistics.median(seconds)
