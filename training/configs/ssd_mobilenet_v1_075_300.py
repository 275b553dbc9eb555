# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""SSD MobileNet v1 0.75 at 300 pixels, quantised: the pets tutorial of 2018.

command   python -m training.train ssd_mobilenet_v1_075_300
              train_data=TRAIN validation_data=VALIDATION --out RUN
hardware  a batch of 128 at 300 pixels: several accelerators; on fewer, scale batch_size
          and both learning rates alike
time      not run here
result    not run here; published for COCO: AP .18 float, .16 quantised, 4.2 MB as int8

The tutorial's recipe fine-tunes a COCO detector: give warm_start=FILE. It does not freeze batch
norm; the last 100 steps here do (Krishnamoorthi 2018).
"""

from training.config import Config

CONFIG = Config(
    architecture="ssd_mobilenet_v1",
    depth_multiplier=0.75,
    image_size=300,
    photometric=False,
    batch_size=128,
    steps=2_000,
    learning_rate=0.2,
    quantize_from=1_800,
    freeze_batch_norm_from=1_900,
    checkpoint_every=200,
    evaluate_every=500,
)
