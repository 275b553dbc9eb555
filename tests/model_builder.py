# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Builds small .tflite models around TFLite_Detection_PostProcess, valid ones and broken ones.

The bytes are real flatbuffers, written through the object API of the public TFLite schema, so the
stock runtimes load them exactly as they load a converter's output.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import flatbuffers
import numpy as np
from flatbuffers import flexbuffers

try:
    from ai_edge_litert import schema_py_generated as schema
except ImportError:
    from tensorflow.lite.python import schema_py_generated as schema

Array = np.ndarray[Any, Any]
# Scale and zero point; several scales share the zero point and belong to the last dimension.
Quantization = tuple[Any, int]
Shape = tuple[int, ...]

CUSTOM_CODE = "TFLite_Detection_PostProcess"
OUTPUT_NAMES = ("detection_boxes", "detection_classes", "detection_scores", "num_detections")
OPTIONAL_TENSOR = -1

_TENSOR_TYPES = {
    name: getattr(schema.TensorType, name.upper())
    for name in ("float32", "float16", "float64", "int64", "int32", "int16", "int8", "uint8")
}
_SCHEMA_VERSION = 3


def default_options(num_classes: int, **overrides: Any) -> dict[str, Any]:
    """Every option of the op, with values a TF1 exporter would write.

    An override of None leaves the key out. Keys that start with "_" are added as they are; any
    other key the op does not know raises TypeError, so that a typo cannot weaken a test.
    """
    options: dict[str, Any] = {
        "max_detections": 10,
        "max_classes_per_detection": 1,
        "detections_per_class": 100,
        "use_regular_nms": False,
        "nms_score_threshold": 0.3,
        "nms_iou_threshold": 0.6,
        "num_classes": num_classes,
        "y_scale": 10.0,
        "x_scale": 10.0,
        "h_scale": 5.0,
        "w_scale": 5.0,
    }
    for key, value in overrides.items():
        if key not in options and not key.startswith("_"):
            raise TypeError(f"option {key!r} is not one of {sorted(options)}")
        options[key] = value
    return {key: value for key, value in options.items() if value is not None}


class GraphWriter:
    """Collects tensors and operators of one subgraph and packs them."""

    def __init__(self) -> None:
        self.graph = schema.SubGraphT()
        self.graph.name = "main"
        self.graph.tensors, self.graph.operators = [], []
        # The schema reserves buffer 0, always empty, for tensors without data.
        self.buffers = [schema.BufferT()]
        self.operator_codes: list[Any] = []

    def tensor(
        self,
        name: str,
        shape: Sequence[int],
        dtype: np.dtype[Any],
        quantization: Quantization | None = None,
        data: Array | None = None,
    ) -> int:
        tensor = schema.TensorT()
        tensor.name = name
        tensor.shape = np.asarray(shape, np.int32)
        tensor.type = _TENSOR_TYPES[np.dtype(dtype).name]
        tensor.hasRank = True
        if quantization is not None:
            tensor.quantization = schema.QuantizationParametersT()
            tensor.quantization.scale = np.atleast_1d(np.asarray(quantization[0], np.float32))
            zero_points = np.full_like(tensor.quantization.scale, quantization[1], np.int64)
            tensor.quantization.zeroPoint = zero_points
            tensor.quantization.quantizedDimension = len(shape) - 1 if len(zero_points) > 1 else 0
        if data is not None:
            tensor.buffer = len(self.buffers)
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(np.ascontiguousarray(data).tobytes(), np.uint8)
            self.buffers.append(buffer)
        self.graph.tensors.append(tensor)
        return len(self.graph.tensors) - 1

    def operator(
        self,
        builtin: int,
        inputs: Sequence[int],
        outputs: Sequence[int],
        version: int = 1,
        custom_code: str | None = None,
    ) -> Any:
        code = schema.OperatorCodeT()
        code.deprecatedBuiltinCode = code.builtinCode = builtin
        code.version, code.customCode = version, custom_code
        self.operator_codes.append(code)
        operator = schema.OperatorT()
        operator.opcodeIndex = len(self.operator_codes) - 1
        operator.inputs = np.asarray(inputs, np.int32)
        operator.outputs = np.asarray(outputs, np.int32)
        self.graph.operators.append(operator)
        return operator

    def finish(self, inputs: Sequence[int], outputs: Sequence[int]) -> bytes:
        self.graph.inputs = np.asarray(inputs, np.int32)
        self.graph.outputs = np.asarray(outputs, np.int32)
        model = schema.ModelT()
        model.version = _SCHEMA_VERSION
        model.description = "detops test model"
        model.operatorCodes = self.operator_codes
        model.subgraphs = [self.graph]
        model.buffers = self.buffers
        builder = flatbuffers.Builder(1024)
        builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
        return bytes(builder.Output())


@dataclass(frozen=True, eq=False, kw_only=True)
class PostprocessModel:
    """A graph that ends in one or two post-processing nodes; every field can be made wrong.

    Graph inputs: boxes [batch, N, K], scores [batch, N, Cb] and, where `anchors` is None, anchors
    [N, 4]. With `reshape_after_dequantize` the first two are flat: [batch, N * K], [batch, N * Cb].
    """

    class_columns: int
    anchors: Array | None = None
    """Constant anchors, written with `anchor_dtype`; None makes them the third graph input."""
    num_anchors: int | None = None
    """N; None takes the number of rows of `anchors`."""
    box_columns: int = 4
    batch: int = 1
    box_dtype: Any = np.float32
    score_dtype: Any = np.float32
    anchor_dtype: Any = np.float32
    box_quantization: Quantization | None = None
    score_quantization: Quantization | None = None
    anchor_quantization: Quantization | None = None
    dequantize: bool = False
    """Puts DEQUANTIZE in front of each 8-bit input of the op, so that the op itself sees floats."""
    reshape_after_dequantize: bool = False
    reshape_infers_rows: bool = False
    """Writes -1 for N in the shapes of these RESHAPEs, as converters do."""
    options: Mapping[str, Any] | bytes | None = field(default_factory=lambda: default_options(1))
    num_inputs: int = 3
    num_outputs: int = 4
    shared_outputs: tuple[int, ...] = ()
    """Outputs of the op that are the tensor of its last output."""
    aliased_outputs: tuple[tuple[int, str], ...] = ()
    """Outputs of the op that are a tensor of another name, such as "anchors"."""
    missing_inputs: tuple[int, ...] = ()
    """Positions of node inputs written as -1, the schema's mark of an optional tensor left out."""
    declared_output_shapes: bool = True
    """False declares shape [], as TOCO does."""
    custom_code: str = CUSTOM_CODE
    also_output_dequantized: bool = False
    two_ops: bool = False
    box_shape: Shape | None = None
    """Overrides the shape of the op's box input; likewise below."""
    score_shape: Shape | None = None
    anchor_shape: Shape | None = None

    @property
    def rows(self) -> int:
        """N, the number of anchors that the box input declares."""
        if self.num_anchors is not None:
            return self.num_anchors
        if self.anchors is None:
            raise ValueError("num_anchors is needed where anchors is None")
        return int(self.anchors.shape[0])

    @property
    def input_shapes(self) -> list[Shape]:
        """Shapes of the graph inputs, in order."""
        shapes = [self._boxes(), self._scores()]
        if self.reshape_after_dequantize:
            shapes = [_flat(shape) for shape in shapes]
        return shapes if self.anchors is not None else [*shapes, self._anchors()]

    def graph_inputs(self, *arrays: Array) -> list[Array]:
        """Boxes, scores and, if dynamic, anchors, in the shapes that the graph inputs have."""
        shapes = self.input_shapes
        if len(arrays) < len(shapes):
            raise ValueError(f"got {len(arrays)} arrays, the graph has {len(shapes)} inputs")
        return [a.reshape(s) for a, s in zip(arrays, shapes, strict=False)]

    def build(self) -> bytes:
        """The .tflite file."""
        writer = GraphWriter()
        shapes = [*self.input_shapes, self._anchors()][:3]
        tensors = [
            writer.tensor("boxes", shapes[0], self.box_dtype, self.box_quantization),
            writer.tensor("scores", shapes[1], self.score_dtype, self.score_quantization),
            self._write_anchors(writer),
        ]
        graph_inputs = tensors if self.anchors is None else tensors[:2]
        feeds = [self._dequantized(writer, index) for index in tensors]
        also = [feed for feed, index in zip(feeds, tensors, strict=True) if feed != index]
        if self.reshape_after_dequantize:
            feeds[0] = self._reshaped(writer, feeds[0], self._boxes())
            feeds[1] = self._reshaped(writer, feeds[1], self._scores())
        outputs = self._write_node(writer, feeds, "")
        if self.two_ops:
            outputs += self._write_node(writer, feeds, "_2")
        if self.also_output_dequantized:
            outputs += also
        return writer.finish(graph_inputs, outputs)

    def _boxes(self) -> Shape:
        default = (self.batch, self.rows, self.box_columns)
        return default if self.box_shape is None else self.box_shape

    def _scores(self) -> Shape:
        default = (self.batch, self.rows, self.class_columns)
        return default if self.score_shape is None else self.score_shape

    def _anchors(self) -> Shape:
        if self.anchor_shape is not None:
            return self.anchor_shape
        return (self.rows, 4) if self.anchors is None else self.anchors.shape

    def _write_anchors(self, writer: GraphWriter) -> int:
        data = None if self.anchors is None else self.anchors.astype(self.anchor_dtype)
        return writer.tensor(
            "anchors", self._anchors(), self.anchor_dtype, self.anchor_quantization, data
        )

    def _dequantized(self, writer: GraphWriter, index: int) -> int:
        source = writer.graph.tensors[index]
        if not self.dequantize or source.type == schema.TensorType.FLOAT32:
            return index
        output = writer.tensor(f"{source.name}_dequantized", source.shape, np.dtype(np.float32))
        # Version 1 of DEQUANTIZE is uint8 only.
        version = 1 if source.type == schema.TensorType.UINT8 else 2
        writer.operator(schema.BuiltinOperator.DEQUANTIZE, [index], [output], version)
        return output

    def _reshaped(self, writer: GraphWriter, index: int, shape: Shape) -> int:
        source = writer.graph.tensors[index]
        dtype = next(name for name, code in _TENSOR_TYPES.items() if code == source.type)
        quantization = None
        if source.quantization is not None:
            quantization = (source.quantization.scale[0], source.quantization.zeroPoint[0])
        wanted = np.asarray(shape, np.int32)
        if self.reshape_infers_rows:
            wanted[1] = -1
        constant = writer.tensor(f"{source.name}_shape", wanted.shape, wanted.dtype, data=wanted)
        output = writer.tensor(f"{source.name}_reshaped", shape, np.dtype(dtype), quantization)
        operator = writer.operator(schema.BuiltinOperator.RESHAPE, [index, constant], [output])
        operator.builtinOptionsType = schema.BuiltinOptions.ReshapeOptions
        operator.builtinOptions = schema.ReshapeOptionsT()
        operator.builtinOptions.newShape = wanted
        return output

    def _write_node(self, writer: GraphWriter, feeds: list[int], suffix: str) -> list[int]:
        inputs = (feeds + feeds[-1:] * self.num_inputs)[: self.num_inputs]
        inputs = [OPTIONAL_TENSOR if i in self.missing_inputs else t for i, t in enumerate(inputs)]
        names = [f"{name}{suffix}" for name in OUTPUT_NAMES]
        names += [f"extra_output_{i}{suffix}" for i in range(len(names), self.num_outputs)]
        shapes = [*self._output_shapes(), *[()] * self.num_outputs]
        outputs = [
            writer.tensor(name, shape, np.dtype(np.float32))
            for name, shape in list(zip(names, shapes, strict=False))[: self.num_outputs]
        ]
        written = [outputs[-1] if i in self.shared_outputs else t for i, t in enumerate(outputs)]
        for position, name in self.aliased_outputs:
            tensors = writer.graph.tensors
            written[position] = next(i for i, t in enumerate(tensors) if t.name == name)
        operator = writer.operator(
            schema.BuiltinOperator.CUSTOM, inputs, written, custom_code=self.custom_code
        )
        if self.options is not None:
            packed = self.options
            if not isinstance(packed, bytes):
                packed = bytes(flexbuffers.Dumps(dict(packed)))
            operator.customOptions = np.frombuffer(packed, np.uint8)
        return outputs

    def _output_shapes(self) -> list[Shape]:
        slots = self._output_slots()
        if not self.declared_output_shapes or slots is None:
            return [(), (), (), ()]
        row = (self.batch, slots)
        return [(*row, 4), row, row, (self.batch,)]

    def _output_slots(self) -> int | None:
        if not isinstance(self.options, Mapping):
            return None
        factors = [self.options.get(key) for key in ("max_detections", "max_classes_per_detection")]
        if not all(isinstance(factor, int) and factor >= 0 for factor in factors):
            return None
        slots = int(factors[0] * factors[1])  # type: ignore[operator]
        # A broken model must not make the runtime reserve memory for a shape nobody will write.
        return slots if slots <= 1 << 20 else None


def _flat(shape: Shape) -> Shape:
    return (shape[0], int(np.prod(shape[1:], dtype=np.int64)))


def run(interpreter: Any, inputs: Sequence[Array]) -> dict[str, Array]:
    """Runs one frame and returns copies of all graph outputs by tensor name.

    The first four keys are the op's outputs in the op's order (boxes, classes, scores, count).
    Errors of the runtime propagate as they are.
    """
    interpreter.allocate_tensors()
    for detail, array in zip(interpreter.get_input_details(), inputs, strict=True):
        interpreter.set_tensor(detail["index"], array)
    interpreter.invoke()
    found = {
        detail["name"]: interpreter.get_tensor(detail["index"])
        for detail in interpreter.get_output_details()
    }
    order = [name for name in OUTPUT_NAMES if name in found]
    return {name: found[name] for name in [*order, *(n for n in found if n not in order)]}


# ---------------------------------------------------------------------------------------------
# Random valid cases
# ---------------------------------------------------------------------------------------------

SCORE_KINDS = ("ties", "background", "equal", "uniform", "boundary", "signed")
# Sets of (box, score, anchor) types that the stock op accepts without DEQUANTIZE.
_STOCK_DTYPES = [
    ("float32", "float32", "float32"),
    ("float32", "uint8", "float32"),
    ("uint8", "uint8", "uint8"),
    ("uint8", "float32", "uint8"),
]


def random_case(
    rng: np.random.Generator | int,
    *,
    max_anchors: int = 300,
    max_classes: int = 20,
    stock: bool = True,
    dtypes: tuple[Any, Any, Any] | None = None,
    dequantize: bool | None = None,
    regular: bool | None = None,
    dynamic_anchors: bool | None = None,
    score_kind: str | None = None,
    batch: int = 1,
    options: Mapping[str, Any] | None = None,
) -> tuple[PostprocessModel, list[Array]]:
    """Draws a valid model and its input arrays in graph order; one seed gives one case.

    `stock=True` draws only what the stock op runs; otherwise float32, uint8 and int8 mix freely.
    `dtypes` fixes (boxes, scores, anchors). Other keywords left at None are drawn. `options`
    overrides single options. Anchors are non-negative, also after dequantisation.
    """
    rng = np.random.default_rng(rng)
    dequantize = bool(rng.integers(2)) if dequantize is None else dequantize
    drawn = dtypes or _draw_dtypes(rng, stock and not dequantize)
    box, score, anchor = (np.dtype(dtype) for dtype in drawn)
    any_rows = int(rng.integers(1, max_anchors + 1))
    rows = int(rng.choice([1, 2, 7, 8, 9, 31, 32, 33, any_rows, max_anchors]))
    rows = min(rows, max_anchors)
    num_classes = int(rng.integers(1, max_classes + 1))
    chosen = _draw_options(rng, num_classes, regular)
    chosen.update(options or {})
    columns = num_classes + int(rng.integers(2))
    box_columns = int(rng.choice([4, 4, 4, 6, 8]))
    quantizations = [
        _draw_box_quantization(rng, box),
        _draw_score_quantization(rng, score),
        _draw_anchor_quantization(rng, anchor),
    ]
    real_scores = _draw_scores(rng, (batch, rows, columns), chosen, score_kind)
    boxes = quantize(_draw_encodings(rng, (batch, rows, box_columns)), box, quantizations[0])
    scores = quantize(real_scores, score, quantizations[1])
    anchors = quantize(_draw_anchors(rng, rows), anchor, quantizations[2])
    if quantizations[2] is not None:
        anchors = np.maximum(anchors, quantizations[2][1]).astype(anchor)
    dynamic = bool(rng.integers(4) == 0) if dynamic_anchors is None else dynamic_anchors
    model = PostprocessModel(
        anchors=None if dynamic else anchors,
        num_anchors=rows,
        box_columns=box_columns,
        class_columns=columns,
        batch=batch,
        box_dtype=box,
        score_dtype=score,
        anchor_dtype=anchor,
        box_quantization=quantizations[0],
        score_quantization=quantizations[1],
        anchor_quantization=quantizations[2],
        dequantize=dequantize,
        reshape_after_dequantize=bool(rng.integers(4) == 0),
        declared_output_shapes=bool(rng.integers(2)),
        options=chosen,
    )
    return model, model.graph_inputs(boxes, scores, anchors)


def quantize(values: Array, dtype: Any, quantization: Quantization | None) -> Array:
    """Rounds real values to `dtype`, saturating; with no quantization only converts the type."""
    dtype = np.dtype(dtype)
    if quantization is None:
        return values.astype(dtype)
    limits = np.iinfo(dtype)
    steps = np.rint(values.astype(np.float64) / quantization[0]) + quantization[1]
    rounded: Array = np.clip(steps, limits.min, limits.max).astype(dtype)
    return rounded


def _draw_dtypes(rng: np.random.Generator, stock_only: bool) -> tuple[str, str, str]:
    if stock_only:
        return _STOCK_DTYPES[int(rng.integers(len(_STOCK_DTYPES)))]
    box, score, anchor = rng.choice(["float32", "uint8", "int8"], 3)
    return str(box), str(score), str(anchor)


def _draw_options(
    rng: np.random.Generator, num_classes: int, regular: bool | None
) -> dict[str, Any]:
    return default_options(
        num_classes,
        max_detections=int(rng.choice([1, 2, 10, 25, 100])),
        max_classes_per_detection=int(rng.integers(1, min(3, num_classes) + 1)),
        detections_per_class=int(rng.choice([1, 3, 100])),
        use_regular_nms=bool(rng.integers(2)) if regular is None else regular,
        nms_score_threshold=float(rng.choice([0.0, 1e-8, 0.25, 0.3, 0.5, -np.inf])),
        nms_iou_threshold=float(rng.choice([0.01, 0.45, 0.5, 0.6, 0.9, 1.0])),
        **dict.fromkeys(["y_scale", "x_scale"], float(rng.choice([1.0, 10.0]))),
        **dict.fromkeys(["h_scale", "w_scale"], float(rng.choice([1.0, 5.0]))),
    )


def _draw_box_quantization(rng: np.random.Generator, dtype: np.dtype[Any]) -> Quantization | None:
    if dtype.kind == "f":
        return None
    limits = np.iinfo(dtype)
    zero = int(rng.integers(limits.min + 90, limits.max - 60))
    return float(np.float32(rng.uniform(0.02, 0.09))), zero


def _draw_score_quantization(rng: np.random.Generator, dtype: np.dtype[Any]) -> Quantization | None:
    if dtype.kind == "f":
        return None
    lowest = int(np.iinfo(dtype).min)
    if rng.integers(2):
        return 1.0 / 256.0, lowest
    return float(np.float32(rng.uniform(0.003, 0.02))), lowest + int(rng.integers(0, 100))


def _draw_anchor_quantization(
    rng: np.random.Generator, dtype: np.dtype[Any]
) -> Quantization | None:
    if dtype.kind == "f":
        return None
    zero = int(np.iinfo(dtype).min) + int(rng.choice([0, 0, 5]))
    return float(np.float32(rng.uniform(0.004, 0.0065))), zero


def _draw_encodings(rng: np.random.Generator, shape: Shape) -> Array:
    encodings: Array = rng.normal(0.0, 1.0, shape).astype(np.float32)
    if rng.integers(3) == 0:
        # Whole rows repeat, so that many pairs have an IoU of exactly one.
        encodings[:, 1::2] = encodings[:, : 2 * (shape[1] // 2) : 2]
    return encodings


def _draw_anchors(rng: np.random.Generator, rows: int) -> Array:
    middles = rng.uniform(0.1, 0.9, (max(1, rows // 8), 2))
    centres = middles[rng.integers(len(middles), size=rows)] + rng.normal(0.0, 0.03, (rows, 2))
    sizes = rng.uniform(0.05, 0.6, (rows, 2))
    if rng.integers(4) == 0:
        sizes[rng.integers(rows)] = 0.0
    anchors: Array = np.abs(np.concatenate([centres, sizes], axis=1)).astype(np.float32)
    return anchors


def _draw_scores(
    rng: np.random.Generator, shape: Shape, options: Mapping[str, Any], kind: str | None
) -> Array:
    kind = kind or str(rng.choice(SCORE_KINDS))
    threshold = np.float32(options.get("nms_score_threshold", 0.0))
    if kind == "ties":
        scores = rng.choice([0.0, 0.125, 0.25, 0.5, 0.75], shape)
    elif kind == "background":
        scores = 1.0 / (1.0 + np.exp(-rng.normal(-6.0, 1.5, shape)))
        spots = rng.random(shape) < 0.01
        scores = np.where(spots, rng.uniform(0.3, 1.0, shape), scores)
    elif kind == "equal":
        scores = np.full(shape, rng.choice([0.0, 0.3, 0.5]))
    elif kind == "uniform":
        scores = rng.random(shape)
    elif kind == "boundary":
        near = threshold if np.isfinite(threshold) else np.float32(0.5)
        below, above = np.nextafter(near, np.float32(-1)), np.nextafter(near, np.float32(2))
        scores = rng.choice(np.array([below, near, above, 0.0, 0.9], np.float32), shape)
    elif kind == "signed":
        scores = rng.normal(0.0, 2.0, shape)
    else:
        raise ValueError(f"score_kind is {kind!r}, expected one of {SCORE_KINDS}")
    return scores.astype(np.float32)
