# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Feature pyramid on MobileNet v1 at 640 pixels: levels 3 to 7, 51150 anchors.

command   python -m training.train ssd_mobilenet_v1_fpn_640
              train_data=TRAIN validation_data=VALIDATION --out RUN
hardware  a batch of 64 at 640 pixels: several accelerators; on fewer, scale batch_size
          and both learning rates alike
time      not run here
result    not run here; published for COCO: AP .291 (2017) to .32
"""

from training.config import Config

CONFIG = Config(
    architecture="ssd_mobilenet_v1_fpn",
    image_size=640,
    photometric=False,
    batch_size=64,
    steps=25_000,
    learning_rate=0.04,
    warmup_learning_rate=0.013333,
    warmup_steps=2_000,
    focal_alpha=0.25,
    mixed_precision=True,
    checkpoint_every=1000,
    log_every=100,
    evaluate_every=5000,
)
