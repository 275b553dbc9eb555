# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Small models whose outputs are box encodings and scores, for the tests of `detops.convert`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import flatbuffers
import numpy as np

import detops
from detops.convert.model_edit import ModelEdit
from detops.model_file import ModelFile
from detops.nodes.facts import read_nodes
from model_builder import Array, GraphWriter, Quantization, quantize, schema

ROWS, CLASSES = 24, 5
OPTIONS = detops.Options(
    num_classes=CLASSES, max_detections=8, nms_score_threshold=0.3, nms_iou_threshold=0.5
)
ANCHORS = np.concatenate(
    [
        np.random.default_rng(0).uniform(0.1, 0.9, (ROWS, 2)),
        np.random.default_rng(1).uniform(0.1, 0.4, (ROWS, 2)),
    ],
    axis=1,
).astype(np.float32)
BOX_QUANTIZATION = {"uint8": (0.03, 120), "int8": (0.03, -8)}
PROBABILITIES = {"uint8": (1 / 256, 0), "int8": (1 / 256, -128)}
LOGITS = {"uint8": (0.05, 130), "int8": (0.05, 2)}


@dataclass(frozen=True, kw_only=True)
class RawModel:
    """Two inputs, each through one operator to an output, as a network's heads."""

    dtype: str = "float32"
    scores_first: bool = False
    logistic: bool = True
    """The scores pass a LOGISTIC; else they are the logits."""
    score_quantization: Quantization | None = None
    """Of the output; None for what the type has."""
    box_shape: Sequence[int] = (1, ROWS, 4)
    score_shape: Sequence[int] = (1, ROWS, CLASSES + 1)
    signature: bool = False

    def build(self) -> bytes:
        """The .tflite file."""
        writer = GraphWriter()
        dtype = np.dtype(self.dtype)
        boxes = writer.tensor("raw_boxes", self.box_shape, dtype, self._boxes())
        logits = writer.tensor("logits", self.score_shape, dtype, LOGITS.get(self.dtype))
        out_boxes = writer.tensor("a", self.box_shape, dtype, self._boxes())
        _reshape(writer, boxes, out_boxes, self.box_shape)
        scores = writer.tensor("b", self.score_shape, dtype, self._scores())
        if self.logistic:
            version = 2 if self.dtype == "int8" else 1
            writer.operator(schema.BuiltinOperator.LOGISTIC, [logits], [scores], version)
        else:
            _reshape(writer, logits, scores, self.score_shape)
        outputs = [scores, out_boxes] if self.scores_first else [out_boxes, scores]
        content = writer.finish([boxes, logits], outputs)
        return _with_signature(content) if self.signature else content

    def inputs(self, seed: int = 3) -> list[Array]:
        """Boxes and logits, in the shapes and the type of the model."""
        rng = np.random.default_rng(seed)
        boxes = rng.normal(0, 1, self.box_shape).astype(np.float32)
        logits = rng.normal(0, 2, self.score_shape).astype(np.float32)
        dtype = np.dtype(self.dtype)
        return [
            quantize(boxes, dtype, self._boxes()),
            quantize(logits, dtype, LOGITS.get(self.dtype)),
        ]

    def _boxes(self) -> Quantization | None:
        return BOX_QUANTIZATION.get(self.dtype)

    def _scores(self) -> Quantization | None:
        if self.score_quantization is not None:
            return self.score_quantization
        return (PROBABILITIES if self.logistic else LOGITS).get(self.dtype)


def _reshape(writer: GraphWriter, source: int, output: int, shape: Sequence[int]) -> None:
    wanted = np.asarray(shape, np.int32)
    constant = writer.tensor("shape", wanted.shape, wanted.dtype, data=wanted)
    writer.operator(schema.BuiltinOperator.RESHAPE, [source, constant], [output])


def _with_signature(content: bytes) -> bytes:
    model = schema.ModelT.InitFromPackedBuf(content)
    graph = model.subgraphs[0]
    signature = schema.SignatureDefT()
    signature.signatureKey = "serving_default"
    for field, names, tensors in (
        ("inputs", ("boxes", "logits"), graph.inputs),
        ("outputs", ("output_0", "output_1"), graph.outputs),
    ):
        entries = []
        for name, index in zip(names, tensors, strict=True):
            entry = schema.TensorMapT()
            entry.name, entry.tensorIndex = name, int(index)
            entries.append(entry)
        setattr(signature, field, entries)
    model.signatureDefs = [signature]
    return packed(model)


def packed(model: Any) -> bytes:
    """The bytes of an object of the schema."""
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def run_outputs(interpreter: Any, inputs: Sequence[Array]) -> list[Array]:
    """The graph outputs in the order of the file."""
    interpreter.allocate_tensors()
    for detail, array in zip(interpreter.get_input_details(), inputs, strict=True):
        interpreter.set_tensor(detail["index"], array)
    interpreter.invoke()
    return [interpreter.get_tensor(d["index"]).copy() for d in interpreter.get_output_details()]


def op_names(model: bytes) -> list[str]:
    """The operators of the main graph."""
    return [op.name for op in ModelFile.read(model).subgraphs[0].operators]


def without_op(model: bytes) -> tuple[bytes, Array, detops.Options]:
    """A model cut off in front of the op, with the anchors, as float32, and the options it had."""
    [facts] = read_nodes(ModelFile.read(model))
    anchors = facts.inputs["anchors"].real_constant()
    assert anchors is not None
    edit = ModelEdit(model)
    graph, node = edit.postprocess_nodes()[0]
    graph.outputs = node.inputs[1::-1]
    graph.operators.remove(node)
    edit.sweep(graph, [])
    options = detops.Options.from_bytes(facts.operator.custom_options or b"")
    return edit.save(), anchors.astype(np.float32), options


def label_names(model: bytes) -> list[str]:
    """A name for each class of a model with the op."""
    [(_, node)] = ModelFile.read(model).postprocess_operators()
    count = detops.Options.from_bytes(node.custom_options or b"").num_classes
    return [f"class of number {number}" for number in range(count)]
