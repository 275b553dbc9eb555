# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""The op written in TensorFlow ops, for models that run there.

Boxes are decoded in float64, as the op does. Suppression takes the best live pair of a list and an
anchor, drops what it overlaps in its list, and repeats: the op's order, ties included. Fast mode
has one list, of each anchor's best class; regular mode has one for each class. Source: the public
kernel, detection_postprocess.cc of LiteRT, with the departures of this library.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from detops.options import Options

_DEAD = -float("inf")
# A live score of -inf must not look dead.
_LOWEST = tf.float32.min


def detections(encodings: Any, scores: Any, anchors: Any, options: Options) -> tuple[Any, ...]:
    """The four outputs for [B, N, K], [B, N, Cb] and [N, 4], whose shapes fit the options."""
    boxes = _decode(encodings, anchors, options)
    foreground = scores[..., scores.shape[-1] - options.num_classes :]
    if options.use_regular_nms:
        found = _regular(boxes, foreground, options)
    else:
        found = _fast(boxes, foreground, options)
    batch = encodings.shape[0]
    slots = options.max_detections * options.max_classes_per_detection
    shapes = ([batch, slots, 4], [batch, slots], [batch, slots], [batch])
    return tuple(tf.ensure_shape(value, shape) for value, shape in zip(found, shapes, strict=True))


def _decode(encodings: Any, anchors: Any, options: Options) -> Any:
    """[B, N, 4] corners."""
    scales = [options.y_scale, options.x_scale, options.h_scale, options.w_scale]
    scales = tf.cast(tf.constant(scales, tf.float32), tf.float64)
    terms = tf.cast(encodings[..., :4], tf.float64) / scales
    place, size = tf.split(tf.cast(anchors, tf.float64), 2, axis=-1)
    centre = tf.cast(terms[..., :2] * size + place, tf.float32)
    half = tf.cast(0.5 * tf.exp(terms[..., 2:]) * size, tf.float32)
    return tf.concat([centre - half, centre + half], axis=-1)


def _fast(boxes: Any, scores: Any, options: Options) -> tuple[Any, ...]:
    limit, slots = options.max_detections, options.max_classes_per_detection
    best = tf.reduce_max(scores, axis=-1)[:, tf.newaxis]
    picks, kept = _suppress(boxes, best, limit, limit, options)
    ranks = min(slots, options.num_classes)
    values, classes = tf.math.top_k(tf.gather(scores, picks, batch_dims=1), ranks)
    spare = [[0, 0], [0, 0], [0, slots - ranks]]
    corners = tf.gather(boxes, picks, batch_dims=1)[:, :, tf.newaxis]
    corners = tf.tile(corners, [1, 1, ranks, 1])
    live = tf.repeat(kept[..., tf.newaxis], slots, axis=2)
    return (
        _flat(tf.pad(corners, [*spare, [0, 0]]), live, [limit * slots, 4]),
        _flat(tf.pad(tf.cast(classes, tf.float32), spare), live, [limit * slots]),
        _flat(tf.pad(values, spare), live, [limit * slots]),
        _count(kept),
    )


def _regular(boxes: Any, scores: Any, options: Options) -> tuple[Any, ...]:
    limit = options.max_detections
    rows = boxes.shape[1]
    lists = tf.transpose(scores, [0, 2, 1])
    per_list = min(options.detections_per_class, limit)
    picks, kept = _suppress(boxes, lists, limit, per_list, options)
    flat_scores = tf.reshape(lists, [-1, options.num_classes * rows])
    corners = tf.gather(boxes, picks % rows, batch_dims=1)
    values = tf.gather(flat_scores, picks, batch_dims=1)
    spare = [[0, 0], [0, limit * (options.max_classes_per_detection - 1)]]
    return (
        tf.pad(_flat(corners, kept, [limit, 4]), [*spare, [0, 0]]),
        tf.pad(_flat(tf.cast(picks // rows, tf.float32), kept, [limit]), spare),
        tf.pad(_flat(values, kept, [limit]), spare),
        _count(kept),
    )


def _count(kept: Any) -> Any:
    return tf.reduce_sum(tf.cast(kept, tf.float32), axis=1)


def _flat(values: Any, live: Any, shape: list[int]) -> Any:
    """Zero where not live, with everything between the batch and the corners in one dimension."""
    if values.shape.rank > live.shape.rank:
        live = live[..., tf.newaxis]
    # The batch is given, not -1: it could not be inferred for an empty output.
    batch = tf.shape(values)[0]
    return tf.reshape(tf.where(live, values, tf.zeros_like(values)), [batch, *shape])


def _suppress(
    boxes: Any, scores: Any, limit: int, per_list: int, options: Options
) -> tuple[Any, Any]:
    """The best pairs of [B, N, 4] boxes and [B, L, N] scores: [B, limit] indices into the flat
    scores of an image, best first, and whether each was found."""
    lists, rows = scores.shape[1], scores.shape[2]
    batch = tf.shape(boxes)[0]
    keys = _start_keys(boxes, scores, options)

    def unfinished(step: Any, keys: Any, picks: Any, kept: Any) -> Any:
        return tf.logical_and(step < limit, tf.reduce_any(keys > _DEAD))

    def take_best(step: Any, keys: Any, picks: Any, kept: Any) -> tuple[Any, ...]:
        flat = tf.reshape(keys, [batch, lists * rows])
        pick = tf.argmax(flat, axis=1, output_type=tf.int32)
        found = tf.reduce_max(flat, axis=1) > _DEAD
        here = tf.logical_and(tf.range(limit) == step, found[:, tf.newaxis])
        picks = tf.where(here, pick[:, tf.newaxis], picks)
        kept = tf.logical_or(kept, here)
        return step + 1, _drop(keys, boxes, pick, picks, kept, per_list, options), picks, kept

    start = (
        tf.constant(0),
        keys,
        tf.zeros([batch, limit], tf.int32),
        tf.zeros([batch, limit], tf.bool),
    )
    invariants = (
        tf.TensorShape([]),
        tf.TensorShape([None, lists, rows]),
        tf.TensorShape([None, limit]),
        tf.TensorShape([None, limit]),
    )
    if per_list <= 0:
        return start[2], start[3]
    _, _, picks, kept = tf.while_loop(
        unfinished, take_best, start, shape_invariants=invariants, maximum_iterations=limit
    )
    return picks, kept


def _start_keys(boxes: Any, scores: Any, options: Options) -> Any:
    """The scores, with what takes no part dead: below the threshold, NaN, of negative size."""
    threshold = tf.constant(options.nms_score_threshold, tf.float32)
    inverted = tf.reduce_any(boxes[..., :2] > boxes[..., 2:], axis=-1)[:, tf.newaxis]
    live = tf.logical_and(scores >= threshold, tf.logical_not(inverted))
    return tf.where(live, tf.maximum(scores, _LOWEST), _DEAD)


def _drop(
    keys: Any, boxes: Any, pick: Any, picks: Any, kept: Any, per_list: int, options: Options
) -> Any:
    """The keys without the pick, what it suppresses in its list, and that list when it is full."""
    lists, rows = keys.shape[1], keys.shape[2]
    chosen, anchor = pick // rows, pick % rows
    overlap = _iou(tf.gather(boxes, anchor, batch_dims=1)[:, tf.newaxis], boxes)
    gone = overlap > tf.constant(options.nms_iou_threshold, tf.float32)
    gone = tf.logical_or(gone, tf.range(rows) == anchor[:, tf.newaxis])
    same_list = tf.logical_and(kept, picks // rows == chosen[:, tf.newaxis])
    full = tf.reduce_sum(tf.cast(same_list, tf.int32), axis=1) >= per_list
    gone = tf.logical_or(gone, full[:, tf.newaxis])
    in_list = tf.range(lists) == chosen[:, tf.newaxis]
    gone = tf.logical_and(in_list[..., tf.newaxis], gone[:, tf.newaxis])
    return tf.where(gone, _DEAD, keys)


def _iou(better: Any, others: Any) -> Any:
    """[B, 1, 4] against [B, N, 4]: [B, N], in float32 and in the op's order."""
    area_i, area_j = _area(better), _area(others)
    least = tf.minimum(better[..., 2:], others[..., 2:])
    sides = tf.maximum(least - tf.maximum(better[..., :2], others[..., :2]), 0.0)
    intersection = sides[..., 0] * sides[..., 1]
    ratio = intersection / ((area_i + area_j) - intersection)
    return tf.where(tf.logical_or(area_i <= 0, area_j <= 0), 0.0, ratio)


def _area(boxes: Any) -> Any:
    return (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])
