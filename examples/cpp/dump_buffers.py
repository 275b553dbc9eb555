# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Runs a detector on a photo and writes what goes into its last op, for postprocess.cc.

    python dump_buffers.py MODEL.tflite PHOTO.jpg FOLDER

FOLDER gets problem.txt (options, types, shapes, quantisation) and three .bin files.
"""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from PIL import Image

from detops import Options
from detops.model_file import ModelFile


def main(model: str, photo: str, folder: str) -> None:
    graph, node = ModelFile.read(model).postprocess_operators()[0]
    # Without XNNPACK every tensor keeps its value.
    interpreter = Interpreter(
        model_path=model,
        experimental_preserve_all_tensors=True,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    interpreter.allocate_tensors()
    entrance = interpreter.get_input_details()[0]
    _, height, width, _ = entrance["shape"]
    image = Image.open(photo).convert("RGB").resize((width, height))
    interpreter.set_tensor(entrance["index"], np.asarray(image)[np.newaxis])
    interpreter.invoke()

    out = Path(folder)
    out.mkdir(parents=True, exist_ok=True)
    options = dataclasses.asdict(Options.from_bytes(node.custom_options or b""))
    lines = [f"option {name} {float(value)!r}" for name, value in options.items()]
    for name, index in zip(("box_encodings", "scores", "anchors"), node.inputs, strict=True):
        values = interpreter.get_tensor(index)
        quantization = graph.tensors[index].quantization
        scale = quantization.scales[0] if quantization and quantization.scales else 0.0
        zero = quantization.zero_points[0] if quantization and quantization.zero_points else 0
        shape = " ".join(str(size) for size in values.shape)
        lines.append(f"tensor {name} {values.dtype} {float(scale)!r} {zero} {values.ndim} {shape}")
        (out / f"{name}.bin").write_bytes(values.tobytes())
    (out / "problem.txt").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
