# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""detops.nms against other libraries' non-maximum suppression."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

import detops
from benchmarks.timing import time_in_turn

Array = NDArray[Any]
SIZES = (1000, 5000, 20000)
_IOU = 0.5
_SCORE = 0.0


def draw_boxes(count: int) -> tuple[Array, Array]:
    """Corner boxes [count, 4] that crowd around a tenth as many objects, and distinct scores."""
    random = np.random.default_rng(11)
    objects = max(count // 10, 1)
    centre = random.uniform(0, 1, (objects, 2))[random.integers(0, objects, count)]
    centre = centre + random.normal(0, 0.004, (count, 2))
    half = random.uniform(0.01, 0.04, (count, 2))
    boxes = np.concatenate([centre - half, centre + half], axis=1).astype(np.float32)
    scores = random.permutation(np.linspace(0.01, 0.99, count)).astype(np.float32)
    return boxes, scores


def measure_nms(count: int, seconds: float) -> dict[str, Any]:
    """Times one size against every peer that is installed."""
    boxes, scores = draw_boxes(count)
    ours = lambda: detops.nms(boxes, scores, iou_threshold=_IOU, score_threshold=_SCORE)  # noqa: E731
    expected = ours()
    peers = []
    for name, make in _PEERS.items():
        try:
            peer = make(boxes, scores)
        except ImportError:
            continue
        differing = len(set(expected.tolist()) ^ set(peer().tolist()))
        ours_time, peer_time = time_in_turn([ours, peer], seconds=seconds)
        peers.append(
            {
                "peer": name,
                "differing": differing,
                "detops": ours_time.as_dict(),
                "time": peer_time.as_dict(),
                "ratio": peer_time.median / ours_time.median,
            }
        )
    return {"boxes": count, "kept": len(expected), "peers": peers}


def _opencv(boxes: Array, scores: Array) -> Callable[[], Array]:
    import cv2

    cv2.setNumThreads(1)
    sides = np.concatenate([boxes[:, 1::-1], boxes[:, 3:1:-1] - boxes[:, 1::-1]], axis=1)
    corner_and_size = sides.astype(np.float64)
    return lambda: np.asarray(cv2.dnn.NMSBoxes(corner_and_size, scores, _SCORE, _IOU))


def _onnxruntime(boxes: Array, scores: Array) -> Callable[[], Array]:
    import onnxruntime
    from onnx import TensorProto, helper

    info = helper.make_tensor_value_info
    graph = helper.make_graph(
        [
            helper.make_node(
                "NonMaxSuppression", ["boxes", "scores", "limit", "iou", "score"], ["kept"]
            )
        ],
        "nms",
        [
            info("boxes", TensorProto.FLOAT, [1, len(boxes), 4]),
            info("scores", TensorProto.FLOAT, [1, 1, len(boxes)]),
        ],
        [info("kept", TensorProto.INT64, [None, 3])],
        [
            helper.make_tensor("limit", TensorProto.INT64, [1], [len(boxes)]),
            helper.make_tensor("iou", TensorProto.FLOAT, [1], [_IOU]),
            helper.make_tensor("score", TensorProto.FLOAT, [1], [_SCORE]),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=8)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    feeds = {"boxes": boxes[np.newaxis], "scores": scores[np.newaxis, np.newaxis]}
    return lambda: np.asarray(session.run(None, feeds)[0])[:, 2]


def _tensorflow(boxes: Array, scores: Array) -> Callable[[], Array]:
    import tensorflow as tf

    four = tf.constant(boxes[np.newaxis, :, np.newaxis])
    one = tf.constant(scores[np.newaxis, :, np.newaxis])
    order = np.argsort(-scores, kind="stable")

    @tf.function
    def suppress() -> Any:
        return tf.image.combined_non_max_suppression(
            four, one, len(boxes), len(boxes), _IOU, _SCORE, clip_boxes=False
        )

    def indices() -> Array:
        # It reports scores, not indices; the scores are distinct.
        result = suppress()
        kept = result.nmsed_scores.numpy()[0, : int(result.valid_detections[0])]
        return order[np.searchsorted(-scores[order], -kept)]

    return indices


def _torchvision(boxes: Array, scores: Array) -> Callable[[], Array]:
    import torch
    from torchvision.ops import nms

    torch.set_num_threads(1)
    corners, values = torch.from_numpy(boxes), torch.from_numpy(scores)
    return lambda: np.asarray(nms(corners, values, _IOU).numpy())


_PEERS: dict[str, Callable[[Array, Array], Callable[[], Array]]] = {
    "cv2.dnn.NMSBoxes": _opencv,
    "onnxruntime NonMaxSuppression": _onnxruntime,
    "tf.image.combined_non_max_suppression": _tensorflow,
    "torchvision.ops.nms": _torchvision,
}
