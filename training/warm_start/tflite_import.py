# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""From a .tflite file into a detector: a classifier as its backbone, or an SSD as a whole."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from training.models.box_predictor import BoxPredictor
from training.models.ssd_feature_maps import SsdFeatureMaps
from training.warm_start.block_weights import (
    BlockWeights,
    assign,
    assign_range,
    convolutions_of,
    pair_up,
)
from training.warm_start.load_report import LoadReport
from training.warm_start.tflite_graph import TfliteGraph
from training.warm_start.tflite_heads import find_heads


@dataclass
class _Found:
    """All that will be assigned, once everything has been checked."""

    pairs: list[tuple[Any, BlockWeights]]
    ranges: list[tuple[Any, tuple[float, float]]] = field(default_factory=list)
    unused: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def load_tflite(model: Any, path: str) -> LoadReport:
    """Loads a published file: dequantised, batch norm folded, with the ranges of its activations.

    A file that ends in the op gives the whole of an SSD detector of six maps; the class heads only
    where the number of classes is the same. Any other file gives the backbone.

    Raises:
      ValueError: not a .tflite file, or something in it does not fit; the model is as it was.
      OSError: the file cannot be read.
    """
    graph = TfliteGraph(path)
    whole = bool(graph.file.postprocess_operators())
    if whole and not _is_ssd(model):
        found = _backbone(model, graph)
        found.notes.append("the detector is of another kind: only its backbone was loaded")
    else:
        found = _detector(model, graph) if whole else _backbone(model, graph)
    for block, weights in found.pairs:
        assign(block, weights)
    for observed, bounds in found.ranges:
        assign_range(observed, bounds)
    loaded = {id(block) for block, _ in found.pairs}
    own_ranges = sum(w.output_range is not None and b.range is not None for b, w in found.pairs)
    return LoadReport(
        source=f"{path} (.tflite, {'detector' if whole else 'classifier'})",
        loaded=tuple(block for block, _ in found.pairs),
        fresh=tuple(b.path for b in convolutions_of(model) if id(b) not in loaded),
        unused=tuple(found.unused),
        ranges=own_ranges + len(found.ranges),
        folded=True,
        notes=tuple(found.notes),
    )


def _is_ssd(model: Any) -> bool:
    return isinstance(model.predictor, BoxPredictor) and isinstance(
        model.feature_maps, SsdFeatureMaps
    )


def _backbone(model: Any, graph: TfliteGraph) -> _Found:
    """The first convolutions of the file; those behind them are the classifier's."""
    weights = [graph.block_weights(operator) for operator in graph.convolutions()]
    blocks = model.backbone.blocks()
    return _chain(model, graph, blocks, weights[: len(blocks)], weights[len(blocks) :])


def _detector(model: Any, graph: TfliteGraph) -> _Found:
    heads = find_heads(model, graph)
    others = [op for op in graph.convolutions() if op.index not in heads.operators]
    extras = [block for step in model.feature_maps.steps for block in step]
    blocks = [*model.backbone.blocks(), *extras]
    found = _chain(model, graph, blocks, [graph.block_weights(op) for op in others], [])
    same_classes = heads.file_classes == model.num_classes
    for head in [*heads.boxes, *(heads.classes if same_classes else [])]:
        found.pairs += pair_up(head.blocks, head.weights(graph), graph.path)
    if not same_classes:
        found.notes.append(
            f"the file has {heads.file_classes} classes, the model {model.num_classes}: its class "
            "heads were left out"
        )
        found.unused += [graph.block_weights(h.operators[-1]).where for h in heads.classes]
    predictor = model.predictor
    bounds = [(predictor.box_range, heads.box_range)]
    bounds += [(predictor.class_range, heads.class_range)] if same_classes else []
    found.ranges += [(observed, own) for observed, own in bounds if own is not None]
    return found


def _chain(
    model: Any,
    graph: TfliteGraph,
    blocks: list[Any],
    weights: list[BlockWeights],
    unused: list[BlockWeights],
) -> _Found:
    if not weights:
        raise ValueError(f"{graph.path} holds no convolution that the model has")
    weights[0], note = graph.normalization().folded_into(weights[0])
    found = _Found(pair_up(blocks, weights, graph.path), unused=[w.where for w in unused])
    found.notes += [note] if note else []
    found.ranges = _sum_ranges(model.backbone, graph)
    return found


def _sum_ranges(backbone: Any, graph: TfliteGraph) -> list[tuple[Any, tuple[float, float]]]:
    """The ranges of a MobileNet v2's sums, where the file has as many as the model."""
    bottlenecks = getattr(backbone, "bottlenecks", [])
    observed = [b.sum_range for b in bottlenecks if b.sum_range is not None]
    sums = [op.outputs[0] for op in graph.graph.operators if op.name == "ADD"]
    bounds = [graph.quantized_range(tensor) for tensor in sums]
    if len(observed) != len(bounds):
        return []
    return [(o, b) for o, b in zip(observed, bounds, strict=True) if b is not None]
