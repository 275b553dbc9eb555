# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Blood cells (BCCD): red and white cells and platelets.

command   python -m training.train bccd
              train_data=BCCD train_list=BCCD/ImageSets/train.txt
              validation_data=BCCD validation_list=BCCD/ImageSets/val.txt
              warm_start=mobilenet_v1_0.5_160_quant.tflite --out RUN
hardware  two cores of an AMD EPYC (Zen 4), shared with another run
time      21 min 32 s
result    float AP .471, AP50 .859; int8 file AP .473, AP50 .858 (exported with --regular-nms
          --max-detections 100), 1,618,460 bytes

A microscope has one scale, so there are no random crops. Anchors begin at .08 of the picture, the
size of a platelet.
"""

from training.config import Config

CONFIG = Config(
    architecture="ssd_mobilenet_v1",
    depth_multiplier=0.5,
    image_size=416,
    anchor_scales="0.08,0.18,0.3,0.45,0.65,0.9",
    random_crop=False,
    batch_size=16,
    steps=450,
    optimizer="adam",
    learning_rate=1e-3,
    warmup_steps=50,
    batch_norm_momentum=0.97,
    per_channel=True,
    quantize_from=220,
    freeze_batch_norm_from=340,
    nms_iou_threshold=0.5,
    evaluate_every=110,
    checkpoint_every=200,
)
