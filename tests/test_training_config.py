# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Configs: reading, overriding, and what a wrong one is told."""

from __future__ import annotations

import ast
import json
import math
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from training.config import FOLDER, Config, config_names, load_config

NAMES = [
    "retinanet_resnet50_640",
    "ssd_mobilenet_v1_075_300",
    "ssd_mobilenet_v1_300",
    "ssd_mobilenet_v1_fpn_640",
    "ssd_mobilenet_v1_ppn_300",
    "ssd_mobilenet_v1_quantized_300",
    "ssd_mobilenet_v2_300",
    "ssd_mobilenet_v2_fpnlite_320",
    "ssdlite_mobilenet_v2_300",
]


def _config(**changes: Any) -> Config:
    return Config(**{"architecture": "a", "steps": 10, "learning_rate": 0.1, **changes})


def test_the_published_architectures_have_a_config() -> None:
    assert set(NAMES) <= set(config_names())


@pytest.mark.parametrize("name", config_names())
def test_each_config_loads_and_says_what_to_expect(name: str) -> None:
    assert load_config(name).steps > 0
    text = ast.get_docstring(ast.parse((FOLDER / f"{name}.py").read_text()))
    assert text
    for word in ("command", "hardware", "time", "result", f"training.train {name}"):
        assert word in text


@pytest.mark.parametrize("name", NAMES)
def test_each_config_names_an_architecture(name: str) -> None:
    pytest.importorskip("keras")
    from training.models import ARCHITECTURES

    assert load_config(name).architecture in ARCHITECTURES


def test_values_are_read_as_their_types() -> None:
    config = load_config(
        "ssd_mobilenet_v1_300",
        ["batch_size=16", "steps=2e4", "flip=false", "learning_rate=1e-3", "train_data=a=b"],
    )
    assert (config.batch_size, config.steps, config.flip) == (16, 20_000, False)
    assert (config.learning_rate, config.train_data) == (0.001, "a=b")
    assert isinstance(config.steps, int)


VALUES: list[Any] = [
    *(10**5000, -(10**5000), 2**64, 1e308, -1e308, -2, 0, math.nan, math.inf, 1.5),
    *(True, None, [], {}, [[["a"]]], b"a", "", "a\0b", "\ud800", "nan", "1e999", "1" * 100_000),
]


@pytest.mark.fault
@pytest.mark.parametrize("field", list(Config.__dataclass_fields__))
def test_any_value_of_any_field_is_taken_or_named(field: str, tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    given = {"architecture": "a", "steps": 10, "learning_rate": 0.1}
    refused = 0
    for value in VALUES:
        try:
            config = _config(**{field: value})
            assert math.isfinite(config.as_dict()[field]) or isinstance(value, (str, bool))
        except ValueError as error:
            assert field in str(error)
            assert len(str(error)) < 300
            refused += 1
        except TypeError:
            assert isinstance(value, str)
        try:
            path.write_text(json.dumps({**given, field: value}))
        except (ValueError, TypeError):
            continue
        try:
            load_config(path)
        except ValueError as error:
            assert str(path) in str(error) and field in str(error)
    assert refused > len(VALUES) / 3


@pytest.mark.fault
@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.json", b"\xff{}", "is not UTF-8 at byte 0"),
        ("a.json", b"", "is no config in JSON: Expecting value"),
        ("a.json", b"[" * 100_000, "is no config in JSON: maximum recursion depth"),
        ("a.json", b'[["steps", 1]]', "it holds a list, expected an object"),
        ("a.json", b'{"steps": 1, "steps": 2}', "key 'steps' is given twice, expected once"),
        ("a.json", b'{"steps": ' + b"1" * 5000 + b"}", "is no config in JSON: Exceeds the limit"),
        ("a.json", b" " * (2 << 20), "has more than 1048576 bytes, it is no config"),
        ("a.py", b"\xff", "SyntaxError: .*can't decode byte 0xff"),
        ("a.py", b"\0", "source code string cannot contain null bytes"),
        ("a.py", b"\nimport sys\nsys.exit(0)", "line 3: SystemExit: 0"),
        ("a.py", b"\n1 / 0", "line 2: ZeroDivisionError: division by zero"),
        ("a.py", b"f = lambda: f()\nf()", "RecursionError: maximum recursion depth exceeded"),
        ("a.py", b"import nowhere_at_all", "line 1: ModuleNotFoundError: No module named"),
    ],
)
def test_whatever_a_config_file_holds_is_one_error_that_names_it(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message) as caught:
        load_config(path)
    assert str(path) in str(caught.value)


@pytest.mark.fault
@pytest.mark.skipif(sys.platform == "win32", reason="pipes of POSIX")
def test_a_config_that_is_no_file_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "folder.json").mkdir()
    os.mkfifo(tmp_path / "pipe.py")
    for name in ("folder.json", "pipe.py"):
        with pytest.raises(ValueError, match=rf"{name} is no file, expected a config"):
            load_config(tmp_path / name)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("batchsize=4", r"no key 'batchsize'; did you mean batch_size\?"),
        ("lerning_rate=4", r"did you mean learning_rate\?"),
        ("zzzzzz=4", "there are architecture, depth_multiplier"),
        ("batch_size", "not of the form key=value"),
        ("batch_size=many", "batch_size is 'many', expected a whole number"),
        ("batch_size=1.5", "batch_size is '1.5', expected a whole number"),
        ("learning_rate=nan", "learning_rate is 'nan', expected a number"),
        ("flip=maybe", "flip is 'maybe', expected true or false"),
        ("batch_size=0", "batch_size is 0, expected 1 to 1000000"),
        ("steps=1e9", "steps is 1000000000, expected 1 to 99999999"),
        ("seed=4294967296", "seed is 4294967296, expected 0 to 4294967295"),
        ("depth_multiplier=0", r"depth_multiplier is 0.0, expected 0.01 to 16"),
        ("learning_rate=0", "learning_rate is 0.0, expected > 0, at most"),
        ("momentum=1", "momentum is 1.0, expected 0 <= momentum < 1"),
        ("optimizer=lion", "optimizer is 'lion', expected 'momentum' or 'adam'"),
        ("distribute=gpus", "distribute is 'gpus', expected one of none, replicas, tpu, hosts"),
        ("warmup_steps=20000", "warmup_steps is 20000, expected less than steps, 20000"),
        ("quantize_from=20000", "quantize_from is 20000, expected less than steps"),
    ],
)
def test_a_wrong_override_is_told_what_is_right(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load_config("ssd_mobilenet_v1_300", [text])


def test_a_wrong_name_is_told_its_neighbour() -> None:
    with pytest.raises(ValueError, match=r"did you mean ssd_mobilenet_v1_300\?"):
        load_config("ssd_mobilnet_v1_300")
    with pytest.raises(ValueError, match=r"there is no config file nowhere\.py"):
        load_config("nowhere.py")


def test_a_file_is_checked_like_the_command_line(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text("from training.config import Config\nCONFIG = Config(bach_size=2)\n")
    with pytest.raises(ValueError, match=r"did you mean batch_size\?"):
        load_config(path)
    path.write_text("CONFIG = 3\n")
    with pytest.raises(ValueError, match=r"defines no CONFIG = Config\(\.\.\.\)"):
        load_config(path)
    path.write_text("from training.config import Config\nCONFIG = Config(steps=2)\n")
    with pytest.raises(ValueError, match="missing 2 required"):
        load_config(path)


def test_a_runs_config_can_be_read_again(tmp_path: Path) -> None:
    config = _config(train_data="x", ema=0.5)
    path = tmp_path / "config.json"
    path.write_text(json.dumps(config.as_dict()))
    assert load_config(path) == config
    assert load_config(path, ["ema=0"]) == config.replace(ema=0.0)


def test_sizes_of_anchors_are_numbers() -> None:
    config = load_config("ssd_mobilenet_v1_300", ["anchor_scales=0.1, 0.2,.3"])
    assert config.anchor_sizes() == (0.1, 0.2, 0.3)
    with pytest.raises(ValueError, match="anchor_scales is 'small', expected numbers and commas"):
        config.replace(anchor_scales="small")


def test_defaults_make_a_config() -> None:
    given = {"architecture": "ssd_mobilenet_v1", "steps": 1, "learning_rate": 0.1}
    assert Config(**{**Config.defaults(), **given}) == Config(**given)
    assert not Config.defaults().keys() & given.keys()
