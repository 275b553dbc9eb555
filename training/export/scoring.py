# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""COCO's numbers of what runs on the pictures of a data set, one by one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detops import Options, postprocess
from detops.evaluation import CocoMetrics, score_detections
from detops.postprocessing import Detections
from training.evaluation import coco_results
from training.export.running import FileRunner

Array = NDArray[Any]


def score(
    source: Any, image_size: int, detect: Callable[[NDArray[np.uint8]], Sequence[Array]]
) -> CocoMetrics:
    """The numbers of a detector.

    Args:
      source: a `training.data` Source.
      detect: the op's four outputs for an image uint8 [S, S, 3].
    """
    truth = source.ground_truth()
    results: list[dict[str, Any]] = []
    for image, entry in zip(pictures(source, image_size), truth["images"], strict=True):
        boxes, *others = detect(image)
        found = Detections(np.clip(boxes, 0, 1), *others)
        results += coco_results(found, 0, entry, truth["categories"])
    return score_detections(truth, results)


def pictures(source: Any, image_size: int) -> Iterator[NDArray[np.uint8]]:
    """The pictures of a source as uint8 [S, S, 3], each once, in order."""
    from training.data import evaluation_batches

    for images, _ in evaluation_batches(source, image_size=image_size, batch_size=1):
        yield np.asarray(images)[0]


def network_detector(network: bytes, anchors: Array, options: Options) -> Callable[[Any], Any]:
    """A converted network with the op behind it, under other options than the file's."""
    run = FileRunner(network)

    def detect(image: NDArray[np.uint8]) -> Sequence[Array]:
        boxes, scores = run(image)
        return postprocess(boxes, scores, anchors, options)

    return detect
