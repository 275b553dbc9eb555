# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""A detector: images in, box encodings and logits for every anchor out."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from training.models.blocks import Blocks
from training.models.phase import Mode

# (pixel - 128) / 128 has scale 1/128 and zero point 0 in int8: a uint8 image only moves by 128.
PIXEL_MEAN = 128.0
PIXEL_SCALE = 128.0
_PIXEL_RANGE = (-1.0, 127.0 / 128.0)


class Detector(keras.Model):  # type: ignore[misc]
    """Backbone, feature maps and predictor, over one set of switches.

    Args:
      blocks: what made the parts; holds the switches.
      backbone: images [B, S, S, 3] in -1 to 1 to feature maps.
      feature_maps: those to the maps that are predicted from.
      predictor: maps to box encodings and logits.
      anchors: float32 [N, 4], centre y, centre x, height, width, as fractions of the image.
      image_size: height and width of the images in pixels.
      num_classes: without a background.
    """

    def __init__(
        self,
        blocks: Blocks,
        *,
        backbone: Any,
        feature_maps: Any,
        predictor: Any,
        anchors: NDArray[np.float32],
        image_size: int,
        num_classes: int,
        name: str = "detector",
    ) -> None:
        super().__init__(name=name)
        self.phase = blocks.phase
        self.pixel_range = blocks.range(fixed=_PIXEL_RANGE, name="pixel_range")
        self.backbone = backbone
        self.feature_maps = feature_maps
        self.predictor = predictor
        self.anchors = anchors
        self.image_size = image_size
        self.num_classes = num_classes
        # Symbolic: JAX would compile every operation of a first call by itself.
        outputs = self(keras.KerasTensor((1, image_size, image_size, 3), "uint8"))
        rows = outputs["box_encodings"].shape[1]
        if rows != len(anchors):
            raise ValueError(
                f"the maps at {image_size} pixels give {rows} boxes, there are {len(anchors)} "
                "anchors, expected as many"
            )

    def call(self, images: Any, training: bool = False) -> dict[str, Any]:
        """One image for each row of the results.

        Args:
          images: uint8 or float [B, S, S, 3], 0 to 255.
          training: batch norm lives and ranges are observed.

        Returns:
          "box_encodings" float32 [B, N, 4] (ty, tx, th, tw, scales 10, 10, 5, 5) and "logits"
          float32 [B, N, C]; scores are their sigmoid.
        """
        pixels = (ops.cast(images, self.compute_dtype) - PIXEL_MEAN) / PIXEL_SCALE
        return self.from_pixels(pixels, training=training)

    def from_pixels(self, pixels: Any, training: bool = False) -> dict[str, Any]:
        """The same for pixels [B, S, S, 3] in -1 to 127/128: where an exported graph begins."""
        maps = self.backbone(self.pixel_range(pixels), training=training)
        maps = self.feature_maps(maps, training=training)
        boxes, logits = self.predictor(maps, training=training)
        return {
            "box_encodings": ops.cast(boxes, "float32"),
            "logits": ops.cast(logits, "float32"),
        }

    def set_mode(self, mode: Mode) -> None:
        """Switches all layers; a compiled step has to be traced again.

        Raises:
          ValueError: there is no such mode.
        """
        self.phase.set_mode(mode)

    def set_batch_norm_frozen(self, frozen: bool) -> None:
        """Whether training uses batch norm's long-term statistics; trace again, too."""
        self.phase.batch_norm_frozen = frozen
