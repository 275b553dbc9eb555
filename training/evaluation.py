# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""COCO's twelve numbers of a model, by the op that will run behind it."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detops import Options, postprocess
from detops.evaluation import CocoMetrics, score_detections
from detops.postprocessing import Detections

_DRAWN_SCORE = 0.3

# In which mode a model's compiled function was traced.
_traced_modes: weakref.WeakKeyDictionary[Any, str] = weakref.WeakKeyDictionary()


def scoring_options(num_classes: int, nms_iou_threshold: float = 0.6) -> Options:
    """Those with which the published numbers were made: all boxes, suppression class by class."""
    return Options(
        num_classes=num_classes,
        max_detections=100,
        detections_per_class=100,
        use_regular_nms=True,
        nms_score_threshold=1e-8,
        nms_iou_threshold=nms_iou_threshold,
    )


def evaluate(
    model: Any,
    source: Any,
    *,
    batch_size: int = 8,
    options: Options | None = None,
    on_batch: Callable[[NDArray[np.uint8], Detections], None] = lambda images, found: None,
) -> CocoMetrics:
    """Scores a model on a data set.

    Args:
      model: a `training.models.Detector`.
      source: a `training.data` Source.
      options: of the op; None for `scoring_options`.
      on_batch: told of each batch of images uint8 [b, S, S, 3] and what was found in it.

    Returns:
      The numbers, by class too; NaN where there is no object to find.

    Raises:
      ValueError: the source has another number of classes than the model.
    """
    if len(source.labels) != model.num_classes:
        raise ValueError(
            f"the data has {len(source.labels)} classes, the model has {model.num_classes}"
        )
    options = options or scoring_options(model.num_classes)
    truth = source.ground_truth()
    results: list[dict[str, Any]] = []
    for images, index, found in _detections(model, source, batch_size, options):
        on_batch(images, found)
        for row, number in enumerate(index):
            results += coco_results(found, row, truth["images"][number], truth["categories"])
    return score_detections(truth, results)


def detect(model: Any, images: Any, options: Options) -> Detections:
    """What a model finds in images uint8 [b, S, S, 3]; boxes are clipped to the image."""
    if _traced_modes.get(model) != model.phase.mode:
        model.make_predict_function(force=True)
        _traced_modes[model] = model.phase.mode
    outputs = model.predict_on_batch(np.asarray(images))
    # Under tf.distribute every replica answers for the whole batch.
    encodings, logits = (
        np.asarray(outputs[name], np.float32)[: len(images)] for name in ("box_encodings", "logits")
    )
    # exp of a large negative logit's opposite overflows to infinity, whose reciprocal is right.
    with np.errstate(over="ignore"):
        scores = 1.0 / (1.0 + np.exp(-logits))
    return postprocess(encodings, scores, model.anchors, options, clip=True)


def drawn(
    image: NDArray[np.uint8], found: Detections, row: int, labels: Sequence[str]
) -> NDArray[np.uint8]:
    """An image [H, W, 3] with the surer of the detections in `row` drawn on it."""
    from PIL import Image

    from detops.drawing import draw_detections

    sure = found.scores[row] >= _DRAWN_SCORE
    boxes, classes, scores = (
        part[row][sure] for part in (found.boxes, found.classes, found.scores)
    )
    return np.asarray(draw_detections(Image.fromarray(image), boxes, classes, scores, labels))


def _detections(model: Any, source: Any, batch_size: int, options: Options) -> Any:
    """(images, index of each, detections), each image once."""
    from training.data import evaluation_batches

    done = 0
    for batch in evaluation_batches(source, image_size=model.image_size, batch_size=batch_size):
        images, index = (np.asarray(part) for part in batch)
        found = detect(model, images, options)
        # The last batch is filled up with repeats.
        new = min(len(index), len(source) - done)
        done += new
        yield images[:new], index[:new], Detections(*(part[:new] for part in found))


def coco_results(
    found: Detections, row: int, image: dict[str, Any], categories: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """One image's detections as a COCO results file lists them: x, y, width, height in pixels.

    Args:
      found: boxes clipped to the image.
      row: the image's in `found`.
      image, categories: of the ground truth.
    """
    count = int(found.num_detections[row])
    size = np.array([image["height"], image["width"]] * 2, np.float64)
    boxes = found.boxes[row, :count] * size
    return [
        {
            "image_id": image["id"],
            "category_id": categories[int(number)]["id"],
            "bbox": [float(xmin), float(ymin), float(xmax - xmin), float(ymax - ymin)],
            "score": float(score),
        }
        for (ymin, xmin, ymax, xmax), number, score in zip(
            boxes, found.classes[row, :count], found.scores[row, :count], strict=True
        )
    ]
