# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Which parts make which detector.

The depths, layers and anchors are those of the TensorFlow Object Detection API's configurations of
the same names.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detops import multiscale_anchors, ssd_anchors
from training.models.blocks import Blocks
from training.models.box_predictor import BoxPredictor
from training.models.detector import Detector
from training.models.feature_pyramid import FeaturePyramid
from training.models.mobilenet_v1 import MobileNetV1
from training.models.mobilenet_v2 import MobileNetV2
from training.models.pooling_pyramid import PoolingPyramid
from training.models.resnet50 import ResNet50
from training.models.shared_box_predictor import SharedBoxPredictor
from training.models.ssd_feature_maps import SsdFeatureMaps

_SSD_ANCHORS_PER_CELL = (3, 6, 6, 6, 6, 6)
_OWN_ANCHORS = (6, 6, 6, 6, 6, 6)
_SSD_FIRST_STRIDE = 16
_SSD_MAPS = 6
_PYRAMID_LEVELS = 5
_PYRAMID_SMALLEST_DEPTH = 16


@dataclass(frozen=True)
class Plan:
    """What a detector is built from."""

    blocks: Blocks
    num_classes: int
    image_size: int
    depth_multiplier: float
    anchor_scales: tuple[float, ...] = ()

    def ssd_anchors(self, **published: Any) -> NDArray[np.float32]:
        """Anchors on maps that begin at stride 16 and halve: the published ones, or of own sizes,
        six in each cell of every map."""
        sides = [
            math.ceil(self.image_size / (_SSD_FIRST_STRIDE << step)) for step in range(_SSD_MAPS)
        ]
        grids = [(side, side) for side in sides]
        if not self.anchor_scales:
            return ssd_anchors(grids, **published)
        return ssd_anchors(grids, scales=self.anchor_scales, reduce_boxes_in_lowest_layer=False)

    def backbone(self, kind: Callable[..., Any], **settings: Any) -> Any:
        """A backbone of the plan's depth."""
        return kind(self.blocks, depth_multiplier=self.depth_multiplier, **settings)

    def detector(self, anchors: NDArray[np.float32], **parts: Any) -> Detector:
        """The parts put together."""
        return Detector(
            self.blocks,
            anchors=anchors,
            image_size=self.image_size,
            num_classes=self.num_classes,
            **parts,
        )


def ssd_mobilenet_v1(plan: Plan) -> Detector:
    """SSD on MobileNet v1: 1917 anchors at 300 pixels."""
    return _ssd(plan, plan.backbone(MobileNetV1))


def ssd_mobilenet_v2(plan: Plan) -> Detector:
    """SSD on MobileNet v2: 1917 anchors at 300 pixels."""
    return _ssd(plan, plan.backbone(MobileNetV2))


def ssdlite_mobilenet_v2(plan: Plan) -> Detector:
    """SSDLite on MobileNet v2, every 3x3 convolution depthwise: 1917 anchors at 300 pixels."""
    return _ssd(plan, plan.backbone(MobileNetV2), separable=True)


def ssd_mobilenet_v1_ppn(plan: Plan) -> Detector:
    """A pooling pyramid on MobileNet v1, one predictor: 3000 anchors at 300 pixels."""
    return plan.detector(
        plan.ssd_anchors(min_scale=0.15, reduce_boxes_in_lowest_layer=False),
        backbone=plan.backbone(MobileNetV1, taps=(11,)),
        feature_maps=PoolingPyramid(_SSD_MAPS),
        predictor=SharedBoxPredictor(
            plan.blocks,
            num_classes=plan.num_classes,
            levels=_SSD_MAPS,
            depth=int(512 * plan.depth_multiplier),
            layers=1,
            kernel_size=1,
            one_tower=True,
        ),
    )


def ssd_mobilenet_v1_fpn(plan: Plan) -> Detector:
    """A feature pyramid on MobileNet v1: 51150 anchors at 640 pixels."""
    return _pyramid(plan, plan.backbone(MobileNetV1, taps=(5, 11, 13)))


def ssd_mobilenet_v2_fpnlite(plan: Plan) -> Detector:
    """A separable feature pyramid on MobileNet v2: 12804 anchors at 320 pixels."""
    backbone = plan.backbone(MobileNetV2, taps=(7, 14, 19), last_filters=256)
    return _pyramid(plan, backbone, depth=128, separable=True)


def retinanet_resnet50(plan: Plan) -> Detector:
    """RetinaNet on ResNet-50: 51150 anchors at 640 pixels."""
    return _pyramid(plan, plan.backbone(ResNet50))


ARCHITECTURES: dict[str, Callable[[Plan], Detector]] = {
    build.__name__: build
    for build in (
        ssd_mobilenet_v1,
        ssd_mobilenet_v2,
        ssdlite_mobilenet_v2,
        ssd_mobilenet_v1_ppn,
        ssd_mobilenet_v1_fpn,
        ssd_mobilenet_v2_fpnlite,
        retinanet_resnet50,
    )
}


def build_detector(
    *,
    architecture: str,
    num_classes: int,
    image_size: int,
    depth_multiplier: float = 1.0,
    per_channel: bool = False,
    weight_decay: float = 4e-5,
    batch_norm_momentum: float = 0.99,
    synchronized_batch_norm: bool = True,
    anchor_scales: Sequence[float] = (),
) -> Detector:
    """A detector with fresh weights, in float mode, all variables made.

    Args:
      architecture: a key of `ARCHITECTURES`.
      num_classes: without a background.
      image_size: height and width in pixels.
      depth_multiplier: scales the filters of the backbone and its feature maps.
      per_channel: weights are quantised with one scale for each output channel.
      weight_decay: factor of the L2 penalty.
      batch_norm_momentum: of the moving averages.
      synchronized_batch_norm: it takes the statistics of all replicas.
      anchor_scales: of an SSD or PPN, sizes of the anchors in each of its six maps as fractions of
        the image; empty for the published ones.

    Raises:
      ValueError: an unknown architecture, a number that is not positive, or scales that do not fit.
    """
    if architecture not in ARCHITECTURES:
        raise ValueError(
            f"architecture is {architecture!r}, expected one of {', '.join(ARCHITECTURES)}"
        )
    for what, value in (
        ("num_classes", num_classes),
        ("image_size", image_size),
        ("depth_multiplier", depth_multiplier),
    ):
        if not value > 0:
            raise ValueError(f"{what} is {value}, expected a positive number")
    blocks = Blocks(
        per_channel=per_channel,
        weight_decay=weight_decay,
        batch_norm_momentum=batch_norm_momentum,
        synchronized_batch_norm=synchronized_batch_norm,
    )
    plan = Plan(blocks, num_classes, image_size, depth_multiplier, tuple(anchor_scales))
    return ARCHITECTURES[architecture](plan)


def _ssd(plan: Plan, backbone: Any, *, separable: bool = False) -> Detector:
    return plan.detector(
        plan.ssd_anchors(),
        backbone=backbone,
        feature_maps=plan.backbone(SsdFeatureMaps, separable=separable),
        predictor=BoxPredictor(
            plan.blocks,
            num_classes=plan.num_classes,
            anchors_per_cell=_OWN_ANCHORS if plan.anchor_scales else _SSD_ANCHORS_PER_CELL,
            separable=separable,
        ),
    )


def _pyramid(plan: Plan, backbone: Any, *, depth: int = 256, separable: bool = False) -> Detector:
    """Levels 3 to 7. Only the pyramid's channels follow the depth multiplier, not the towers'."""
    if plan.anchor_scales:
        raise ValueError("anchor_scales are for SSD and PPN, a feature pyramid has none")
    filters = max(int(depth * plan.depth_multiplier), _PYRAMID_SMALLEST_DEPTH)
    return plan.detector(
        multiscale_anchors(plan.image_size),
        backbone=backbone,
        feature_maps=FeaturePyramid(plan.blocks, filters=filters, separable=separable),
        predictor=SharedBoxPredictor(
            plan.blocks,
            num_classes=plan.num_classes,
            levels=_PYRAMID_LEVELS,
            depth=depth,
            separable=separable,
            one_tower=separable,
        ),
    )
