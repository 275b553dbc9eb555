# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Ground truth of a fixed size, as compiled training steps need it."""

from __future__ import annotations

from typing import Any

import tensorflow as tf


def pad_boxes(boxes: Any, classes: Any, max_boxes: int) -> dict[str, Any]:
    """Pads boxes to `max_boxes` rows of zeros; of more than that the largest stay, in order.

    Args:
      boxes: float32 [M, 4] ymin, xmin, ymax, xmax.
      classes: int32 [M].
      max_boxes: rows of the result.

    Returns:
      "boxes" float32 [max_boxes, 4], "classes" int32 [max_boxes], "valid" bool [max_boxes].
    """
    areas = tf.reduce_prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    count = tf.minimum(tf.shape(boxes)[0], max_boxes)
    # Of equal areas top_k takes the first.
    rows = tf.sort(tf.math.top_k(areas, count).indices)
    missing = max_boxes - count
    return {
        "boxes": tf.ensure_shape(
            tf.pad(tf.gather(boxes, rows), [[0, missing], [0, 0]]), [max_boxes, 4]
        ),
        "classes": tf.ensure_shape(tf.pad(tf.gather(classes, rows), [[0, missing]]), [max_boxes]),
        "valid": tf.range(max_boxes) < count,
    }
