# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Whole frames of real detectors, and the share of the post-processing before and after."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from PIL import Image

import detops
from benchmarks.timing import time_in_turn
from detops.model_file import ModelFile


def measure_model(model: Path, photo: Path, seconds: float) -> dict[str, Any]:
    """Times frames with stock and detops in turn; the post-processing alone from real tensors."""
    stock, ours = Interpreter(model_path=str(model)), Interpreter(model_path=str(model))
    registration = detops.register_ops(ours)
    for interpreter in (stock, ours):
        interpreter.allocate_tensors()
        entrance = interpreter.get_input_details()[0]
        _, height, width, _ = entrance["shape"]
        picture = Image.open(photo).convert("RGB").resize((width, height))
        interpreter.set_tensor(entrance["index"], np.asarray(picture)[np.newaxis])
        interpreter.invoke()
    _compare(model, stock, ours)
    stock_time, ours_time = time_in_turn([stock.invoke, ours.invoke], seconds=seconds)
    alone = _postprocessing_alone(model, stock, seconds)
    return {
        "model": model.name,
        "photo": photo.name,
        "registration": str(registration),
        "stock_frame": stock_time.as_dict(),
        "detops_frame": ours_time.as_dict(),
        "stock_postprocessing": alone[0].as_dict(),
        "detops_postprocessing": alone[1].as_dict(),
    }


def _compare(model: Path, stock: Any, ours: Any) -> None:
    count = int(stock.get_tensor(stock.get_output_details()[3]["index"])[0])
    for detail in stock.get_output_details()[:3]:
        want, have = (i.get_tensor(detail["index"])[0, :count] for i in (stock, ours))
        assert want.tobytes() == have.tobytes(), f"{model.name}: {detail['name']} differ"


def _postprocessing_alone(model: Path, stock: Any, seconds: float) -> list[Any]:
    """The last node as a model of its own, fed with what the network computed for the photo."""
    from benchmarks.op_cases import PostprocessModel

    graph, node = ModelFile.read(model).postprocess_operators()[0]
    boxes, scores, anchors = (graph.tensors[index] for index in node.inputs)
    keep_all = Interpreter(model_path=str(model), experimental_preserve_all_tensors=True)
    keep_all.allocate_tensors()
    source, target = (i.get_input_details()[0]["index"] for i in (stock, keep_all))
    keep_all.set_tensor(target, stock.get_tensor(source))
    keep_all.invoke()
    inputs = [keep_all.get_tensor(tensor.index) for tensor in (boxes, scores)]
    constant = anchors.constant()
    assert constant is not None
    single = PostprocessModel(
        class_columns=scores.shape[2],
        anchors=constant,
        options=node.custom_options,
        box_dtype=boxes.dtype,
        score_dtype=scores.dtype,
        anchor_dtype=anchors.dtype,
        box_quantization=_pair(boxes),
        score_quantization=_pair(scores),
        anchor_quantization=_pair(anchors),
    ).build()
    runs = [Interpreter(model_content=single), Interpreter(model_content=single)]
    detops.register_ops(runs[1])
    for interpreter in runs:
        interpreter.allocate_tensors()
        for detail, array in zip(interpreter.get_input_details(), inputs, strict=True):
            interpreter.set_tensor(detail["index"], array)
    return time_in_turn([runs[0].invoke, runs[1].invoke], seconds=seconds)


def _pair(tensor: Any) -> tuple[float, int] | None:
    if tensor.quantization is None:
        return None
    return tensor.quantization.scales[0], tensor.quantization.zero_points[0]
