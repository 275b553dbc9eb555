# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""How good a detector is: COCO's twelve numbers, for COCO and Pascal VOC annotations.

    dataset = read_voc("Annotations", "JPEGImages")
    run = run_detector(Detector("model.tflite", threshold=0.0), dataset.ground_truth, "JPEGImages")
    print(score_detections(dataset.ground_truth, run.detections, image_ids=run.image_ids).ap50)

Importing this package imports NumPy and nothing else; scoring needs pycocotools or
faster-coco-eval, running a model needs Pillow and a TFLite runtime.
"""

from detops.evaluation.coco_files import read_detections, read_ground_truth
from detops.evaluation.coco_metrics import ClassMetrics, CocoMetrics, score_detections
from detops.evaluation.model_scoring import LabelMatch, ModelRun, match_labels, run_detector
from detops.evaluation.skipped import Skipped
from detops.evaluation.voc import VocDataset, read_voc

__all__ = [
    "ClassMetrics",
    "CocoMetrics",
    "LabelMatch",
    "ModelRun",
    "Skipped",
    "VocDataset",
    "match_labels",
    "read_detections",
    "read_ground_truth",
    "read_voc",
    "run_detector",
    "score_detections",
]
