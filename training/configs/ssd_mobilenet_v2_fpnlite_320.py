# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Separable feature pyramid on MobileNet v2 at 320 pixels: 12804 anchors.

command   python -m training.train ssd_mobilenet_v2_fpnlite_320
              train_data=TRAIN validation_data=VALIDATION --out RUN
hardware  a batch of 512 at 320 pixels: several accelerators; on fewer, scale batch_size
          and both learning rates alike
time      not run here
result    not run here; published for COCO: AP .222 (2017)

The recipe is the published one of FPNLite 0.75 at 256 pixels, quantised; that does not freeze batch
norm, the last 2000 steps here do (Krishnamoorthi 2018).
"""

from training.config import Config

CONFIG = Config(
    architecture="ssd_mobilenet_v2_fpnlite",
    image_size=320,
    photometric=False,
    batch_size=512,
    steps=100_000,
    learning_rate=0.4,
    warmup_learning_rate=0.0267,
    warmup_steps=1_000,
    focal_alpha=0.25,
    quantize_from=30_000,
    freeze_batch_norm_from=98_000,
    checkpoint_every=1000,
    log_every=100,
    evaluate_every=10000,
)
