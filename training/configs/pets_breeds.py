# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Pet faces of three breeds: the tutorial's detector, SSD MobileNet v1 0.75 at 300 pixels.

command   python -m training.train pets_breeds
              train_data=PETS train_list=training/splits/pets_train.txt
              validation_data=PETS validation_list=training/splits/pets_validation.txt
              warm_start=mobilenet_v1_0.75_192_quant.tflite --out RUN
hardware  two cores of an AMD EPYC (Zen 4), shared with another run
time      20 min 12 s
result    float AP .427, AP50 .772; int8 file AP .424, AP50 .790 (exported with --regular-nms),
          3,219,389 bytes
"""

from training.config import Config

CONFIG = Config(
    architecture="ssd_mobilenet_v1",
    depth_multiplier=0.75,
    image_size=300,
    label_from="file_name",
    zoom_out=True,
    batch_size=16,
    steps=700,
    optimizer="adam",
    learning_rate=5e-4,
    warmup_steps=100,
    batch_norm_momentum=0.97,
    quantize_from=300,
    freeze_batch_norm_from=150,
    nms_iou_threshold=0.5,
    evaluate_every=100,
    checkpoint_every=200,
)
