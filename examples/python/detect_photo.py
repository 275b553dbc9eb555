# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Finds objects in a photo with a TFLite detector, with nothing but an interpreter and detops.

    python detect_photo.py MODEL.tflite PHOTO.jpg

For models with a uint8 input, such as the quantised SSD MobileNets. The one line that matters is
register_ops; `detops detect` does the same with labels, pictures and other input types.
"""

from __future__ import annotations

import sys

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from PIL import Image

import detops


def main(model: str, photo: str) -> None:
    interpreter = Interpreter(model_path=model)
    print(detops.register_ops(interpreter))
    interpreter.allocate_tensors()

    entrance = interpreter.get_input_details()[0]
    _, height, width, _ = entrance["shape"]
    image = Image.open(photo).convert("RGB").resize((width, height))
    interpreter.set_tensor(entrance["index"], np.asarray(image)[np.newaxis])
    interpreter.invoke()

    boxes, classes, scores, count = (
        interpreter.get_tensor(detail["index"]) for detail in interpreter.get_output_details()
    )
    for i in range(int(count[0])):
        if scores[0, i] >= 0.5:
            print(f"class {classes[0, i]:.0f}  score {scores[0, i]:.2f}  box {boxes[0, i]}")


if __name__ == "__main__":
    main(*sys.argv[1:])
