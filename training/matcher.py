# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Which ground-truth box each anchor should find.

Source: Liu et al., "SSD", section 2.2: every box takes its best anchor, and every anchor that
overlaps a box by half or more takes that box.
"""

from __future__ import annotations

from typing import Any

from keras import ops

POSITIVE_IOU = 0.5
BACKGROUND = -1


def match(iou: Any, valid: Any) -> Any:
    """int32 [B, N]: for each anchor the box it is matched with, or BACKGROUND.

    * An anchor is matched with the box of the highest IoU if that is at least POSITIVE_IOU.
    * A box claims the anchor of its highest IoU, if that is above 0, whatever the IoU and whatever
      the anchor's own best box. An anchor that several claim goes to the one of the highest IoU.
    * Among equals the lowest index wins, for anchors and for boxes.

    A box whose only claim lost has no anchor, unless it has others above POSITIVE_IOU.

    Args:
      iou: float32 [B, M, N] of boxes and anchors.
      valid: bool [B, M], False for padding.
    """
    valid = ops.expand_dims(ops.cast(valid, "bool"), -1)
    iou = ops.where(valid, iou, -1.0)
    best_box = ops.argmax(iou, axis=1)
    matched = ops.max(iou, axis=1) >= POSITIVE_IOU

    # [B, M, N]: the IoU where a box claims an anchor, elsewhere 0.
    best_anchor = ops.expand_dims(ops.argmax(iou, axis=2), -1)
    claims = ops.equal(best_anchor, ops.arange(iou.shape[2], dtype=best_anchor.dtype))
    claims = ops.where(claims, ops.maximum(iou, 0.0), 0.0)
    claimed = ops.max(claims, axis=1) > 0.0
    claimant = ops.argmax(claims, axis=1)

    box = ops.where(claimed, claimant, best_box)
    return ops.cast(ops.where(ops.logical_or(claimed, matched), box, BACKGROUND), "int32")


def intersection_over_union(boxes: Any, anchors: Any) -> Any:
    """float32 [B, M, N]; 0 where either has no area.

    Args:
      boxes: [B, M, 4] ymin, xmin, ymax, xmax.
      anchors: [N, 4] centre y, centre x, height, width.
    """
    boxes = ops.expand_dims(ops.cast(boxes, "float32"), 2)
    anchors = ops.cast(anchors, "float32")
    low, high = anchors[:, :2] - 0.5 * anchors[:, 2:], anchors[:, :2] + 0.5 * anchors[:, 2:]

    def shared(axis: int) -> Any:
        # One axis at a time: [B, M, N] is the largest tensor of the step, times 4 it would not fit.
        start = ops.maximum(boxes[..., axis], low[:, axis])
        end = ops.minimum(boxes[..., 2 + axis], high[:, axis])
        return ops.maximum(end - start, 0.0)

    sides = ops.maximum(boxes[..., 2:] - boxes[..., :2], 0.0)
    intersection = shared(0) * shared(1)
    union = sides[..., 0] * sides[..., 1] + anchors[:, 2] * anchors[:, 3] - intersection
    return intersection / ops.maximum(union, 1e-12)
