# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""The loss of a detector: where the boxes are, and what they hold.

Sources: smooth L1 from Girshick, "Fast R-CNN", section 2.3; focal loss from Lin et al., "Focal Loss
for Dense Object Detection", section 3.
"""

from __future__ import annotations

from typing import Any

from keras import ops


def detection_loss(
    outputs: dict[str, Any],
    targets: dict[str, Any],
    *,
    localization_weight: float = 1.0,
    focal_alpha: float = 0.25,
    focal_gamma: float = 2.0,
    num_matches: Any = None,
) -> dict[str, Any]:
    """The two terms as float32 scalars, computed in float32 whatever the outputs are.

    Both are sums over the batch divided by the number of matched anchors, at least 1, so that an
    image without a box adds its background and nothing is infinite. The localisation of an anchor
    is the mean of its four numbers (the published recipes' normalize_loc_loss_by_codesize).

    Args:
      outputs: box_encodings [B, N, 4] and logits [B, N, C] of the model.
      targets: of `training.targets.assign`.
      num_matches: divides the sums in place of this batch's own number: where a batch is spread
        over replicas, each has to divide by that of all of them.

    Returns:
      "localization", weighted, and "classification".
    """
    matched = targets["matched"]
    if num_matches is None:
        num_matches = ops.sum(matched)
    num_matches = ops.maximum(ops.cast(num_matches, "float32"), 1.0)
    boxes = smooth_l1(outputs["box_encodings"], targets["box_encodings"])
    localization = ops.sum(ops.mean(boxes, axis=-1) * matched)
    classification = ops.sum(
        sigmoid_focal(outputs["logits"], targets["classes"], alpha=focal_alpha, gamma=focal_gamma)
    )
    return {
        "localization": localization_weight * localization / num_matches,
        "classification": classification / num_matches,
    }


def smooth_l1(predictions: Any, targets: Any) -> Any:
    """Elementwise float32: half the square of the error up to 1, the error less half beyond."""
    error = ops.abs(ops.cast(predictions, "float32") - ops.cast(targets, "float32"))
    near = ops.minimum(error, 1.0)
    return near * (error - 0.5 * near)


def sigmoid_focal(logits: Any, labels: Any, *, alpha: float, gamma: float) -> Any:
    """Elementwise float32: a cross entropy in which what is already right counts little.

    -alpha_t * (1 - p_t)**gamma * log(p_t), where p_t is the probability given to the label. Finite
    with finite gradients for any finite logit: both factors are written with softplus, and no
    probability is ever rounded to 0 or 1 first.

    Args:
      logits: [...].
      labels: the same shape, 1 or 0.
    """
    labels = ops.cast(labels, "float32")
    signed = ops.cast(logits, "float32") * (2.0 * labels - 1.0)
    cross_entropy = ops.softplus(-signed)
    modulation = ops.exp(-gamma * ops.softplus(signed))
    weight = alpha * labels + (1.0 - alpha) * (1.0 - labels)
    return weight * modulation * cross_entropy
