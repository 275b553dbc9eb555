# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""RetinaNet ResNet-50 at 640 pixels: levels 3 to 7, 51150 anchors.

command   python -m training.train retinanet_resnet50_640
              train_data=TRAIN validation_data=VALIDATION --out RUN
hardware  a batch of 64 at 640 pixels: several accelerators; on fewer, scale batch_size
          and both learning rates alike
time      not run here
result    not run here; published for COCO: AP .352; .369 with twice the steps
"""

from training.config import Config

CONFIG = Config(
    architecture="retinanet_resnet50",
    image_size=640,
    photometric=False,
    batch_size=64,
    steps=25_000,
    learning_rate=0.04,
    warmup_learning_rate=0.013333,
    warmup_steps=2_000,
    weight_decay=4e-4,
    focal_alpha=0.25,
    mixed_precision=True,
    checkpoint_every=1000,
    log_every=100,
    evaluate_every=5000,
)
