# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Option blocks: any bytes give options or an error; valid ones are read as others read them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from flatbuffers import flexbuffers

import detops
from bad_models import (
    CLASSES,
    INF,
    build_case,
    option_block,
    options_of,
)
from detops.interpreter import runtime_module
from model_builder import (
    OUTPUT_NAMES,
    run,
)
from reference import (
    assert_same_bits,
)

# ---------------------------------------------------------------------------------------------
# Option blocks
# ---------------------------------------------------------------------------------------------

INT_OPTIONS = (
    "max_detections",
    "max_classes_per_detection",
    "detections_per_class",
    "num_classes",
)
FLOAT_OPTIONS = (
    "nms_score_threshold",
    "nms_iou_threshold",
    "y_scale",
    "x_scale",
    "h_scale",
    "w_scale",
)
ABSENT = {**dict.fromkeys(INT_OPTIONS, 0), **dict.fromkeys(FLOAT_OPTIONS, 0.0)}
ABSENT |= {"detections_per_class": 100, "use_regular_nms": False}


def _assert_status(block: bytes) -> bool:
    """Options with fields of the right kinds, or ValueError; True for the former."""
    try:
        options = detops.Options.from_bytes(block)
    except ValueError as error:
        assert "option" in str(error)
        return False
    for name in INT_OPTIONS:
        value = getattr(options, name)
        assert type(value) is int and -(2**31) <= value < 2**31, (name, value)
    for name in FLOAT_OPTIONS:
        assert type(getattr(options, name)) is float, name
    assert type(options.use_regular_nms) is bool
    return True


def test_options_cut_at_every_byte() -> None:
    block = option_block()
    assert _assert_status(block)
    statuses = [_assert_status(block[:cut]) for cut in range(len(block))]
    # A flexbuffer is read from its end, so nothing short of all of it is this map.
    assert sum(statuses) == 0
    for cut in range(len(block)):
        _assert_status(block[cut:])


def test_options_of_random_bytes() -> None:
    rng = np.random.default_rng(0)
    for _ in range(1500):
        _assert_status(rng.bytes(int(rng.integers(0, 400))))
    # A plausible end leads the reader further in.
    for _ in range(1500):
        head = rng.integers(0, 256, int(rng.integers(4, 200)), dtype=np.uint8)
        head[rng.random(len(head)) < 0.5] //= 32
        width = int(rng.integers(4))
        tail = [int(rng.integers(1, 40)), 9 << 2 | width, 1]
        _assert_status(head.tobytes() + bytes(tail))


def test_options_with_flipped_bits() -> None:
    rng = np.random.default_rng(1)
    blocks = [option_block(), option_block(nms_score_threshold=-INF), random_block(rng)]
    read = 0
    for _ in range(3000):
        flipped = bytearray(blocks[rng.integers(len(blocks))])
        for _ in range(int(rng.integers(1, 4))):
            flipped[rng.integers(len(flipped))] ^= 1 << int(rng.integers(8))
        read += _assert_status(bytes(flipped))
    # Some flips change a value and nothing else; most of the others must be noticed.
    assert 0 < read < 3000


def test_options_with_any_byte_anywhere_near_the_end() -> None:
    block = option_block()
    for back in range(1, 25):
        for value in range(256):
            changed = bytearray(block)
            changed[-back] = value
            _assert_status(bytes(changed))


@pytest.mark.parametrize("size", [1, 2, 4, 8])
def test_options_that_claim_a_huge_size(size: int) -> None:
    # A map of the given width: offset of the keys, width of a key, number of values, values.
    for count in (2 ** (8 * size) - 1, 2 ** (8 * size - 1), 100):
        for keys in (0, 1, size, 4 * size, 2 ** (8 * size) - 1):
            for key_width in (0, 1, 3, size, 2 ** (8 * size) - 1):
                fields = [2 ** (8 * size) - 1, count, keys, key_width, count, 0, 0]
                body = b"".join(field.to_bytes(size, "little") for field in fields)
                width = int(math.log2(size))
                root = (2 * size).to_bytes(1, "little")
                block = body + root + bytes([9 << 2 | width, 1])
                assert not _assert_status(block)


def _encode(builder: flexbuffers.Builder, value: Any, rng: np.random.Generator) -> None:
    """Writes one value in one of the ways in which a writer may store it."""
    width = int(rng.choice([0, 8]))
    if value is None:
        builder.Null()
    elif isinstance(value, bool):
        builder.Bool(value)
    elif isinstance(value, str):
        builder.String(value)
    elif isinstance(value, float):
        if math.isfinite(value) and value != np.float32(value):
            width = 8
        [builder.Float, builder.IndirectFloat][rng.integers(2)](value, width)
    else:
        methods = [builder.Int, builder.IndirectInt] if value < 2**63 else []
        if value >= 0:
            methods += [builder.UInt, builder.IndirectUInt]
        methods[rng.integers(len(methods))](value, width)


def random_block(rng: np.random.Generator, values: Mapping[str, Any] | None = None) -> bytes:
    """A valid block; without `values` with any numbers under some of the keys and some others."""
    values = dict(_random_values(rng) if values is None else values)
    builder = flexbuffers.Builder()
    with builder.Map():
        for key in rng.permutation(list(values)):
            builder.Key(str(key))
            _encode(builder, values[str(key)], rng)
    return bytes(builder.Finish())


def _random_values(rng: np.random.Generator) -> dict[str, Any]:
    keys = [*INT_OPTIONS, *FLOAT_OPTIONS, "use_regular_nms", "_output_types", "z", "max_det", ""]
    whole = [0, 1, 10, 127, 128, 300, 65536, 2**31 - 1, 2**31, 2**40, 2**63, 2**64 - 1]
    whole += [-1, -128, -129, -(2**31), -(2**31) - 1, -(2**63)]
    real = [0.0, 0.5, 0.3, -2.75, 99.99, 1e-8, 1e38, INF, -INF, 5e9]
    text = ["7", "-7", "0.25", "1e3", "12.5", "0"]
    values: dict[str, Any] = {}
    for key in keys:
        kind = rng.integers(6)
        if kind == 0:
            values[key] = bool(rng.integers(2))
        elif kind == 1:
            values[key] = text[rng.integers(len(text))]
        elif kind == 2:
            values[key] = real[rng.integers(len(real))]
        elif kind < 5:
            values[key] = whole[rng.integers(len(whole))]
    if rng.integers(8) == 0:
        values["num_classes"] = None
    return values


def _expected_option(name: str, value: Any) -> Any:
    """What the op makes of a stored value; None for a refusal."""
    if isinstance(value, str):
        value = int(value) if value.lstrip("-").isdigit() else float(value)
    if name in FLOAT_OPTIONS:
        with np.errstate(over="ignore"):
            return np.float32(value)
    if name == "use_regular_nms":
        return bool(value) if not isinstance(value, float) or math.isinf(value) else int(value) != 0
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return int(value) if -(2**31) <= int(value) < 2**31 else None


def test_valid_options_equal_those_of_flatbuffers_own_reader() -> None:
    rng = np.random.default_rng(2)
    refused = 0
    for number in range(1500):
        block = random_block(rng)
        stored = flexbuffers.Loads(block)
        expected = {
            name: ABSENT[name] if stored.get(name) is None else _expected_option(name, stored[name])
            for name in ABSENT
        }
        if None in expected.values():
            refused += 1
            name = next(name for name, value in expected.items() if value is None)
            with pytest.raises(ValueError, match=f"option {name} is .*32-bit integer"):
                detops.Options.from_bytes(block)
            continue
        options = detops.Options.from_bytes(block)
        for name, value in expected.items():
            got = getattr(options, name)
            got = np.float32(got) if name in FLOAT_OPTIONS else got
            assert got == value, (number, name, got, stored.get(name))
    assert 100 < refused < 1400


def test_stored_forms_of_options_equal_stock(runtime: str) -> None:
    """Numbers as text, as integers of any width, direct or not: stock reads them all, so do we."""
    rng = np.random.default_rng(3)
    for number in range(60):
        values: dict[str, Any] = {
            "max_detections": [7, 7.9, "7", 7.0][rng.integers(4)],
            "max_classes_per_detection": [1, True, "1", 1.5][rng.integers(4)],
            "detections_per_class": [3, 3.99, "3"][rng.integers(3)],
            "use_regular_nms": [False, 0, "0", 0.0, 0.5, True, 1, "1", 1.0, 2][rng.integers(10)],
            "nms_score_threshold": [0.25, "0.25", 0, "0"][rng.integers(4)],
            "nms_iou_threshold": [0.5, "0.5", 1, True][rng.integers(4)],
            "num_classes": [CLASSES, float(CLASSES), str(CLASSES)][rng.integers(3)],
            **{
                scale: [10, 10.0, "10", "10.0"][rng.integers(4)]
                for scale in ("y_scale", "x_scale", "h_scale", "w_scale")
            },
        }
        model, inputs = build_case(options=random_block(rng, values), seed=number)
        content = model.build()
        stock = run(runtime_module(runtime).Interpreter(model_content=content), inputs)
        ours = run(detops.Interpreter(model_content=content, runtime=runtime), inputs)
        assert stock["num_detections"][0] > 0
        count = int(stock["num_detections"][0])
        for name in OUTPUT_NAMES:
            what = f"{number}: {name} of {values}"
            if name == "num_detections":
                assert_same_bits(ours[name], stock[name], what)
            else:
                assert_same_bits(ours[name][0, :count], stock[name][0, :count], what)


@pytest.mark.parametrize("shift", range(1, 9))
def test_options_at_any_alignment(shift: int) -> None:
    # A flexbuffer is read from its end: what stands in front only moves it.
    block = random_block(np.random.default_rng(4), options_of(max_detections=2**20))
    assert detops.Options.from_bytes(b"\0" * shift + block) == detops.Options.from_bytes(block)
