# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0

from typing import Any

import numpy as np
from numpy.typing import NDArray

__version__: str

Quantization = tuple[float, int]
Description = tuple[str, list[int], list[float], int]

class DelegateHandle:
    def __init__(self) -> None: ...
    def _get_native_delegate_pointer(self) -> int: ...
    def report(self) -> dict[str, int]: ...

def read_options(block: bytes) -> tuple[dict[str, Any], list[tuple[str, str]]]: ...
def check(
    options: Any, box_encodings: Description, scores: Description, anchors: Description
) -> list[tuple[str, str]]: ...
def postprocess(
    box_encodings: NDArray[Any],
    scores: NDArray[Any],
    anchors: NDArray[Any],
    options: Any,
    box_quantization: Quantization | None,
    score_quantization: Quantization | None,
    anchor_quantization: Quantization | None,
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]: ...
def decode_boxes(
    box_encodings: NDArray[Any],
    anchors: NDArray[Any],
    scales: tuple[float, float, float, float],
    box_quantization: Quantization | None,
    anchor_quantization: Quantization | None,
) -> NDArray[np.float32]: ...
def iou(boxes_a: NDArray[np.float32], boxes_b: NDArray[np.float32]) -> NDArray[np.float32]: ...
def nms(
    boxes: NDArray[np.float32],
    scores: NDArray[np.float32],
    classes: NDArray[np.int32],
    num_classes: int,
    iou_threshold: float,
    score_threshold: float,
    max_detections: int,
) -> NDArray[np.int64]: ...
def kernel_sets() -> list[tuple[str, bool]]: ...
def active_kernel_set() -> str: ...
def streaming_maximum(array: NDArray[Any]) -> float: ...
