# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Anchor grids in the layout of the op's third input: float32 [N, 4] as y, x, h, w.

Centre and size, as fractions of the image height (y, h) and width (x, w). Never clipped. Rows run
over layers from fine to coarse, then grid rows, grid columns and the boxes of one cell: the order
of the anchor generators of the TensorFlow Object Detection API, so the rows match the predictions
of models trained with it. Values agree with theirs to float32 rounding.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_SSD_300 = ((19, 19), (10, 10), (5, 5), (3, 3), (2, 2), (1, 1))
_HIGHEST_LEVEL = 30


def ssd_anchors(
    feature_map_shapes: Sequence[tuple[int, int]] = _SSD_300,
    *,
    min_scale: float = 0.2,
    max_scale: float = 0.95,
    scales: Sequence[float] | None = None,
    aspect_ratios: Sequence[float] = (1.0, 2.0, 0.5, 3.0, 0.3333),
    interpolated_scale_aspect_ratio: float = 1.0,
    base_anchor_size: tuple[float, float] = (1.0, 1.0),
    reduce_boxes_in_lowest_layer: bool = True,
    image_shape: tuple[int, int] = (1, 1),
) -> NDArray[np.float32]:
    """Anchors of the SSD family, as `ssd_anchor_generator` configures them.

    The defaults are SSD MobileNet at 300 x 300 (1917 anchors).

    Args:
        feature_map_shapes: (height, width) in cells, finest first.
        min_scale, max_scale: sizes at the first and last layer, as fractions of the image's
            shorter side; layers between are spaced evenly. One layer alone takes `min_scale`.
        scales: one size per layer, in place of `min_scale` and `max_scale`.
        aspect_ratios: width / height of the boxes of a cell, in order.
        interpolated_scale_aspect_ratio: aspect ratio of one more box per cell, whose size is the
            geometric mean of this layer's and the next one's (1.0 after the last); 0 leaves it out.
        base_anchor_size: (height, width) that scales multiply.
        reduce_boxes_in_lowest_layer: gives the first layer three boxes: size 0.1 at ratio 1, and
            the layer's size at ratios 2 and 1/2.
        image_shape: (height, width), any unit; only its ratio counts, and keeps boxes of aspect
            ratio 1 square on an image that is not.

    Returns:
        float32 [N, 4]: y, x, h, w.

    Raises:
        ValueError: an argument is empty, not positive, not finite, or has the wrong length.

    Source: Liu et al., "SSD: Single Shot MultiBox Detector", section 2.2, and the Object Detection
    API's multiple-grid anchor generator.
    """
    grids = [_pair(shape, f"feature_map_shapes[{i}]") for i, shape in enumerate(feature_map_shapes)]
    if not grids:
        raise ValueError("feature_map_shapes is empty, expected at least one (height, width)")
    ratios = _positive(aspect_ratios, "aspect_ratios")
    layer_scales = [*_ssd_scales(len(grids), min_scale, max_scale, scales), 1.0]
    if not 0 <= interpolated_scale_aspect_ratio < math.inf:
        raise ValueError(
            "interpolated_scale_aspect_ratio is "
            f"{interpolated_scale_aspect_ratio}, expected 0 or a positive number"
        )
    base = _square_on(_pair(image_shape, "image_shape"), base_anchor_size)
    layers = []
    for layer, grid in enumerate(grids):
        scale, following = layer_scales[layer], layer_scales[layer + 1]
        boxes = [(scale, ratio) for ratio in ratios]
        if interpolated_scale_aspect_ratio > 0:
            boxes.append((math.sqrt(scale * following), interpolated_scale_aspect_ratio))
        if layer == 0 and reduce_boxes_in_lowest_layer:
            boxes = [(0.1, 1.0), (scale, 2.0), (scale, 0.5)]
        stride = (1 / grid[0], 1 / grid[1])
        offset = (0.5 * stride[0], 0.5 * stride[1])
        layers.append(_tile(grid, stride, offset, _box_sizes(boxes, base)))
    return np.concatenate(layers).astype(np.float32)


def multiscale_anchors(
    image_shape: int | tuple[int, int],
    *,
    min_level: int = 3,
    max_level: int = 7,
    anchor_scale: float = 4.0,
    aspect_ratios: Sequence[float] = (1.0, 2.0, 0.5),
    scales_per_octave: int = 2,
) -> NDArray[np.float32]:
    """Anchors of a feature pyramid (RetinaNet, SSD FPN), as `multiscale_anchor_generator` has them.

    Level L has one cell per 2**L pixels, rounded up. Within a cell the scales run fastest, then
    the aspect ratios. Where 2**L does not divide the image, the first centre is at 0 and not in
    the middle of the cell, as in the Object Detection API.

    Args:
        image_shape: (height, width) of the network's input in pixels, or one number for a square.
        min_level, max_level: first and last level of the pyramid, both included.
        anchor_scale: side of the smallest square anchor, in strides of its level.
        aspect_ratios: width / height of the boxes of a cell, in order.
        scales_per_octave: sizes per level; size i is 2**(i / scales_per_octave) times the base.

    Returns:
        float32 [N, 4]: y, x, h, w.

    Raises:
        ValueError: an argument is empty, not positive or not finite, or the levels are not
            0 <= min_level <= max_level <= 30.

    Source: Lin et al., "Focal Loss for Dense Object Detection", section 4, and the Object Detection
    API's multiscale-grid anchor generator.
    """
    square = isinstance(image_shape, (int, np.integer))
    image = _pair((image_shape, image_shape) if square else image_shape, "image_shape")
    if not 0 <= min_level <= max_level <= _HIGHEST_LEVEL:
        raise ValueError(
            f"min_level is {min_level} and max_level {max_level}, "
            f"expected 0 <= min_level <= max_level <= {_HIGHEST_LEVEL}"
        )
    if scales_per_octave < 1:
        raise ValueError(f"scales_per_octave is {scales_per_octave}, expected at least 1")
    ratios = _positive(aspect_ratios, "aspect_ratios")
    [scale] = _positive([anchor_scale], "anchor_scale")
    octave = [2 ** (step / scales_per_octave) for step in range(scales_per_octave)]
    boxes = [(size, ratio) for ratio in ratios for size in octave]
    layers = []
    for level in range(min_level, max_level + 1):
        stride = 2**level
        grid = (-(-image[0] // stride), -(-image[1] // stride))
        offset = tuple(0.0 if side % stride else stride / 2 for side in image)
        sizes = _box_sizes(boxes, (stride * scale, stride * scale))
        layers.append(_tile(grid, (stride, stride), (offset[0], offset[1]), sizes))
    pixels = np.concatenate(layers)
    anchors: NDArray[np.float32] = (pixels / np.array([*image, *image])).astype(np.float32)
    return anchors


def _ssd_scales(
    layers: int, min_scale: float, max_scale: float, scales: Sequence[float] | None
) -> list[float]:
    if scales is not None:
        if len(scales) != layers:
            raise ValueError(f"scales has {len(scales)} entries, feature_map_shapes has {layers}")
        return _positive(scales, "scales")
    [low], [high] = _positive([min_scale], "min_scale"), _positive([max_scale], "max_scale")
    return [low + (high - low) * layer / max(layers - 1, 1) for layer in range(layers)]


def _square_on(image: tuple[int, int], base: Sequence[float]) -> tuple[float, float]:
    if len(base) != 2:
        raise ValueError(f"base_anchor_size has {len(base)} entries, expected (height, width)")
    height, width = _positive(base, "base_anchor_size")
    shorter = min(image)
    return height * shorter / image[0], width * shorter / image[1]


def _box_sizes(
    boxes: Sequence[tuple[float, float]], base: tuple[float, float]
) -> NDArray[np.float64]:
    """[B, 2] heights and widths of (scale, aspect ratio) pairs."""
    scale, ratio = np.array(boxes, np.float64).T
    root = np.sqrt(ratio)
    return np.stack([scale / root * base[0], scale * root * base[1]], axis=1)


def _tile(
    grid: tuple[int, int],
    stride: tuple[float, float],
    offset: tuple[float, float],
    sizes: NDArray[np.float64],
) -> NDArray[np.float64]:
    """[height * width * B, 4] boxes of `sizes` at every cell of a grid."""
    anchors = np.empty((*grid, len(sizes), 4))
    anchors[..., 0] = (np.arange(grid[0]) * stride[0] + offset[0])[:, None, None]
    anchors[..., 1] = (np.arange(grid[1]) * stride[1] + offset[1])[None, :, None]
    anchors[..., 2:] = sizes
    return anchors.reshape(-1, 4)


def _pair(value: object, name: str) -> tuple[int, int]:
    if not isinstance(value, (tuple, list, np.ndarray)) or len(value) != 2:
        raise ValueError(f"{name} is {value!r}, expected (height, width)")
    for side in value:
        if not isinstance(side, (int, np.integer)) or side < 1:
            raise ValueError(f"{name} is {tuple(value)}, expected two positive integers")
    return int(value[0]), int(value[1])


def _positive(values: Sequence[float], name: str) -> list[float]:
    numbers = [float(value) for value in values]
    if not numbers:
        raise ValueError(f"{name} is empty, expected at least one number")
    for number in numbers:
        if not 0 < number < math.inf:
            raise ValueError(f"{name} holds {number}, expected a positive finite number")
    return numbers
