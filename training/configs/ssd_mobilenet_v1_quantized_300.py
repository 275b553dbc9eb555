# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""SSD MobileNet v1 at 300 pixels, fake quantisation for the last 2000 steps.

command   python -m training.train ssd_mobilenet_v1_quantized_300
              train_data=TRAIN validation_data=VALIDATION --out RUN
hardware  a batch of 128 at 300 pixels: several accelerators; on fewer, scale batch_size
          and both learning rates alike
time      not run here
result    not run here; published for COCO: AP .182 quantised

The published recipe does not freeze batch norm; the last 1000 steps here do (Krishnamoorthi 2018).
"""

from training.config import Config

CONFIG = Config(
    architecture="ssd_mobilenet_v1",
    image_size=300,
    photometric=False,
    batch_size=128,
    steps=50_000,
    learning_rate=0.2,
    warmup_learning_rate=0.06,
    warmup_steps=2_000,
    quantize_from=48_000,
    freeze_batch_norm_from=49_000,
    checkpoint_every=1000,
    log_every=100,
    evaluate_every=5000,
)
