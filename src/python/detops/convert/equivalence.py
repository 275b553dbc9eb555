# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Whether an edited file detects what it should: it is run with detops on random inputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detops.convert.model_edit import ModelEdit, indices
from detops.interpreter import Interpreter
from detops.model_file import ModelFile, Operator, Subgraph, Tensor
from detops.options import Options
from detops.postprocessing import postprocess
from detops.random_inputs import random_inputs

_ROLES = ("boxes", "classes", "scores", "number of detections")
_FRAMES = 2
_CANNOT_RUN = (ImportError, RuntimeError, ValueError, MemoryError)

Frames = list[list[NDArray[Any]]]


def check_same_detections(before: bytes, after: bytes) -> bool:
    """Compares the bits of every output of every post-processing node.

    Args:
      before: a model.
      after: the same model, rewritten, with the same inputs and nodes.

    Returns:
      Whether they were compared: not without a runtime, nor where `before` does not run or takes
      inputs other than numbers.

    Raises:
      ValueError: `after` does not run, or detects something else.
    """
    try:
        inputs = _inputs_of(before)
        expected = _run(before, inputs, _detections_of(before))
    except _CANNOT_RUN:
        return False
    _check_equal(_run_edited(after, inputs), expected)
    return True


def check_node_results(before: bytes, after: bytes) -> bool:
    """Compares the results of the nodes of `after` with `detops.postprocess` on what they read.

    Args:
      before: a model.
      after: the same model with nodes that `before` has not, or with other options.

    Returns:
      Whether they were compared; see `check_same_detections`.

    Raises:
      ValueError: `after` does not run, or its nodes give something else.
    """
    try:
        inputs = _inputs_of(before)
        _run(before, inputs, [])
    except _CANNOT_RUN:
        return False
    got = _run_edited(after, inputs)
    feeds = _run(_with_feeds_as_outputs(after), inputs, _feeds_of(after))
    _check_equal(got, [_postprocessed(after, arrays) for arrays in feeds])
    return True


def _inputs_of(model: bytes) -> Frames:
    graph = ModelFile.read(model).subgraphs[0]
    return [random_inputs(graph, seed) for seed in range(_FRAMES)]


def _run_edited(model: bytes, inputs: Frames) -> Frames:
    try:
        return _run(model, inputs, _detections_of(model))
    except _CANNOT_RUN as error:
        raise ValueError(f"the edited model does not run: {error}") from error


def _run(model: bytes, inputs: Frames, tensors: Sequence[int]) -> Frames:
    """The values of some tensors for each frame, with detops."""
    interpreter = Interpreter(model_content=model)
    interpreter.allocate_tensors()
    places = ModelFile.read(model).subgraphs[0].inputs
    found = []
    for arrays in inputs:
        for index, array in zip(places, arrays, strict=True):
            interpreter.set_tensor(index, array)
        interpreter.invoke()
        found.append([np.array(interpreter.get_tensor(index)) for index in tensors])
    return found


def _check_equal(got: Frames, expected: Frames) -> None:
    for frame, (ours, theirs) in enumerate(zip(got, expected, strict=True)):
        for number, (a, b) in enumerate(zip(ours, theirs, strict=True)):
            # Shapes may differ: files may leave them out, and runtimes add the batch.
            if a.size != b.size or a.tobytes() != b.tobytes():
                role = _ROLES[number % len(_ROLES)]
                raise ValueError(
                    f"the edited model has other {role} in random frame {frame}: "
                    f"{np.ravel(a)[:4].tolist()}, expected {np.ravel(b)[:4].tolist()}"
                )


def _nodes(model: bytes) -> list[tuple[Subgraph, Operator]]:
    """Those whose results can be read."""
    file = ModelFile.read(model)
    seen = set(file.subgraphs[0].outputs)
    nodes = file.postprocess_operators()
    return [(g, op) for g, op in nodes if g.index == 0 and seen.issuperset(op.outputs)]


def _detections_of(model: bytes) -> list[int]:
    return [tensor for _, op in _nodes(model) for tensor in op.outputs]


def _feeds_of(model: bytes) -> list[int]:
    return [tensor for _, op in _nodes(model) for tensor in op.inputs]


def _with_feeds_as_outputs(model: bytes) -> bytes:
    """A copy that keeps what the nodes read: a runtime reuses the memory of all but outputs."""
    edit = ModelEdit(model)
    outputs = dict.fromkeys([*indices(edit.graphs[0].outputs), *_feeds_of(model)])
    edit.graphs[0].outputs = np.asarray(list(outputs), np.int32)
    return edit.save()


def _postprocessed(model: bytes, feeds: list[NDArray[Any]]) -> list[NDArray[Any]]:
    results: list[NDArray[Any]] = []
    for number, (graph, op) in enumerate(_nodes(model)):
        boxes, scores, anchors = feeds[3 * number : 3 * number + 3]
        quantizations = [_scale_and_zero_point(graph.tensors[index]) for index in op.inputs]
        results += postprocess(
            boxes,
            scores,
            anchors,
            Options.from_bytes(op.custom_options or b""),
            box_quantization=quantizations[0],
            score_quantization=quantizations[1],
            anchor_quantization=quantizations[2],
        )
    return results


def _scale_and_zero_point(tensor: Tensor) -> tuple[float, int] | None:
    if tensor.dtype == "float32" or tensor.quantization is None:
        return None
    return tensor.quantization.scales[0], (*tensor.quantization.zero_points, 0)[0]
