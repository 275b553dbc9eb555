# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Bad and odd arguments of the NumPy functions: refused in the words of the op, or read right."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

import detops
from bad_models import (
    CLASSES,
    INF,
    NAN,
    ROWS,
    WRONG_OPTIONS,
    assert_words,
    build_case,
    number,
    option_block,
    options_of,
)
from reference import (
    Case,
    assert_same_bits,
    raw_inputs,
)

# ---------------------------------------------------------------------------------------------
# The functions for NumPy arrays
# ---------------------------------------------------------------------------------------------


def _call(case: Case, **replaced: Any) -> detops.Detections:
    """detops.postprocess on a case, with arguments replaced."""
    model, _ = case
    boxes, scores, anchors = raw_inputs(case)
    assert isinstance(model.options, Mapping)
    arguments: dict[str, Any] = {
        "box_encodings": boxes,
        "scores": scores,
        "anchors": anchors,
        "options": detops.Options(**model.options),
        "box_quantization": model.box_quantization,
        "score_quantization": model.score_quantization,
        "anchor_quantization": model.anchor_quantization,
    }
    return detops.postprocess(**{**arguments, **replaced})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (key, value)
        for key, (values, _) in [*WRONG_OPTIONS.items(), ("detections_per_class", ([0, -1], ""))]
        for value in values
        if value is not None
    ],
)
def test_function_refuses_options(key: str, value: Any) -> None:
    expected = WRONG_OPTIONS.get(key, ([], "expected 1 or more"))[1]
    options = detops.Options(num_classes=CLASSES, use_regular_nms=True).replace(**{key: value})
    with pytest.raises(ValueError, match=key) as raised:
        _call(build_case(), options=options)
    assert_words(str(raised.value), (f"option {key} is {number(value)}", expected))


ARRAY_REFUSALS: dict[str, tuple[dict[str, Any], type[Exception], tuple[str, ...]]] = {
    "slots overflow": (
        {"options": detops.Options(num_classes=CLASSES, max_detections=2**30)},
        ValueError,
        ("max_detections 1073741824", "max_classes_per_detection 1", "2^31"),
    ),
    "too few class columns": (
        {"scores": np.zeros((1, ROWS, 3), np.float32)},
        ValueError,
        ("scores has 3 class columns", "num_classes 4"),
    ),
    "too many class columns": (
        {"scores": np.zeros((1, ROWS, 6), np.float32)},
        ValueError,
        ("scores has 6 class columns", "num_classes 4"),
    ),
    "no class columns": (
        {"scores": np.zeros((1, ROWS, 0), np.float32)},
        ValueError,
        ("scores has 0 class columns", "num_classes 4"),
    ),
    "fewer anchors": (
        {"anchors": np.zeros((2, 4), np.float32)},
        ValueError,
        ("anchors has 2 rows", "box_encodings has 20"),
    ),
    "anchors of 3 columns": (
        {"anchors": np.zeros((ROWS, 3), np.float32)},
        ValueError,
        ("anchors has 3 columns", "expected 4"),
    ),
    "anchors of rank 1": (
        {"anchors": np.zeros(ROWS * 4, np.float32)},
        ValueError,
        ("anchors has shape [80]", "expected rank 2"),
    ),
    "fewer rows of scores": (
        {"scores": np.zeros((1, 19, CLASSES + 1), np.float32)},
        ValueError,
        ("scores has 19 rows", "box_encodings has 20"),
    ),
    "other batch of scores": (
        {"scores": np.zeros((2, ROWS, CLASSES + 1), np.float32)},
        ValueError,
        ("scores has batch 2", "box_encodings has batch 1"),
    ),
    "scores of rank 2": (
        {"scores": np.zeros((ROWS, CLASSES + 1), np.float32)},
        ValueError,
        ("scores has shape [20, 5]", "expected rank 3"),
    ),
    "boxes of 3 columns": (
        {"box_encodings": np.zeros((1, ROWS, 3), np.float32)},
        ValueError,
        ("box_encodings has 3 columns", "expected 4 or more"),
    ),
    "boxes of rank 2": (
        {"box_encodings": np.zeros((ROWS, 4), np.float32)},
        ValueError,
        ("box_encodings has shape [20, 4]", "expected rank 3"),
    ),
    "boxes of rank 0": (
        {"box_encodings": np.zeros((), np.float32)},
        ValueError,
        ("box_encodings has shape []", "expected rank 3"),
    ),
    "a list": (
        {"anchors": [[0.5] * 4] * ROWS},
        TypeError,
        ("anchors is a list", "expected a NumPy array"),
    ),
    "a masked array": (
        {"scores": np.ma.ones((1, ROWS, CLASSES + 1), np.float32)},
        TypeError,
        ("scores is a MaskedArray", "expected an array without a mask"),
    ),
    "nothing": ({"scores": None}, TypeError, ("scores is a NoneType", "expected a NumPy array")),
}


def _float32(value: float) -> str:
    with np.errstate(over="ignore"):
        return number(float(np.float32(value)))


def _array_refusals() -> dict[str, tuple[dict[str, Any], type[Exception], tuple[str, ...]]]:
    rows = dict(ARRAY_REFUSALS)
    shapes = {
        "box_encodings": (1, ROWS, 4),
        "scores": (1, ROWS, CLASSES + 1),
        "anchors": (ROWS, 4),
    }
    for name, shape in shapes.items():
        for dtype in ("int16", "float16", "int32", "float64", "int64", "bool", "complex64", ">f4"):
            rows[f"{name} of {dtype}"] = (
                {name: np.zeros(shape, dtype)},
                TypeError,
                (f"{name} has type {dtype}", "expected float32, uint8 or int8"),
            )
        quantization = f"{name[: name.index('_')] if '_' in name else name[:-1]}_quantization"
        for dtype in ("uint8", "int8"):
            array = np.zeros(shape, dtype)
            rows[f"{dtype} {name} without quantization"] = (
                {name: array, quantization: None},
                ValueError,
                (f"{name} is {dtype} without quantization", "expected a scale and a zero point"),
            )
            for scale in (0.0, -0.5, NAN, INF, 1e-60, 1e60):
                rows[f"{dtype} {name} of scale {scale}"] = (
                    {name: array, quantization: (scale, 0)},
                    ValueError,
                    (f"{name} has quantization scale {_float32(scale)}", "positive and finite"),
                )
        for wrong in ("abc", 5, (1.0,), (1.0, 2, 3), ("a", 0), (0.1, None), (0.1, 2**40)):
            rows[f"{quantization} {wrong!r}"] = (
                {name: np.zeros(shape, "uint8"), quantization: wrong},
                TypeError,
                (f"{quantization} is {wrong!r}", "expected None or (scale, zero_point)"),
            )
    return rows


@pytest.mark.parametrize("row", _array_refusals())
def test_function_refuses(row: str) -> None:
    replaced, kind, words = _array_refusals()[row]
    with pytest.raises(kind) as raised:
        _call(build_case(), **replaced)
    assert raised.type is kind
    assert_words(str(raised.value), words)


DECODING = {"box_encodings", "anchors", "box_quantization", "anchor_quantization"}


@pytest.mark.parametrize(
    "row",
    [
        row
        for row, (replaced, _, _) in _array_refusals().items()
        # Without a batch is right there.
        if set(replaced) <= DECODING and row != "boxes of rank 2"
    ],
)
def test_decode_boxes_refuses(row: str) -> None:
    replaced, kind, words = _array_refusals()[row]
    boxes, _, anchors = raw_inputs(build_case())
    arguments = {"box_encodings": boxes, "anchors": anchors, **replaced}
    with pytest.raises(kind) as raised:
        detops.decode_boxes(**arguments)
    assert_words(str(raised.value).replace("rank 2 or 3", "rank 3"), words)


@pytest.mark.parametrize(
    ("scales", "words"),
    [
        ((10.0, 10.0, 5.0), ("scales has 3 entries", "expected 4")),
        ((10.0,) * 5, ("scales has 5 entries", "expected 4")),
        ((0.0, 10.0, 5.0, 5.0), ("y_scale is 0", "expected a number other than 0")),
        ((10.0, NAN, 5.0, 5.0), ("x_scale is nan", "expected a number other than 0")),
        ((10.0, 10.0, 1e-60, 5.0), ("h_scale is 0", "expected a number other than 0")),
        ((10.0, 10.0, 5.0, -0.0), ("w_scale is -0", "expected a number other than 0")),
    ],
)
def test_decode_boxes_refuses_scales(scales: tuple[float, ...], words: tuple[str, ...]) -> None:
    boxes, _, anchors = raw_inputs(build_case())
    with pytest.raises(ValueError) as raised:
        detops.decode_boxes(boxes, anchors, scales=scales)  # type: ignore[arg-type]
    assert_words(str(raised.value), words)


def _strided(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    wide = np.zeros((*array.shape[:-1], 2 * array.shape[-1] + 1), array.dtype)
    wide[..., 1::2] = array
    return wide[..., 1::2]


def _misaligned(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    room = np.zeros(array.nbytes + 1, np.uint8)
    view = room[1:].view(array.dtype).reshape(array.shape)
    view[...] = array
    return view


def _read_only(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    copy = array.copy()
    copy.flags.writeable = False
    return copy


class _Subclass(np.ndarray):  # type: ignore[type-arg]
    pass


LAYOUTS: dict[str, Callable[[np.ndarray[Any, Any]], np.ndarray[Any, Any]]] = {
    "strided": _strided,
    "reversed": lambda array: np.ascontiguousarray(array[..., ::-1])[..., ::-1],
    "reversed rows": lambda array: np.ascontiguousarray(array[..., ::-1, :])[..., ::-1, :],
    "Fortran order": np.asfortranarray,
    "transposed": lambda array: np.ascontiguousarray(np.moveaxis(array, -1, 0)).transpose(
        *range(1, array.ndim), 0
    ),
    "misaligned": _misaligned,
    "misaligned and read-only": lambda array: np.frombuffer(
        b"x" + array.tobytes(), array.dtype, offset=1
    ).reshape(array.shape),
    "read-only": _read_only,
    "subclass": lambda array: array.view(_Subclass),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", ["float32", "uint8", "int8"])
@pytest.mark.parametrize("regular", [False, True])
def test_any_layout_is_read_right(layout: str, dtype: str, regular: bool) -> None:
    case = build_case((dtype,) * 3, options=options_of(use_regular_nms=regular))
    plain = _call(case)
    assert plain.num_detections[0] > 2
    names = ("box_encodings", "scores", "anchors")
    for name, array in zip(names, raw_inputs(case), strict=True):
        variant = LAYOUTS[layout](array)
        np.testing.assert_array_equal(variant, array)
        found = _call(case, **{name: variant})
        for got, want in zip(found, plain, strict=True):
            assert_same_bits(got, want, f"{name}, {layout}")
        np.testing.assert_array_equal(variant, array, err_msg="an input was written to")


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", ["float32", "uint8", "int8"])
def test_decode_boxes_reads_any_layout_right(layout: str, dtype: str) -> None:
    case = build_case((dtype,) * 3)
    boxes, _, anchors = raw_inputs(case)
    quantizations = {
        "box_quantization": case[0].box_quantization,
        "anchor_quantization": case[0].anchor_quantization,
    }
    plain = detops.decode_boxes(boxes, anchors, **quantizations)
    change = LAYOUTS[layout]
    assert_same_bits(detops.decode_boxes(change(boxes), anchors, **quantizations), plain, "boxes")
    assert_same_bits(detops.decode_boxes(boxes, change(anchors), **quantizations), plain, "anchors")
    single = detops.decode_boxes(change(boxes[0]), change(anchors), **quantizations)
    assert_same_bits(single, plain[0], "without batch")


@pytest.mark.parametrize("layout", [*LAYOUTS, "byte-swapped", "float64", "float16"])
def test_nms_and_iou_read_any_layout_right(layout: str) -> None:
    rng = np.random.default_rng(0)
    corners = np.sort(rng.random((40, 2, 2)), axis=1).reshape(40, 4).astype(np.float16)
    scores = rng.random((1, 40)).astype(np.float16)
    boxes, values = corners.astype(np.float32), scores[0].astype(np.float32)
    if layout == "byte-swapped":
        changed: list[Any] = [boxes.astype(">f4"), values.astype(">f4")]
    elif layout in ("float64", "float16"):
        changed = [boxes.astype(layout), values.astype(layout)]
    else:
        changed = [LAYOUTS[layout](boxes), LAYOUTS[layout](values[np.newaxis])[0]]
    kept = detops.nms(boxes, values, iou_threshold=0.3)
    assert 3 < len(kept) < 40
    assert detops.nms(*changed, iou_threshold=0.3).tolist() == kept.tolist()
    assert_same_bits(detops.iou(changed[0], boxes), detops.iou(boxes, boxes), layout)
    assert_same_bits(detops.iou(boxes, changed[0]), detops.iou(boxes, boxes), layout)


def test_repeated_rows_without_memory_of_their_own() -> None:
    case = build_case()
    boxes = raw_inputs(case)[0]
    one = np.broadcast_to(boxes[:, :1], boxes.shape)
    assert 0 in one.strides
    found = _call(case, box_encodings=one)
    for got, want in zip(found, _call(case, box_encodings=one.copy()), strict=True):
        assert_same_bits(got, want, "broadcast")


def test_clip_cuts_what_is_reported_and_nothing_else() -> None:
    case = build_case(options=options_of(nms_iou_threshold=1.0, max_detections=ROWS))
    boxes = raw_inputs(case)[0].copy()
    boxes[0, ::4, 0] = 1e30
    boxes[0, 1::4, 2] = INF
    boxes[0, 2::4, 1] = NAN
    plain, clipped = (_call(case, box_encodings=boxes, clip=clip) for clip in (False, True))
    assert np.nanmax(plain.boxes) > 1 and np.nanmin(plain.boxes) < 0 and np.isnan(plain.boxes).any()
    with np.errstate(invalid="ignore"):
        assert_same_bits(clipped.boxes, np.clip(plain.boxes, 0, 1), "clipped boxes")
    for got, want in zip(clipped[1:], plain[1:], strict=True):
        assert_same_bits(got, want, "clip")


# ---------------------------------------------------------------------------------------------
# Odd arguments
# ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["a" + "\u00e9" * 30, "\u20ac" * 20])
def test_text_for_a_number_may_hold_any_character(text: str) -> None:
    with pytest.raises(ValueError, match="option num_classes is the string"):
        detops.Options.from_bytes(option_block(num_classes=text))


@pytest.mark.parametrize("options", [None, {}, "options", option_block()])
def test_function_refuses_what_is_not_options(options: Any) -> None:
    with pytest.raises(TypeError, match="options"):
        _call(build_case(), options=options)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("num_classes", "4"),
        ("num_classes", 4.5),
        ("num_classes", None),
        ("max_detections", 2**40),
        ("nms_iou_threshold", "0.5"),
        ("y_scale", 1j),
        ("use_regular_nms", "no"),
    ],
)
def test_function_refuses_options_of_another_type(key: str, value: Any) -> None:
    options = detops.Options(num_classes=CLASSES).replace(**{key: value})
    with pytest.raises((TypeError, ValueError), match=key):
        _call(build_case(), options=options)


@pytest.mark.parametrize("scales", ["abcd", "1234", (1.0, 1.0, 1.0, None), None])
def test_decode_boxes_refuses_scales_that_are_no_numbers(scales: Any) -> None:
    boxes, _, anchors = raw_inputs(build_case())
    with pytest.raises((TypeError, ValueError), match="scale"):
        detops.decode_boxes(boxes, anchors, scales=scales)


def test_function_refuses_a_zero_point_between_two_numbers() -> None:
    case = build_case(("uint8", "uint8", "uint8"))
    with pytest.raises((TypeError, ValueError), match="box_quantization"):
        _call(case, box_quantization=(0.1, 0.5))


def test_function_refuses_more_than_memory_holds() -> None:
    # Rows that repeat one value cost nothing until someone copies them.
    boxes = np.broadcast_to(np.float32(0), (1, 2**44, 4))
    with pytest.raises((MemoryError, ValueError)):
        _call(build_case(), box_encodings=boxes)


@pytest.mark.parametrize("value", ["x", None, [1], {}, 1j, True, np.array([0.5, 0.5])])
def test_thresholds_that_are_no_numbers(value: Any) -> None:
    boxes, scores = np.zeros((2, 4), np.float32), np.ones(2, np.float32)
    for name in ("iou_threshold", "score_threshold"):
        with pytest.raises(TypeError, match=rf"{name} is .*, expected a number"):
            detops.nms(boxes, scores, **{name: value})
    if value is not None:
        with pytest.raises(TypeError, match=r"max_detections is .*, expected a whole number"):
            detops.batched_nms(boxes, scores, [0, 0], max_detections=value)


def test_thresholds_of_numpy_and_of_any_size() -> None:
    boxes, scores = np.zeros((2, 4), np.float32), np.ones(2, np.float32)
    for one in (1, np.float32(1), np.array(1.0)):
        kept = detops.nms(boxes, scores, iou_threshold=one, max_detections=np.int64(1))
        assert kept.tolist() == [0]
    assert not len(detops.nms(boxes, scores, score_threshold=10**400))
    assert len(detops.nms(boxes, scores, score_threshold=-(10**400))) == 2


@pytest.mark.parametrize("name", ["boxes", "scores", "classes"])
def test_arrays_that_are_none_are_named(name: str) -> None:
    good = {"boxes": np.zeros((2, 4)), "scores": np.ones(2), "classes": np.zeros(2, np.int64)}
    with pytest.raises(ValueError, match=f"^{name} is no array: .*inhomogeneous"):
        detops.batched_nms(**{**good, name: [[1, 2], [3]]})
    with pytest.raises(TypeError, match=f"^{name} is a MaskedArray, expected an array without a"):
        detops.batched_nms(**{**good, name: np.ma.asarray(good[name])})


@pytest.mark.filterwarnings("error")
def test_numbers_past_float32_are_infinite() -> None:
    boxes = np.array([[0, 0, 1e300, 1], [0, 0, 1, 1]])
    assert detops.nms(boxes, [1e300, 0.5]).tolist() == [0, 1]
    assert detops.iou(boxes, boxes[1:]).shape == (2, 1)
    encodings = np.ones((1, 4), np.float32)
    assert np.isfinite(detops.decode_boxes(encodings, encodings, scales=(10**400, 1, 1, 1))).all()


@pytest.mark.parametrize("block", ["{}", bytearray(b"{}"), None, 5])
def test_an_option_block_that_is_no_bytes(block: Any) -> None:
    with pytest.raises(TypeError, match=rf"block is a {type(block).__name__}, expected bytes"):
        detops.Options.from_bytes(block)
