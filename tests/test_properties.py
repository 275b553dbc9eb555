# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""What holds for every input, found wrong by Hypothesis where it does not."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import math
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flatbuffers import flexbuffers
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import detops
from model_builder import OUTPUT_NAMES, PostprocessModel, default_options, run
from reference import assert_same_bits, bits, decode, dequantize, has_negative_size, iou

Array = np.ndarray[Any, Any]

EXAMPLES = settings(max_examples=250, deadline=None)


ISAS = detops.cpu_features().available


@contextlib.contextmanager
def instruction_set(name: str) -> Iterator[None]:
    """Lets the kernels of one instruction set run; the variable is read by each call."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DETOPS_ISA", name)
        yield


@dataclass(frozen=True, eq=False)
class Problem:
    """One image and options that the op accepts."""

    encodings: Array
    scores: Array
    anchors: Array
    options: detops.Options
    isa: str
    """The instruction set whose kernels run."""

    @property
    def foreground(self) -> Array:
        return self.scores[0, :, self.scores.shape[2] - self.options.num_classes :]

    def run(self) -> detops.Detections:
        with instruction_set(self.isa):
            return detops.postprocess(self.encodings, self.scores, self.anchors, self.options)

    def boxes(self) -> Array:
        o = self.options
        scales = (o.y_scale, o.x_scale, o.h_scale, o.w_scale)
        return decode(self.encodings[0], self.anchors, scales)


def _floats(palette: list[float], usual: Array, rng: np.random.Generator) -> Array:
    """Mostly usual values, some of the palette: the palette is what Hypothesis simplifies."""
    values = usual.astype(np.float32)
    if palette:
        spots = rng.random(values.shape) < 0.2
        values[spots] = rng.choice(np.array(palette, np.float32), int(spots.sum()))
    return values


any_float = st.floats(width=32)
finite = st.floats(-100, 100, width=32)


@st.composite
def problems(draw: st.DrawFn, odd: bool = True, ties: bool = True) -> Problem:
    rows = draw(st.integers(0, 50))
    # More classes than any register has lanes, too.
    classes = draw(st.integers(1, 5) | st.just(20))
    columns = classes + draw(st.integers(0, 1))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    palette = st.lists(any_float if odd else finite, max_size=4)
    encodings = _floats(draw(palette), rng.normal(0, 2, (1, rows, draw(st.integers(4, 6)))), rng)
    anchors = _floats(draw(palette), rng.uniform(0, 1, (rows, 4)), rng)
    if ties:
        usual = rng.choice([0.0, 0.25, 0.5, 0.75], (1, rows, columns))
        scores = _floats(draw(palette), usual, rng)
        if odd and draw(st.booleans()):
            scores[0, rng.random(rows) < 0.5] = np.nan
    else:
        # One score comes twice nowhere.
        scores = rng.permutation(rows * columns).reshape(1, rows, columns).astype(np.float32)
        scores *= np.float32(2.0**-8)
    options = detops.Options(
        num_classes=classes,
        max_detections=draw(st.integers(0, 60)),
        max_classes_per_detection=draw(st.integers(1, 6)),
        detections_per_class=draw(st.integers(1, 60)),
        use_regular_nms=draw(st.booleans()),
        nms_score_threshold=draw(st.sampled_from([-math.inf, 0.0, 0.25, 0.3, 2.0]) | any_float),
        nms_iou_threshold=draw(
            st.sampled_from([0.5, 1.0]) | st.floats(0, 1, width=32, exclude_min=True)
        ),
        y_scale=draw(st.sampled_from([1.0, 10.0])),
        h_scale=draw(st.sampled_from([1.0, 5.0])),
    )
    return Problem(encodings, scores, anchors, options, draw(st.sampled_from(ISAS)))


@dataclass(frozen=True)
class Kept:
    """One box that the op reported, with its classes and their scores, best first."""

    box: Array
    classes: list[int]
    scores: Array


def kept_boxes(problem: Problem, found: detops.Detections) -> list[Kept]:
    """The outputs taken apart; regular mode reports one class in each slot."""
    options = problem.options
    per_anchor = 1 if options.use_regular_nms else options.max_classes_per_detection
    ranks = min(per_anchor, options.num_classes)
    result = []
    for place in range(int(found.num_detections[0])):
        slots = slice(place * per_anchor, place * per_anchor + ranks)
        for box in found.boxes[0, slots]:
            assert_same_bits(box, found.boxes[0, slots][0], "boxes of one anchor")
        classes = [int(c) for c in found.classes[0, slots]]
        result.append(Kept(found.boxes[0, slots][0], classes, found.scores[0, slots]))
    return result


@EXAMPLES
@given(problems())
def test_outputs_have_their_shapes_and_zeros_past_the_count(problem: Problem) -> None:
    options, found = problem.options, problem.run()
    slots = options.max_detections * options.max_classes_per_detection
    assert found.boxes.shape == (1, slots, 4)
    assert found.classes.shape == found.scores.shape == (1, slots)
    assert found.num_detections.shape == (1,)
    count = found.num_detections[0]
    assert 0 <= count <= options.max_detections
    assert count == int(count)
    per_anchor = 1 if options.use_regular_nms else options.max_classes_per_detection
    past = int(count) * per_anchor
    for array in (found.boxes, found.classes, found.scores):
        assert not array[0, past:].view(np.uint32).any()


@EXAMPLES
@given(problems())
def test_outputs_are_a_subset_of_the_inputs(problem: Problem) -> None:
    """Every detection is some anchor's decoded box with that anchor's score of its class."""
    boxes = bits(problem.boxes())
    foreground = problem.foreground
    for kept in kept_boxes(problem, problem.run()):
        assert len(set(kept.classes)) == len(kept.classes)
        assert all(0 <= c < problem.options.num_classes for c in kept.classes)
        candidates = np.flatnonzero((boxes == bits(kept.box)).all(axis=1))
        matching = [
            anchor
            for anchor in candidates
            if np.array_equal(bits(foreground[anchor, kept.classes]), bits(kept.scores))
        ]
        assert matching, kept
        assert not has_negative_size(kept.box)


@EXAMPLES
@given(problems())
def test_scores_do_not_increase(problem: Problem) -> None:
    kept = kept_boxes(problem, problem.run())
    for better, worse in itertools.pairwise(kept):
        assert better.scores[0] >= worse.scores[0]
    for each in kept:
        for higher, lower in itertools.pairwise(each.scores):
            assert higher >= lower or math.isnan(lower)


@EXAMPLES
@given(problems())
def test_scores_reach_the_threshold(problem: Problem) -> None:
    # Second and later classes of an anchor may be below it: that is how fast mode is.
    for kept in kept_boxes(problem, problem.run()):
        assert kept.scores[0] >= np.float32(problem.options.nms_score_threshold)


@EXAMPLES
@given(problems())
def test_kept_boxes_of_one_class_overlap_little(problem: Problem) -> None:
    threshold = np.float32(problem.options.nms_iou_threshold)
    kept = kept_boxes(problem, problem.run())
    # Fast mode suppresses over all classes.
    lists: dict[int, list[Array]] = {}
    for each in kept:
        key = each.classes[0] if problem.options.use_regular_nms else 0
        lists.setdefault(key, []).append(each.box)
    for boxes in lists.values():
        stack = np.array(boxes)
        for place in range(len(boxes) - 1):
            # NaN overlaps nothing.
            assert not (iou(stack[place], stack[place + 1 :]) > threshold).any()
        if problem.options.use_regular_nms:
            assert len(boxes) <= problem.options.detections_per_class


@EXAMPLES
@given(problems(odd=False))
def test_what_is_left_out_was_suppressed(problem: Problem) -> None:
    """Where no limit was reached, every candidate overlaps a kept one of its class."""
    options = dataclasses.replace(problem.options, max_detections=2000, detections_per_class=2000)
    problem = dataclasses.replace(problem, options=options)
    kept = kept_boxes(problem, problem.run())
    boxes, foreground = problem.boxes(), problem.foreground
    for anchor, c in np.ndindex(*foreground.shape):
        if not options.use_regular_nms and c > 0:
            continue
        score = foreground[anchor, c] if options.use_regular_nms else foreground[anchor].max()
        threshold = np.float32(options.nms_score_threshold)
        if has_negative_size(boxes[anchor]) or not score >= threshold:
            continue
        rivals = [
            each.box
            for each in kept
            if each.scores[0] >= score and (not options.use_regular_nms or each.classes == [c])
        ]
        assert rivals, "a candidate and nothing that is as good was kept"
        overlaps = iou(boxes[anchor], np.array(rivals))
        itself = (bits(np.array(rivals)) == bits(boxes[anchor])).all(axis=1)
        assert itself.any() or (overlaps > np.float32(options.nms_iou_threshold)).any()


@EXAMPLES
@given(problems(ties=False), st.randoms(use_true_random=False))
def test_order_of_the_anchors_does_not_matter(problem: Problem, random: Any) -> None:
    order = list(range(len(problem.anchors)))
    random.shuffle(order)
    shuffled = dataclasses.replace(
        problem,
        encodings=problem.encodings[:, order],
        scores=problem.scores[:, order],
        anchors=problem.anchors[order],
    )
    for got, want in zip(shuffled.run(), problem.run(), strict=True):
        assert_same_bits(got, want, "after a permutation of the anchors")


@EXAMPLES
@given(problems(), st.randoms(use_true_random=False))
def test_order_of_the_anchors_changes_nothing_but_ties(problem: Problem, random: Any) -> None:
    # With every box apart from every other nothing is suppressed: the scores must be the same.
    rows = len(problem.anchors)
    assume(rows > 0)
    anchors = np.stack([np.arange(rows), np.arange(rows), np.full(rows, 0.5), np.full(rows, 0.5)])
    order = list(range(rows))
    random.shuffle(order)
    problem = dataclasses.replace(
        problem,
        encodings=np.zeros_like(problem.encodings),
        anchors=np.ascontiguousarray(anchors.T, np.float32),
    )
    shuffled = dataclasses.replace(
        problem, scores=problem.scores[:, order], anchors=problem.anchors[order]
    )
    ours, theirs = problem.run(), shuffled.run()
    np.testing.assert_array_equal(ours.num_detections, theirs.num_detections)
    for one, other in zip(kept_boxes(problem, ours), kept_boxes(shuffled, theirs), strict=True):
        assert one.scores[0] == other.scores[0]


@EXAMPLES
@given(problems(odd=False), st.data())
def test_int8_equals_float_on_the_dequantised_tensors(
    problem: Problem, data: st.DataObject
) -> None:
    quantization = st.tuples(
        st.floats(2.0**-100, 2.0**100, width=32), st.integers(-(2**31), 2**31 - 1)
    ) | st.tuples(st.floats(2.0**-10, 1, width=32), st.integers(-200, 200))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    arrays, quantizations, floats = [], [], []
    for array in (problem.encodings, problem.scores, problem.anchors):
        if data.draw(st.booleans()):
            # Few distinct values make ties.
            spread = data.draw(st.sampled_from([1, 5, 127]))
            arrays.append(rng.integers(-spread - 1, spread + 1, array.shape).astype(np.int8))
            quantizations.append(data.draw(quantization))
        else:
            arrays.append(array)
            quantizations.append(None)
        floats.append(dequantize(arrays[-1], quantizations[-1]))
    with instruction_set(problem.isa):
        ours = detops.postprocess(
            *arrays,
            problem.options,
            box_quantization=quantizations[0],
            score_quantization=quantizations[1],
            anchor_quantization=quantizations[2],
        )
        wanted = detops.postprocess(*floats, problem.options)
    for name, got, want in zip(OUTPUT_NAMES, ours, wanted, strict=True):
        assert_same_bits(got, want, f"{name} with {quantizations}")


@EXAMPLES
@given(problems())
def test_every_instruction_set_gives_the_same_bits(problem: Problem) -> None:
    wanted = problem.run()
    for isa in ISAS:
        for name, got, want in zip(
            OUTPUT_NAMES, dataclasses.replace(problem, isa=isa).run(), wanted, strict=True
        ):
            assert_same_bits(got, want, f"{name}, {isa} against {problem.isa}")


@EXAMPLES
@given(problems(), st.integers(1, 4))
def test_a_batch_is_its_images(problem: Problem, images: int) -> None:
    rolled = [
        dataclasses.replace(problem, scores=np.roll(problem.scores, shift, axis=1))
        for shift in range(images)
    ]
    batch = detops.postprocess(
        np.concatenate([each.encodings for each in rolled]),
        np.concatenate([each.scores for each in rolled]),
        problem.anchors,
        problem.options,
    )
    for image, each in enumerate(rolled):
        for got, want in zip(batch, each.run(), strict=True):
            assert_same_bits(got[image : image + 1], want, f"image {image} of {images}")


# ---------------------------------------------------------------------------------------------
# Any bytes and any shapes give a status
# ---------------------------------------------------------------------------------------------


@settings(max_examples=1000, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_as_options(noise: bytes) -> None:
    _read_options(noise)


@settings(max_examples=1000, deadline=None)
@given(st.binary(max_size=100), st.integers(0, 255), st.integers(0, 3), st.sampled_from([1, 2, 4]))
def test_any_bytes_before_the_root_of_a_map(
    noise: bytes, root: int, width: int, root_width: int
) -> None:
    tail = root.to_bytes(root_width, "little") + bytes([9 << 2 | width, root_width])
    _read_options(noise + tail)


keys = st.sampled_from([*default_options(1), "_output_types", ""]) | st.text(
    st.characters(codec="ascii", exclude_characters="\0"), max_size=20
)
plain_values = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | any_float  # flatbuffers' own writer fails past float32
    | st.sampled_from(["7", "0.5", "", "many", "-1e400", "0x10", " 5", "nan"])
)
nested_values = st.recursive(
    plain_values,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
)


@settings(max_examples=500, deadline=None)
@given(st.dictionaries(keys, nested_values, max_size=14))
def test_any_map_as_options(values: dict[str, Any]) -> None:
    options = _read_options(bytes(flexbuffers.Dumps(values)))
    if options is not None:
        for name in ("max_detections", "num_classes"):
            stored = values.get(name)
            if isinstance(stored, int):
                assert getattr(options, name) == stored
            elif stored is None:
                assert getattr(options, name) == 0


def _read_options(block: bytes) -> detops.Options | None:
    try:
        return detops.Options.from_bytes(block)
    except ValueError:
        return None


shapes = st.lists(st.integers(0, 6), max_size=4).map(tuple)
near_shapes = st.tuples(st.integers(0, 2), st.integers(4, 5), st.integers(3, 6))
types = st.sampled_from(["float32", "uint8", "int8"]) | st.sampled_from(
    ["float32", "float16", "int16", "int32", "float64", "int64"]
)
any_quantization = st.none() | st.tuples(
    st.sampled_from([0.0, -1.0, math.nan, math.inf, 0.1, 1e-30]), st.integers(-300, 300)
)
any_options = st.fixed_dictionaries(
    {
        "max_detections": st.integers(-2, 40) | st.integers(-(2**31), 2**31 - 1),
        "max_classes_per_detection": st.integers(-1, 5) | st.integers(-(2**31), 2**31 - 1),
        "detections_per_class": st.integers(-1, 5) | st.integers(-(2**31), 2**31 - 1),
        "use_regular_nms": st.booleans(),
        "nms_score_threshold": any_float,
        "nms_iou_threshold": st.just(0.5) | any_float,
        "num_classes": st.integers(-1, 6) | st.integers(-(2**31), 2**31 - 1),
        "y_scale": st.just(1.0) | any_float,
        "x_scale": st.just(1.0),
        "h_scale": st.just(1.0) | any_float,
        "w_scale": st.just(1.0),
    }
)


def _fits_a_test(options: dict[str, Any]) -> bool:
    """Valid options may ask for gigabytes of outputs."""
    slots = options["max_detections"] * options["max_classes_per_detection"]
    return not 10**5 < slots < 2**31


@st.composite
def arrays(draw: st.DrawFn) -> Array:
    shape = draw(near_shapes | shapes)
    return np.full(shape, draw(st.integers(0, 3)), draw(types))


@settings(max_examples=600, deadline=None)
@given(
    arrays(),
    arrays(),
    arrays() | st.tuples(st.integers(3, 6), st.just(4)).map(lambda s: np.ones(s, np.float32)),
    any_options.filter(_fits_a_test),
    st.tuples(any_quantization, any_quantization, any_quantization),
)
def test_any_arrays_give_detections_or_an_error(
    encodings: Array, scores: Array, anchors: Array, values: dict[str, Any], scales: Any
) -> None:
    try:
        found = detops.postprocess(
            encodings,
            scores,
            anchors,
            detops.Options(**values),
            box_quantization=scales[0],
            score_quantization=scales[1],
            anchor_quantization=scales[2],
        )
    except (ValueError, TypeError) as error:
        assert any(
            word in str(error) for word in ("box_encodings", "scores", "anchors", "option", "max_")
        )
        return
    slots = values["max_detections"] * values["max_classes_per_detection"]
    assert found.boxes.shape == (len(encodings), slots, 4)
    assert (found.num_detections <= values["max_detections"]).all()


@settings(max_examples=300, deadline=None)
@given(
    near_shapes | shapes,
    near_shapes | shapes,
    st.tuples(st.integers(3, 6), st.just(4)) | shapes,
    st.tuples(types, types, types),
    st.tuples(any_quantization, any_quantization, any_quantization),
    st.just(default_options(4)) | any_options.filter(_fits_a_test),
    st.booleans(),
)
def test_any_shapes_in_a_model_give_outputs_or_an_error(
    runtime: str,
    box_shape: tuple[int, ...],
    score_shape: tuple[int, ...],
    anchor_shape: tuple[int, ...],
    dtypes: tuple[str, str, str],
    scales: Any,
    options: dict[str, Any],
    dequantize_first: bool,
) -> None:
    box_type, score_type, anchor_type = dtypes
    model = PostprocessModel(
        class_columns=0,
        num_anchors=0,
        box_shape=box_shape,
        score_shape=score_shape,
        anchor_shape=anchor_shape,
        box_dtype=box_type,
        score_dtype=score_type,
        anchor_dtype=anchor_type,
        box_quantization=scales[0],
        score_quantization=scales[1],
        anchor_quantization=scales[2],
        dequantize=dequantize_first,
        options=options,
    )
    content = model.build()
    inputs = [
        np.ones(shape, dtype)
        for shape, dtype in zip((box_shape, score_shape, anchor_shape), dtypes, strict=True)
    ]
    try:
        interpreter = detops.Interpreter(model_content=content, runtime=runtime)
        interpreter.allocate_tensors()
    except (RuntimeError, ValueError):
        return
    outputs = run(interpreter, inputs)
    assert (outputs["num_detections"] <= options["max_detections"]).all()


# What detops.Interpreter lets through, stock reads too, before ours takes its place: a block that
# we find readable must not crash it.
_CHILD = """
import sys
import numpy as np
import detops
from test_properties import blocks_near_a_valid_one, model_of_block
opened = refused = 0
for block in blocks_near_a_valid_one(int(sys.argv[2]), 400):
    try:
        interpreter = detops.Interpreter(model_content=model_of_block(block), runtime=sys.argv[1])
        opened += 1
        interpreter.allocate_tensors()
    except (ValueError, RuntimeError):
        refused += 1
        continue
    interpreter.invoke()
print(opened, refused)
"""


def blocks_near_a_valid_one(seed: int, count: int) -> list[bytes]:
    """Option blocks with a few bytes changed, of which many are still readable."""
    rng = np.random.default_rng(seed)
    good = bytes(flexbuffers.Dumps(default_options(4)))
    blocks = []
    for _ in range(count):
        block = bytearray(good)
        for _ in range(int(rng.integers(1, 4))):
            block[rng.integers(len(block))] = int(rng.integers(256))
        blocks.append(bytes(block))
    return blocks


def model_of_block(block: bytes) -> bytes:
    return PostprocessModel(
        anchors=np.full((6, 4), 0.5, np.float32), class_columns=5, options=block
    ).build()


def test_option_blocks_that_are_let_through_crash_nothing(runtime: str) -> None:
    path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    done = subprocess.run(
        [sys.executable, "-c", _CHILD, runtime, "0"],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"exit status {done.returncode}\n{done.stderr[-2000:]}"
    opened, refused = map(int, done.stdout.split())
    # Both ways must have been gone.
    assert opened > 50 and refused > 50
