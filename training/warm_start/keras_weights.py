# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Weights of keras.applications, from their .h5 files or an archive of arrays, into a backbone."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from detops.whole_file import open_regular
from training.models.conv_block import EPSILON
from training.models.mobilenet_v1 import MobileNetV1
from training.models.mobilenet_v2 import MobileNetV2
from training.models.resnet50 import ResNet50
from training.warm_start.block_weights import BlockWeights, assign, check_fits, convolutions_of
from training.warm_start.input_normalization import InputNormalization
from training.warm_start.load_report import LoadReport

# keras.applications' "tf" and "caffe" preprocessing.
_TO_ONE = InputNormalization((127.5,), (127.5,))
_BLUE_FIRST = InputNormalization((103.939, 116.779, 123.68), (1.0,), bgr=True)
_SIDE = 224
_CHANNELS = 3


@dataclass(frozen=True)
class _Application:
    """A model of keras.applications, empty."""

    name: str
    normalization: InputNormalization
    arguments: dict[str, Any]

    def build(self, include_top: bool) -> Any:
        build = getattr(keras.applications, self.name)
        shape = (_SIDE, _SIDE, _CHANNELS)
        return build(
            weights=None,
            include_top=include_top,
            input_shape=shape,
            name="source",
            **self.arguments,
        )


def load_application(model: Any, path: Path) -> LoadReport:
    """Loads the backbone of a detector.

    Args:
      path: .h5 or .weights.h5 of the classifier that the backbone is the front of, with or without
        its last layer; or an .npz with the arrays of its `get_weights()`, in order.

    Raises:
      ValueError: the file is of another classifier; the model is as it was.
    """
    application = _application_of(model.backbone)
    source = _read(application, path)
    convolutions = _convolutions(source)
    blocks = list(model.backbone.blocks())
    weights = [_weights(source, name) for name in convolutions[: len(blocks)]]
    weights[0], note = application.normalization.folded_into(weights[0])
    notes = [note] if note else []
    if isinstance(model.backbone, MobileNetV2) and not _same_shape(blocks[-1], weights[-1]):
        # Keras does not scale the last layer below depth 1.
        notes.append(f"{weights[-1].where} is of another width: {blocks.pop().path} stays fresh")
        weights.pop()
    for block, own in zip(blocks, weights, strict=True):
        check_fits(block, own)
    for block, own in zip(blocks, weights, strict=True):
        assign(block, own)
    loaded = {id(block) for block in blocks}
    return LoadReport(
        source=f"{path} (keras.applications.{application.name})",
        loaded=tuple(blocks),
        fresh=tuple(b.path for b in convolutions_of(model) if id(b) not in loaded),
        unused=tuple(convolutions[len(blocks) :]),
        notes=tuple(notes),
    )


def _application_of(backbone: Any) -> _Application:
    blocks = backbone.blocks()
    if isinstance(backbone, MobileNetV1):
        return _Application("MobileNet", _TO_ONE, {"alpha": int(blocks[0].filters) / 32})
    if isinstance(backbone, MobileNetV2):
        # The last bottleneck's 320 filters; the rounding to multiples of 8 does not touch them.
        return _Application("MobileNetV2", _TO_ONE, {"alpha": int(blocks[-2].filters) / 320})
    if isinstance(backbone, ResNet50):
        return _Application("ResNet50", _BLUE_FIRST, {})
    raise ValueError(
        f"no classifier of keras.applications has a {type(backbone).__name__} in front"
    )


def _read(application: _Application, path: Path) -> Any:
    """The model of keras.applications with the weights of the file."""
    problems = []
    arrays = _arrays(path) if path.suffix == ".npz" else None
    for include_top in (True, False):
        source = application.build(include_top)
        try:
            if arrays is None:
                with warnings.catch_warnings():
                    # Of what does not match, which the error tells as well.
                    warnings.simplefilter("ignore")
                    source.load_weights(str(path))
            else:
                source.set_weights(arrays)
            return source
        # What Keras and h5py raise on files that are damaged, or of another model, or of none.
        except Exception as error:
            problems.append(next(iter(str(error).splitlines()), type(error).__name__))
    raise ValueError(
        f"{path} does not hold the weights of keras.applications.{application.name} with "
        f"{application.arguments or 'no arguments'}: {problems[0]}"
    )


def _arrays(path: Path) -> list[NDArray[Any]]:
    try:
        # Opened here: NumPy leaves the file of a damaged archive open.
        with open_regular(path) as file, np.load(file, allow_pickle=False) as archive:
            return [archive[name] for name in archive.files]
    except FileNotFoundError:
        raise
    # The header of an array is an expression of Python, which may fail in as many ways as any.
    except Exception as error:
        reason = next(iter(str(error).splitlines()), "") or type(error).__name__
        raise ValueError(f"{path} is not a readable .npz archive: {reason}") from error


def _convolutions(source: Any) -> list[str]:
    """Names of the layers with a kernel of four dimensions, in the order of `blocks()`."""
    kinds = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D)
    names = [layer.name for layer in source.layers if isinstance(layer, kinds)]
    # ResNet's layers are not listed unit by unit; their names sort as the units are.
    return sorted(names) if any(_is_unit(name) for name in names) else names


def _is_unit(name: str) -> bool:
    return name.startswith("conv2_block")


def _weights(source: Any, name: str) -> BlockWeights:
    convolution, norm = source.get_layer(name), _norm_of(source, name)
    kernel, *bias = (np.asarray(array) for array in convolution.get_weights())
    gamma, beta, mean, variance = (np.asarray(array) for array in norm.get_weights())
    # The same function, also with statistics of a batch: epsilon counts where there is little
    # variance.
    gamma = gamma * np.sqrt((variance + EPSILON) / (variance + norm.epsilon))
    mean = mean - bias[0] if bias else mean
    return BlockWeights(f"layer {name!r}", kernel, gamma, beta, mean, variance)


def _norm_of(source: Any, name: str) -> Any:
    known = {layer.name: layer for layer in source.layers}
    stem = name.removesuffix("_conv")
    for guess in (f"{name}_bn", f"{name}_BN", f"bn_{name}", f"{stem}_bn"):
        if guess in known:
            return known[guess]
    raise ValueError(f"layer {name!r} has no batch norm behind it, expected one")


def _same_shape(block: Any, weights: BlockWeights) -> bool:
    return tuple(block.kernel.shape) == weights.kernel.shape
