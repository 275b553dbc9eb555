# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""SSDLite MobileNet v2 at 300 pixels, float: depthwise-separable predictors, 1917 anchors.

command   python -m training.train ssdlite_mobilenet_v2_300
              train_data=TRAIN validation_data=VALIDATION --out RUN
hardware  a batch of 1024 at 300 pixels: several accelerators; on fewer, scale batch_size
          and both learning rates alike
time      not run here
result    not run here; published for COCO: AP .22

The recipe is that of ssd_mobilenet_v1_300: none is published for it with a cosine schedule.
"""

from training.config import Config

CONFIG = Config(
    architecture="ssdlite_mobilenet_v2",
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
