# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""SSD MobileNet v1 at 300 pixels, float: 1917 anchors.

command   python -m training.train ssd_mobilenet_v1_300
              train_data=TRAIN validation_data=VALIDATION --out RUN
hardware  a batch of 1024 at 300 pixels: several accelerators; on fewer, scale batch_size
          and both learning rates alike
time      not run here
result    not run here; published for COCO: AP .205
"""

from training.config import Config

CONFIG = Config(
    architecture="ssd_mobilenet_v1",
    image_size=300,
    photometric=False,
    batch_size=1024,
    steps=20_000,
    learning_rate=0.9,
    warmup_learning_rate=0.3,
    warmup_steps=1_000,
    checkpoint_every=1000,
    log_every=100,
    evaluate_every=5000,
)
