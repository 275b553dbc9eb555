# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""What a training run is: one flat record, read from a Python file and changed by key=value.

config = load_config("ssd_mobilenet_v1_300", ["train_data=pets/xmls", "steps=2000"])
"""

from __future__ import annotations

import dataclasses
import difflib
import json
import math
import re
import runpy
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training.strict_json import SHOWN, once_each, shown

FOLDER = Path(__file__).parent / "configs"
DISTRIBUTIONS = ("none", "replicas", "tpu", "hosts")

_MAX_CONFIG_BYTES = 1 << 20
_ONCE_EACH = once_each("key {} is given twice, expected once")

_EXPECTED = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "str": "a text of UTF-8 without a null character",
}

# Least and most, both included. What is above the most is a slip of the keyboard: it would ask for
# more memory than there is, overflow what an engine counts with, or not fit a checkpoint's name.
_STEP = 99_999_999
_FLOAT32 = 1e38
_LARGEST_ANCHOR = 10
_RANGES: dict[str, tuple[float, float]] = {
    "image_size": (1, 8192),
    "max_boxes": (1, 100_000),
    "batch_size": (1, 1_000_000),
    "steps": (1, _STEP),
    "log_every": (1, _STEP),
    "checkpoint_every": (1, _STEP),
    "keep_checkpoints": (1, _STEP),
    "host_timeout": (1, 1_000_000),
    "seed": (0, 2**32 - 1),
    "warmup_steps": (0, _STEP),
    "evaluate_every": (0, _STEP),
    "quantize_from": (-1, _STEP),
    "freeze_batch_norm_from": (-1, _STEP),
    "weight_decay": (0, _FLOAT32),
    "warmup_learning_rate": (0, _FLOAT32),
    "gradient_clip": (0, _FLOAT32),
    "focal_gamma": (0, 1000),
    "localization_weight": (0, _FLOAT32),
    "depth_multiplier": (0.01, 16),
}


@dataclass(frozen=True, kw_only=True)
class Config:
    """A training run. Checked when made: a wrong value raises ValueError and is named."""

    architecture: str
    """One of training.models.ARCHITECTURES."""
    depth_multiplier: float = 1.0
    image_size: int = 300
    """Pixels; images are squeezed to a square."""
    anchor_scales: str = ""
    """Sizes of an SSD's or PPN's anchors in each of its six maps, "0.08,0.18,0.3,0.45,0.65,0.9", as
    fractions of the image, for objects of other sizes than COCO's; empty: the published ones."""

    # Data. Paths as training.data.open_source takes them.
    train_data: str = ""
    train_list: str = ""
    """File with one image name per line: the part of the data that is used."""
    train_images: str = ""
    validation_data: str = ""
    """Empty: no mAP is measured."""
    validation_list: str = ""
    validation_images: str = ""
    labels: str = ""
    """File of class names or label map; empty: the names that the training data holds."""
    label_from: str = "name"
    """Or "file_name": an object's class is the name of its image's file up to the last "_"."""
    single_class: str = ""
    """One name for all objects; empty: each its own class."""
    max_boxes: int = 100
    """Boxes kept of an image. Ground truth is padded to it: the step's shapes are static."""
    flip: bool = True
    random_crop: bool = True
    photometric: bool = True
    zoom_out: bool = False
    """SSD's expansion: pictures shrunk into a larger frame, which makes small objects."""
    cache_folder: str = ""
    """Where decoded pictures are kept if memory has no room for all; empty: decoded each time."""
    own_shards: bool = False
    """Each host opens every n-th TFRecord shard of `train_data` alone, and its batches come from
    these; false: each opens all, and has its rows of the batch that one host would see."""
    data_service: str = ""
    """Address of a tf.data service that makes batches, grpc://HOST:PORT; empty: this process."""

    # Optimisation.
    batch_size: int = 8
    """Images per step, on all replicas together."""
    steps: int
    seed: int = 0
    optimizer: str = "momentum"
    """Or "adam"."""
    learning_rate: float
    """At the end of the warm-up; from there it falls by a cosine to zero at `steps`."""
    warmup_learning_rate: float = 0.0
    """At step 0; it rises linearly. Not used with `warmup_steps` 0."""
    warmup_steps: int = 0
    momentum: float = 0.9
    weight_decay: float = 4e-5
    """Factor of the sum of the squared kernels in the loss."""
    ema: float = 0.0
    """Decay of a moving average of the weights, which is then what is scored; 0: none."""
    gradient_clip: float = 10.0
    """Largest norm of all gradients together; 0: no limit."""
    localization_weight: float = 1.0
    focal_alpha: float = 0.75
    focal_gamma: float = 2.0
    nms_iou_threshold: float = 0.6
    """Of two boxes of a class that overlap by more, scoring and the exported file keep one."""
    warm_start: str = ""
    """File of weights to begin from: Keras weights, .npz or .tflite."""

    # Quantisation and batch norm.
    quantize_from: int = -1
    """Step at which fake quantisation starts; -1: never."""
    freeze_batch_norm_from: int = -1
    """Step from which batch norm uses its long-term statistics; -1: never."""
    per_channel: bool = False
    """A weight range for each output channel, not for each tensor."""
    batch_norm_momentum: float = 0.99

    # Execution.
    distribute: str = "none"
    """none: one device. replicas: all of this host, GPUs or else the CPU's. tpu: all TPU cores of
    this host. hosts: all devices of all hosts, each of which runs the same command."""
    synchronized_batch_norm: bool = True
    """Batch norm takes the statistics of the whole batch, and a run does not depend on the number
    of devices; false: each device those of its own images, which saves communication."""
    host_timeout: int = 100
    """Seconds without a sign of life after which a host counts as lost."""
    mixed_precision: bool = False
    """bfloat16 activations."""
    jit_compile: bool = False
    """XLA; the JAX backend always uses it."""
    deterministic: bool = False
    """TensorFlow's deterministic kernels, which exact resumption needs on a GPU. Slower there."""
    evaluate_every: int = 0
    """Steps between scorings of the validation data; 0: at the end of each phase only."""
    checkpoint_every: int = 500
    keep_checkpoints: int = 3
    log_every: int = 20

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = _converted(field.name, str(field.type), getattr(self, field.name))
            object.__setattr__(self, field.name, value)
        problems = _out_of_range(self) or [text for wrong, text in _rules(self) if wrong]
        try:
            sizes = self.anchor_sizes()
        except ValueError:
            sizes = (math.nan,)
        if not all(0 < size <= _LARGEST_ANCHOR for size in sizes):
            problems.append(
                f"anchor_scales is {shown(self.anchor_scales)}, expected numbers and commas, each "
                f"number > 0, at most {_LARGEST_ANCHOR}"
            )
        if problems:
            raise ValueError("; ".join(problems))

    def replace(self, **changes: Any) -> Config:
        """A copy with some fields changed."""
        return dataclasses.replace(self, **changes)

    def anchor_sizes(self) -> tuple[float, ...]:
        """`anchor_scales` as numbers."""
        return tuple(float(text) for text in self.anchor_scales.split(",") if text.strip())

    @classmethod
    def defaults(cls) -> dict[str, Any]:
        """The values of the fields that need not be given."""
        fields = dataclasses.fields(cls)
        return {f.name: f.default for f in fields if f.default is not dataclasses.MISSING}

    def as_dict(self) -> dict[str, Any]:
        """Field names and values, as JSON holds them."""
        return dataclasses.asdict(self)


def load_config(path_or_name: str | Path, overrides: Sequence[str] = ()) -> Config:
    """Reads a config and applies `key=value` texts to it.

    Args:
      path_or_name: a Python file that defines CONFIG, a run's config.json, or the name of a file in
        training/configs.
      overrides: texts like "batch_size=16"; true, false, 1e-3, 20_000 are understood.

    Raises:
      ValueError: no such config, a key that does not exist (its neighbour is named), or a value of
        a wrong type or range.
      OSError: the file cannot be read.
    """
    path = _find(str(path_or_name))
    values = _read(path)
    for text in overrides:
        key, equals, value = text.partition("=")
        if not equals:
            raise ValueError(f"{shown(text)} is not of the form key=value")
        if key not in Config.__dataclass_fields__:
            raise _no_key(key)
        values[key] = value
    try:
        return Config(**values)
    except (TypeError, ValueError) as error:
        where = f"{path} with {shown(' '.join(overrides))}" if overrides else str(path)
        raise ValueError(f"{where}: {error}") from error


def config_names() -> list[str]:
    """Names that `load_config` takes for the configs that come with detops."""
    return sorted(path.stem for path in FOLDER.glob("*.py") if path.stem != "__init__")


def _find(given: str) -> Path:
    path = Path(given)
    if path.suffix in (".py", ".json"):
        if not path.exists():
            raise ValueError(f"there is no config file {path}")
        # Reading a pipe would wait for ever, and a device might have no end.
        if not path.is_file():
            raise ValueError(f"{path} is no file, expected a config of Python or JSON")
        return path
    names = config_names()
    if given not in names:
        near = difflib.get_close_matches(given[:SHOWN], names, 1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(names)}"
        raise ValueError(f"there is no config {shown(given)}; {hint}")
    return FOLDER / f"{given}.py"


def _read(path: Path) -> dict[str, Any]:
    if path.stat().st_size > _MAX_CONFIG_BYTES:
        raise ValueError(f"{path} has more than {_MAX_CONFIG_BYTES} bytes, it is no config")
    return _read_json(path) if path.suffix == ".json" else _run(path)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_bytes().decode("utf-8-sig"), object_pairs_hook=_ONCE_EACH)
        if not isinstance(values, dict):
            raise ValueError(f"it holds a {type(values).__name__}, expected an object")
        for key in values:
            if key not in Config.__dataclass_fields__:
                raise _no_key(key)
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 at byte {error.start}") from None
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is no config in JSON: {error}") from error
    return values


def _run(path: Path) -> dict[str, Any]:
    """What a config in Python defines. It is a program: anything at all may go wrong in it."""
    try:
        config = runpy.run_path(str(path)).get("CONFIG")
    except (Exception, SystemExit) as error:
        # The record's own complaint about a field that it does not have.
        misspelt = re.search(r"unexpected keyword argument '(\w+)'", str(error))
        if isinstance(error, TypeError) and misspelt is not None:
            what = str(_no_key(misspelt[1]))
        elif isinstance(error, ValueError):
            what = str(error)
        else:
            what = f"{type(error).__name__}: {error}"
        raise ValueError(f"{path}{_line_of(error, path)}: {what}") from error
    if not isinstance(config, Config):
        raise ValueError(f"{path} defines no CONFIG = Config(...)")
    return config.as_dict()


def _line_of(error: BaseException, path: Path) -> str:
    """Where in a file an error came from, for a message."""
    lines = [
        line
        for frame, line in traceback.walk_tb(error.__traceback__)
        if frame.f_code.co_filename == str(path)
    ]
    return f", line {lines[-1]}" if lines else ""


def _no_key(key: str) -> ValueError:
    known = [field.name for field in dataclasses.fields(Config)]
    near = difflib.get_close_matches(key[:SHOWN], known, 1, cutoff=0.5)
    hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
    return ValueError(f"config has no key {shown(key)}; {hint}")


def _converted(name: str, kind: str, value: Any) -> Any:
    """The value as the field's type, or ValueError; texts come from the command line."""
    problem = ValueError(f"{name} is {shown(value)}, expected {_EXPECTED[kind]}")
    if kind == "str":
        if not isinstance(value, (str, Path)) or not _is_text(str(value)):
            raise problem
        return str(value)
    if kind == "bool":
        if isinstance(value, str) and value.lower() in ("true", "false", "1", "0"):
            return value.lower() in ("true", "1")
        if not isinstance(value, bool):
            raise problem
        return value
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise problem
    try:
        number = float(value)
    except (ValueError, OverflowError):
        raise problem from None
    if not math.isfinite(number) or (kind == "int" and number != int(number)):
        raise problem
    return int(number) if kind == "int" else number


def _is_text(value: str) -> bool:
    """No file has a null character in its name, and TensorFlow takes names in UTF-8 alone."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in value


def _out_of_range(config: Config) -> list[str]:
    """A sentence for each number that is too small or too large by itself."""
    return [
        f"{name} is {shown(getattr(config, name))}, expected {least} to {most}"
        for name, (least, most) in _RANGES.items()
        if not least <= getattr(config, name) <= most
    ]


def _rules(config: Config) -> list[tuple[bool, str]]:
    """What must not be, with the sentence that says so."""
    rules = [
        (
            not 0 <= getattr(config, name) < 1,
            f"{name} is {getattr(config, name)}, expected 0 <= {name} < 1",
        )
        for name in ("momentum", "ema", "batch_norm_momentum")
    ]
    return [
        *rules,
        (
            not 0 < config.learning_rate <= _FLOAT32,
            f"learning_rate is {config.learning_rate}, expected > 0, at most {_FLOAT32}",
        ),
        (
            not 0 < config.nms_iou_threshold <= 1,
            f"nms_iou_threshold is {config.nms_iou_threshold}, expected in (0, 1]",
        ),
        (
            not 0 < config.focal_alpha < 1,
            f"focal_alpha is {config.focal_alpha}, expected in (0, 1)",
        ),
        (
            config.optimizer not in ("momentum", "adam"),
            f"optimizer is {shown(config.optimizer)}, expected 'momentum' or 'adam'",
        ),
        (
            config.distribute not in DISTRIBUTIONS,
            f"distribute is {shown(config.distribute)}, expected one of {', '.join(DISTRIBUTIONS)}",
        ),
        (
            config.warmup_steps >= config.steps,
            f"warmup_steps is {config.warmup_steps}, expected less than steps, {config.steps}",
        ),
        (
            config.quantize_from >= config.steps,
            f"quantize_from is {config.quantize_from}, expected less than steps, {config.steps}",
        ),
    ]
