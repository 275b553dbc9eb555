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
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "configs"
DISTRIBUTIONS = ("none", "replicas", "tpu", "hosts")

_EXPECTED = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "str": "a text",
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
        problems = [text for wrong, text in _rules(self) if wrong]
        try:
            self.anchor_sizes()
        except ValueError:
            problems.append(f"anchor_scales is {self.anchor_scales!r}, expected numbers and commas")
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
    known = [field.name for field in dataclasses.fields(Config)]
    for text in overrides:
        key, equals, value = text.partition("=")
        if not equals:
            raise ValueError(f"{text!r} is not of the form key=value")
        _check_key(key, known)
        values[key] = value
    try:
        return Config(**values)
    except TypeError as error:
        raise ValueError(f"{path}: {error}") from error


def config_names() -> list[str]:
    """Names that `load_config` takes for the configs that come with detops."""
    return sorted(path.stem for path in FOLDER.glob("*.py") if path.stem != "__init__")


def _find(given: str) -> Path:
    path = Path(given)
    if path.suffix in (".py", ".json"):
        if not path.is_file():
            raise ValueError(f"there is no config file {path}")
        return path
    names = config_names()
    if given not in names:
        near = difflib.get_close_matches(given, names, 1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(names)}"
        raise ValueError(f"there is no config {given!r}; {hint}")
    return FOLDER / f"{given}.py"


def _read(path: Path) -> dict[str, Any]:
    known = [field.name for field in dataclasses.fields(Config)]
    if path.suffix == ".json":
        values = json.loads(path.read_text())
        if not isinstance(values, dict):
            raise ValueError(f"{path} holds no JSON object")
        for key in values:
            _check_key(str(key), known)
        return values
    try:
        config = runpy.run_path(str(path)).get("CONFIG")
    except TypeError as error:
        # The record's own complaint about a field that it does not have.
        misspelt = re.search(r"unexpected keyword argument '(\w+)'", str(error))
        if misspelt is None:
            raise ValueError(f"{path}: {error}") from error
        _check_key(misspelt[1], known)
        raise
    if not isinstance(config, Config):
        raise ValueError(f"{path} defines no CONFIG = Config(...)")
    return config.as_dict()


def _check_key(key: str, known: Sequence[str]) -> None:
    if key in known:
        return
    near = difflib.get_close_matches(key, known, 1, cutoff=0.5)
    hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
    raise ValueError(f"config has no key {key!r}; {hint}")


def _converted(name: str, kind: str, value: Any) -> Any:
    """The value as the field's type, or ValueError; texts come from the command line."""
    problem = ValueError(f"{name} is {value!r}, expected {_EXPECTED[kind]}")
    if kind == "str":
        if not isinstance(value, (str, Path)):
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


def _rules(config: Config) -> list[tuple[bool, str]]:
    """What must not be, with the sentence that says so."""
    rules = [
        (getattr(config, name) < least, f"{name} is {getattr(config, name)}, expected >= {least}")
        for name, least in (
            *((n, 1) for n in ("image_size", "max_boxes", "batch_size", "steps", "log_every")),
            *((n, 1) for n in ("checkpoint_every", "keep_checkpoints", "host_timeout")),
            *((n, 0) for n in ("seed", "warmup_steps", "evaluate_every", "weight_decay")),
            *((n, 0) for n in ("warmup_learning_rate", "gradient_clip", "focal_gamma")),
            *((n, 0) for n in ("localization_weight",)),
            *((n, -1) for n in ("quantize_from", "freeze_batch_norm_from")),
        )
    ]
    rules += [
        (getattr(config, name) <= 0, f"{name} is {getattr(config, name)}, expected > 0")
        for name in ("learning_rate", "depth_multiplier")
    ]
    rules += [
        (
            not 0 <= getattr(config, name) < 1,
            f"{name} is {getattr(config, name)}, expected 0 <= {name} < 1",
        )
        for name in ("momentum", "ema", "batch_norm_momentum")
    ]
    return [
        *rules,
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
            f"optimizer is {config.optimizer!r}, expected 'momentum' or 'adam'",
        ),
        (
            config.distribute not in DISTRIBUTIONS,
            f"distribute is {config.distribute!r}, expected one of {', '.join(DISTRIBUTIONS)}",
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
