# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Pet faces, one class: the small detector that comes with detops.

command   python -m training.train pets_heads
              train_data=PETS train_list=training/splits/pets_train.txt
              validation_data=PETS validation_list=training/splits/pets_validation.txt
              warm_start=mobilenet_v1_0.5_160_quant.tflite --out RUN
hardware  two cores of an AMD EPYC (Zen 4), shared with another run
time      15 min 43 s
result    float AP .567, AP50 .926; int8 file AP .575, AP50 .927, 940,259 bytes

The float numbers are those of the same weights without fake quantisation. SSD's zoom-out makes up
for the crops, which show faces larger than whole photos do: without it AP50 stays below .90.
"""

from training.config import Config

CONFIG = Config(
    architecture="ssd_mobilenet_v1_ppn",
    depth_multiplier=0.5,
    image_size=256,
    single_class="pet face",
    zoom_out=True,
    batch_size=16,
    steps=1_000,
    optimizer="adam",
    learning_rate=1e-3,
    warmup_steps=100,
    batch_norm_momentum=0.97,
    per_channel=True,
    quantize_from=450,
    freeze_batch_norm_from=700,
    nms_iou_threshold=0.5,
    evaluate_every=100,
    checkpoint_every=200,
)
