# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""The detectors: backbones, feature maps, predictors and what quantises them."""

from training.models.architectures import ARCHITECTURES, build_detector
from training.models.detector import Detector

__all__ = ["ARCHITECTURES", "Detector", "build_detector"]
