# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""The rows of bad and odd input, as models: what is refused, with words that its message must
hold, and what is supported.
"""

from __future__ import annotations

import copy
import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any

import flatbuffers
import numpy as np
from flatbuffers import flexbuffers

from model_builder import (
    PostprocessModel,
    default_options,
    quantize,
    schema,
)
from reference import (
    Case,
)

NAN, INF = math.nan, math.inf
ROWS, CLASSES = 20, 4
FLOATS = ("float32", "float32", "float32")
# Scales and zero points with which nothing of a case below saturates.
QUANTIZATIONS = {
    "uint8": ((0.03, 128), (1 / 256, 0), (0.004, 0)),
    "int8": ((0.03, 0), (0.004, -128), (0.004, -128)),
}


def build_case(
    dtypes: tuple[str, str, str] = FLOATS,
    *,
    options: Mapping[str, Any] | bytes | None = None,
    seed: int = 0,
    **changes: Any,
) -> Case:
    """A plain valid model with 20 anchors and 4 classes behind a background; fields may be changed.

    Anchors are a graph input when `anchors` is None.
    """
    rng = np.random.default_rng(seed)
    anchors = np.concatenate(
        [rng.uniform(0.3, 0.7, (ROWS, 2)), rng.uniform(0.1, 0.4, (ROWS, 2))], axis=1
    ).astype(np.float32)
    arrays = [
        rng.normal(0, 1, (1, ROWS, 4)).astype(np.float32),
        rng.random((1, ROWS, CLASSES + 1)).astype(np.float32),
        anchors,
    ]
    quantizations = [
        QUANTIZATIONS[dtype][i] if dtype in QUANTIZATIONS else None
        for i, dtype in enumerate(dtypes)
    ]
    stored = [
        quantize(array, dtype, quantization)
        for array, dtype, quantization in zip(arrays, dtypes, quantizations, strict=True)
    ]
    names = ("box", "score", "anchor")
    fields: dict[str, Any] = {
        "class_columns": CLASSES + 1,
        "anchors": stored[2],
        "options": options_of() if options is None else options,
    }
    for name, dtype, quantization in zip(names, dtypes, quantizations, strict=True):
        fields[f"{name}_dtype"], fields[f"{name}_quantization"] = dtype, quantization
    fields.update(changes)
    if fields["anchors"] is None:
        fields["num_anchors"] = ROWS
    model = PostprocessModel(**fields)
    return model, stored[: 2 if model.anchors is not None else 3]


def options_of(**overrides: Any) -> dict[str, Any]:
    """Every option of the op, some overridden; None leaves one out."""
    num_classes = overrides.pop("num_classes", CLASSES)
    return default_options(num_classes, **overrides)


def with_options(**overrides: Any) -> PostprocessModel:
    return build_case(options=options_of(**overrides))[0]


def with_dtypes(*dtypes: str, **changes: Any) -> PostprocessModel:
    return build_case(dtypes, **changes)[0]  # type: ignore[arg-type]


# ---------------------------------------------------------------------------------------------
# The rows: what is refused, with words that its message must hold
# ---------------------------------------------------------------------------------------------


def _anchors_of(*shape: int) -> PostprocessModel:
    return with_dtypes(*FLOATS, anchors=np.full(shape, 0.5, np.float32), num_anchors=ROWS)


def _typed(position: int, dtype: str) -> PostprocessModel:
    dtypes = list(FLOATS)
    dtypes[position] = dtype
    return with_dtypes(*dtypes)


def _quantized(position: int, dtype: str, quantization: Any, **changes: Any) -> PostprocessModel:
    dtypes = list(FLOATS)
    dtypes[position] = dtype
    name = ("box", "score", "anchor")[position]
    return with_dtypes(*dtypes, **{f"{name}_quantization": quantization}, **changes)


def _refused_models() -> dict[str, tuple[PostprocessModel, tuple[str, ...]]]:
    rows: dict[str, tuple[PostprocessModel, tuple[str, ...]]] = {
        "slots overflow int32": (
            with_options(max_detections=65536, max_classes_per_detection=65536),
            ("max_detections 65536", "max_classes_per_detection 65536", "4294967296", "2^31"),
        ),
        "bytes of the slots overflow int32": (
            with_options(max_detections=2**27),
            ("max_detections 134217728", "max_classes_per_detection 1", "2^31"),
        ),
        "greatest options": (
            with_options(max_detections=2**31 - 1, max_classes_per_detection=2**31 - 1),
            ("max_detections 2147483647", "2^31"),
        ),
        "scores have too few class columns": (
            with_dtypes(*FLOATS, class_columns=3),
            ("scores", "3 class columns", "num_classes 4"),
        ),
        "scores have too many class columns": (
            with_dtypes(*FLOATS, class_columns=6),
            ("scores", "6 class columns", "num_classes 4"),
        ),
        "fewer anchors than boxes": (
            _anchors_of(2, 4),
            ("anchors has 2 rows", "box_encodings has 20"),
        ),
        "no anchors for boxes": (_anchors_of(0, 4), ("anchors has 0 rows", "box_encodings has 20")),
        "anchors of 3 columns": (_anchors_of(ROWS, 3), ("anchors has 3 columns", "expected 4")),
        "anchors of 5 columns": (_anchors_of(ROWS, 5), ("anchors has 5 columns", "expected 4")),
        "anchors of rank 1": (_anchors_of(ROWS * 4), ("anchors has shape [80]", "[anchors, 4]")),
        "anchors of rank 3": (
            _anchors_of(1, ROWS, 4),
            ("anchors has shape [1, 20, 4]", "[anchors, 4]"),
        ),
        "fewer rows of scores than boxes": (
            with_dtypes(*FLOATS, score_shape=(1, 19, CLASSES + 1)),
            ("scores has 19 rows", "box_encodings has 20"),
        ),
        "other batch of scores than of boxes": (
            with_dtypes(*FLOATS, score_shape=(2, ROWS, CLASSES + 1)),
            ("scores has batch 2", "box_encodings has batch 1"),
        ),
        "boxes of 3 columns": (
            with_dtypes(*FLOATS, box_columns=3),
            ("box_encodings has 3 columns", "expected 4 or more"),
        ),
        "boxes of rank 2": (
            with_dtypes(*FLOATS, box_shape=(ROWS, 4)),
            ("box_encodings has shape [20, 4]", "expected [batch, anchors, 4 or more]"),
        ),
        "boxes of rank 4": (
            with_dtypes(*FLOATS, box_shape=(1, ROWS, 1, 4)),
            ("box_encodings has shape [1, 20, 1, 4]", "expected [batch, anchors, 4 or more]"),
        ),
        "boxes of rank 0": (
            with_dtypes(*FLOATS, box_shape=()),
            ("box_encodings has shape []", "expected [batch, anchors, 4 or more]"),
        ),
        "scores of rank 2": (
            with_dtypes(*FLOATS, score_shape=(ROWS, CLASSES + 1)),
            ("scores has shape [20, 5]", "expected [batch, anchors, classes]"),
        ),
        "2 inputs": (with_dtypes(*FLOATS, num_inputs=2), ("2 inputs", "expected 3")),
        "4 inputs": (with_dtypes(*FLOATS, num_inputs=4), ("4 inputs", "expected 3")),
        "3 outputs": (with_dtypes(*FLOATS, num_outputs=3), ("3 outputs", "expected 4")),
        "5 outputs": (with_dtypes(*FLOATS, num_outputs=5), ("5 outputs", "expected 4")),
        "boxes and count in one tensor": (
            with_dtypes(*FLOATS, shared_outputs=(0,)),
            ("outputs 0 and 3 are one tensor", "expected two"),
        ),
        "all outputs in one tensor": (
            with_dtypes(*FLOATS, shared_outputs=(0, 1, 2)),
            ("outputs 0 and 1 are one tensor", "expected two"),
        ),
    }
    for position, name in enumerate(("box_encodings", "scores", "anchors")):
        rows[f"{name} left out"] = (
            with_dtypes(*FLOATS, missing_inputs=(position,)),
            (f"input {position} ({name}) is missing",),
        )
        for dtype in ("int16", "float16", "int32", "float64", "int64"):
            rows[f"{name} of {dtype}"] = (
                _typed(position, dtype),
                (f"{name} has type {dtype}", "expected float32, uint8 or int8"),
            )
        for dtype in ("uint8", "int8"):
            rows[f"{dtype} {name} without quantization"] = (
                _quantized(position, dtype, None),
                (f"{name} is {dtype} without quantization", "expected a scale and a zero point"),
            )
            for scale in (0.0, -0.5, NAN, INF):
                rows[f"{dtype} {name} of scale {scale}"] = (
                    _quantized(position, dtype, (scale, 0)),
                    (name, "scale", f"{scale:g}", "expected positive and finite"),
                )
        columns = (4, CLASSES + 1, 4)[position]
        rows[f"{name} quantized per channel"] = (
            _quantized(position, "int8", (np.full(columns, 0.1), 0)),
            (f"{name} is quantized per channel", f"{columns} scales", "expected one"),
        )
        rows[f"{name} of scale 0 before DEQUANTIZE"] = (
            _quantized(position, "int8", (0.0, 0), dequantize=True),
            (name, "scale 0", "expected positive and finite"),
        )
    rows |= refused_options()
    return rows


# Options of the op with values that are wrong in themselves, and what is expected instead.
WRONG_OPTIONS: dict[str, tuple[list[Any], str]] = {
    "max_detections": ([-1, -(2**31)], "expected 0 or more"),
    "max_classes_per_detection": ([0, -3, None], "expected 1 or more"),
    "num_classes": ([0, -1, None], "expected 1 or more"),
    "nms_iou_threshold": ([0.0, -0.5, 1.5, NAN, INF, None], "expected more than 0, at most 1"),
    "y_scale": ([0.0, -0.0, NAN, None], "expected a number other than 0"),
    "x_scale": ([0.0, NAN, None], "expected a number other than 0"),
    "h_scale": ([0.0, NAN, None], "expected a number other than 0"),
    "w_scale": ([0.0, NAN, None], "expected a number other than 0"),
}


def number(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:g}"


def refused_options() -> dict[str, tuple[PostprocessModel, tuple[str, ...]]]:
    rows = {}
    for key, (values, expected) in WRONG_OPTIONS.items():
        for value in values:
            got = f"{key} is {0 if value is None else number(value)}"
            label = f"option {key} {'absent' if value is None else value}"
            for mode in (False, True) if key == "num_classes" else (False,):
                model = with_options(**{key: value, "use_regular_nms": mode})
                rows[f"{label}, {'regular' if mode else 'fast'}"] = (model, (got, expected))
    for value in (0, -1):
        rows[f"option detections_per_class {value}, regular"] = (
            with_options(detections_per_class=value, use_regular_nms=True),
            (f"detections_per_class is {value}", "expected 1 or more"),
        )
    return rows


REFUSED = _refused_models()


def _refused_at_once() -> dict[str, tuple[PostprocessModel, tuple[str, ...]]]:
    """Graphs whose outputs are inputs or constants, on which a runtime crashes or forgets why it
    does not run: refused before it looks at them."""
    narrow = {"dtypes": ("int8", "int8", "float32"), "dequantize": True}
    rows: dict[str, tuple[PostprocessModel, tuple[str, ...]]] = {}
    for number, role in enumerate(("boxes", "scores", "anchors")):
        name = ("box_encodings", "scores", "anchors")[number]
        for output in (0, 3):
            rows[f"output {output} is the input {role}"] = (
                build_case(anchors=None, aliased_outputs=((output, role),))[0],
                (f"output {output} is the tensor of {name}, {number}", "expected another"),
            )
    for output in (0, 3):
        rows[f"output {output} is the constant anchors"] = (
            build_case(aliased_outputs=((output, "anchors"),))[0],
            (f"output {output} is tensor 2, a constant", "is the tensor of anchors"),
        )
    rows["an output is the tensor that DEQUANTIZE reads"] = (
        build_case(**narrow, aliased_outputs=((0, "boxes"),))[0],  # type: ignore[arg-type]
        ("node 0 can never run", "expected a graph without circles"),
    )
    rows["an output is what DEQUANTIZE writes"] = (
        build_case(**narrow, aliased_outputs=((1, "boxes_dequantized"),))[0],  # type: ignore[arg-type]
        ("output 1 is the tensor of box_encodings, 3", "expected another"),
    )
    return rows


REFUSED_AT_ONCE = _refused_at_once()


def option_block(**overrides: Any) -> bytes:
    return bytes(flexbuffers.Dumps(options_of(**overrides)))


def _deeply_nested() -> bytes:
    value: Any = 1
    for _ in range(300):
        value = {"max_detections": value}
    return bytes(flexbuffers.Dumps(value))


def _broken_blocks() -> dict[str, tuple[bytes | None, tuple[str, ...]]]:
    """Option blocks on which stock may crash while it is made; only detops.Interpreter sees them
    first."""
    good = option_block()
    noise = np.random.default_rng(0)
    unusable = ("option block", "expected a flexbuffer map")
    rows: dict[str, tuple[bytes | None, tuple[str, ...]]] = {
        "absent": (None, (*unusable, "empty")),
        "empty": (b"", (*unusable, "empty")),
        "one byte": (b"\x01", unusable),
        "a number": (bytes(flexbuffers.Dumps(5)), (*unusable, "not a map")),
        "a list": (bytes(flexbuffers.Dumps([1, 2])), (*unusable, "not a map")),
        "a string": (bytes(flexbuffers.Dumps("max_detections")), (*unusable, "not a map")),
        "text": (b'{"max_detections": 10}', unusable),
        "root out of range": (good[:-3] + b"\xff" + good[-2:], (*unusable, "out of range")),
        "root of width 0": (good[:-1] + b"\x00", unusable),
        "root of width 16": (good[:-1] + b"\x10", unusable),
        "deeply nested": (_deeply_nested(), ("max_detections", "map", "expected a number")),
        "text for a number": (
            option_block(max_detections="many"),
            ("max_detections", '"many"', "expected a number"),
        ),
        "list for a number": (
            option_block(max_detections=[1, 2]),
            ("max_detections", "list", "expected a number"),
        ),
        "number past 32 bits": (
            option_block(max_detections=2**40),
            ("max_detections", "expected a 32-bit integer"),
        ),
    }
    for cut in (2, 3, 10, len(good) // 2, len(good) - 1):
        rows[f"cut to {cut} bytes"] = (good[:cut], ("option",))
    for size in (3, 16, 100, 1000):
        for i in range(3):
            rows[f"{size} random bytes, {i}"] = (noise.bytes(size), unusable)
    return rows


BROKEN_BLOCKS = _broken_blocks()


def _rewritten(
    change: Callable[[Any, Any], None], behind: bytes = b"", case: Case | None = None
) -> bytes:
    """The file of a plain model after a change to its objects and the op's node."""
    model = schema.ModelT.InitFromPackedBuf((case or build_case())[0].build())
    change(model, model.subgraphs[0].operators[-1])
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output()) + behind


def _broken_files() -> dict[str, tuple[bytes, tuple[str, ...]]]:
    """Files that runtimes read in another way than one may think, and crash on."""

    def without_subgraphs(model: Any, node: Any) -> None:
        model.subgraphs = None

    def name_with_nul(model: Any, node: Any) -> None:
        model.operatorCodes[node.opcodeIndex].customCode += b"\0of another op"
        node.customOptions = np.zeros(0, np.uint8)

    def circle(model: Any, node: Any) -> None:
        graph = model.subgraphs[0]
        model.subgraphs.append(copy.deepcopy(graph))
        condition, value, code = schema.TensorT(), schema.BufferT(), schema.OperatorCodeT()
        condition.name, condition.shape = "condition", np.ones(1, np.int32)
        condition.type, condition.buffer = schema.TensorType.BOOL, len(model.buffers)
        value.data = np.ones(1, np.uint8)
        code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.IF
        graph.tensors.append(condition)
        model.buffers.append(value)
        model.operatorCodes.append(code)
        node.opcodeIndex, node.customOptions = len(model.operatorCodes) - 1, None
        node.inputs = np.array([len(graph.tensors) - 1, 0, 1], np.int32)
        node.builtinOptionsType = schema.BuiltinOptions.IfOptions
        node.builtinOptions = schema.IfOptionsT()

    def without_an_output(model: Any, node: Any) -> None:
        model.subgraphs[0].operators[0].outputs = np.array([-1], np.int32)

    def options_twice(offset: int) -> Callable[[Any, Any], None]:
        def change(model: Any, node: Any) -> None:
            node.customOptions = np.zeros(0, np.uint8)
            node.largeCustomOptionsOffset, node.largeCustomOptionsSize = offset, len(good)

        return change

    good, empty = option_block(), ("option block (0 bytes)", "expected a flexbuffer map")
    length = len(_rewritten(options_twice(1 << 20)))
    return {
        "no subgraphs": (_rewritten(without_subgraphs), ("no subgraphs", "expected one at least")),
        "a NUL behind the name of the op, and no options": (_rewritten(name_with_nul), empty),
        "no options in the flatbuffer, and good ones behind it": (
            _rewritten(options_twice(length), good),
            empty,
        ),
        "an IF that runs its own subgraph": (
            _rewritten(circle),
            ("subgraph 0 is run by itself", "expected subgraphs without circles"),
        ),
        "a DEQUANTIZE without an output": (
            _rewritten(without_an_output, case=build_case(("int8",) * 3, dequantize=True)),
            ("output 0 of DEQUANTIZE (node 0) is missing, expected a tensor",),
        ),
    }


BROKEN_FILES = _broken_files()

# ---------------------------------------------------------------------------------------------
# The rows: what is supported; several cases are frames of one model
# ---------------------------------------------------------------------------------------------


def _changed(case: Case, which: int, index: Any, value: Any) -> Case:
    model, inputs = case
    array = inputs[which].copy()
    array[index] = value
    return model, [array if i == which else other for i, other in enumerate(inputs)]


def _supported() -> dict[str, list[Case]]:
    rows: dict[str, list[Case]] = {}
    for regular in (False, True):
        mode = "regular" if regular else "fast"

        def case(
            *dtypes: str, regular: bool = regular, changes: Mapping[str, Any] = {}, **options: Any
        ) -> Case:
            options = options_of(use_regular_nms=regular, **options)
            return build_case(dtypes or FLOATS, options=options, **changes)  # type: ignore[arg-type]

        rows[f"no detections wanted, {mode}"] = [case(max_detections=0)]
        rows[f"more classes per detection than classes, {mode}"] = [
            case(max_classes_per_detection=CLASSES + 3)
        ]
        for dtypes in [
            ("uint8", "float32", "float32"),
            ("uint8", "uint8", "float32"),
            ("float32", "float32", "uint8"),
            ("float32", "uint8", "int8"),
            ("int8", "int8", "int8"),
            ("int8", "float32", "float32"),
            ("float32", "int8", "float32"),
            ("uint8", "int8", "uint8"),
            ("int8", "uint8", "float32"),
        ]:
            rows[f"{', '.join(dtypes)}, {mode}"] = [case(*dtypes)]
        # Dynamic anchors, which the second frame changes.
        dynamic = case(changes={"anchors": None})
        rows[f"dynamic anchors, {mode}"] = [
            dynamic,
            _changed(dynamic, 2, ..., dynamic[1][2] * np.float32(0.5)),
        ]
        for place, side in ((2, "height"), (3, "width")):
            rows[f"an anchor of negative {side}, {mode}"] = [
                _changed(dynamic, 2, (7, place), -0.3),
                _changed(dynamic, 2, (slice(None), place), -0.3),
            ]
        best = int(dynamic[1][1][0, :, 1:].max(axis=1).argmax())
        rows[f"the best anchor is of negative size, {mode}"] = [
            _changed(dynamic, 2, (best, 2), -0.3)
        ]
        plain = case()
        rows[f"NaN scores, {mode}"] = [
            _changed(plain, 1, (0, slice(None, None, 3), slice(1, 3)), NAN),
            _changed(plain, 1, (0, 4), NAN),
            _changed(plain, 1, ..., NAN),
        ]
        rows[f"NaN, inf and huge encodings, {mode}"] = [
            _changed(plain, 0, (0, slice(None, None, 4), place), value)
            for place in range(4)
            for value in (NAN, INF, -INF, 1e30, -1e30)
        ]
        rows[f"fewer detections in the second frame, {mode}"] = [
            plain,
            _changed(plain, 1, (0, slice(3, None)), 0.0),
            _changed(plain, 1, ..., 0.0),
        ]
        rows[f"options at unaligned addresses, {mode}"] = [
            (dataclasses.replace(plain[0], options=b"\0" * shift + packed(plain)), plain[1])
            for shift in (1,)
        ]
    rows["detections per class below 1, fast"] = [
        build_case(options=options_of(detections_per_class=-1))
    ]
    rows["detections per class absent, regular"] = [
        build_case(options=options_of(detections_per_class=None, use_regular_nms=True))
    ]
    rows["score threshold absent"] = [build_case(options=options_of(nms_score_threshold=None))]
    rows["an unknown option"] = [
        build_case(options=options_of(_output_quantized=True, _types=[1, 2]))
    ]
    for regular in (False, True):
        model = PostprocessModel(
            anchors=np.zeros((0, 4), np.float32),
            class_columns=CLASSES,
            options=options_of(use_regular_nms=regular),
        )
        inputs = [np.zeros((1, 0, 4), np.float32), np.zeros((1, 0, CLASSES), np.float32)]
        rows[f"no anchors, {'regular' if regular else 'fast'}"] = [(model, inputs)]
    return rows


def packed(case: Case) -> bytes:
    assert isinstance(case[0].options, Mapping)
    return bytes(flexbuffers.Dumps(dict(case[0].options)))


SUPPORTED = _supported()


# A case with dynamic anchors, the input to resize, its new shape, and words of the refusal.
RESIZED: dict[str, tuple[Case, int, tuple[int, ...], tuple[str, ...]]] = {
    "fewer anchors": (
        build_case(anchors=None),
        2,
        (7, 4),
        ("anchors has 7 rows", "box_encodings has 20"),
    ),
    "fewer scores": (
        build_case(anchors=None),
        1,
        (1, 7, CLASSES + 1),
        ("scores has 7 rows", "box_encodings has 20"),
    ),
    "another class": (
        build_case(anchors=None),
        1,
        (1, ROWS, CLASSES + 2),
        ("scores has 6 class columns", "num_classes 4"),
    ),
    "narrow boxes": (
        build_case(anchors=None, options=options_of(use_regular_nms=True)),
        0,
        (1, ROWS, 3),
        ("box_encodings has 3 columns", "expected 4 or more"),
    ),
}


def readable_options(case: Case) -> Case:
    """The case with its options as the op understands them."""
    model, inputs = case
    options = model.options
    if isinstance(options, bytes):
        options = flexbuffers.Loads(options)
    assert isinstance(options, Mapping)
    absent = {"nms_score_threshold": 0.0, "detections_per_class": 100}
    return dataclasses.replace(model, options={**absent, **options}), inputs


def assert_words(message: str, words: tuple[str, ...]) -> None:
    missing = [word for word in words if word not in message]
    assert not missing, f"{missing} not in {message!r}"
