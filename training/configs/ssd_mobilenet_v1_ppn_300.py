# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Pooling pyramid on MobileNet v1 at 300 pixels: one shared predictor, 3000 anchors.

command   python -m training.train ssd_mobilenet_v1_ppn_300
              train_data=TRAIN validation_data=VALIDATION --out RUN
hardware  a batch of 512 at 300 pixels: several accelerators; on fewer, scale batch_size
          and both learning rates alike
time      not run here
result    not run here; published for COCO: AP .197 to .20
"""

from training.config import Config

CONFIG = Config(
    architecture="ssd_mobilenet_v1_ppn",
    image_size=300,
    photometric=False,
    batch_size=512,
    steps=50_000,
    learning_rate=0.7,
    warmup_learning_rate=0.1333,
    warmup_steps=2_000,
    localization_weight=1.5,
    checkpoint_every=1000,
    log_every=100,
    evaluate_every=5000,
)
