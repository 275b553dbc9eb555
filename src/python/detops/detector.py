# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""From a picture to detections with any SSD model that ends in TFLite_Detection_PostProcess.

    for found in Detector("model.tflite").detect("photo.jpg"):
        print(found.label, found.score, found.pixel_box)

Needs Pillow and a TFLite runtime; both are imported on first use.
"""

from __future__ import annotations

import math
import os
import struct
import warnings
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from detops.interpreter import Interpreter
from detops.labels import align_labels, labels_in_model, read_labels
from detops.model_file import ModelFile, Operator, Subgraph, Tensor
from detops.options import OP_NAME, Options
from detops.registrar import Registration, register_ops
from detops.whole_file import open_regular

if TYPE_CHECKING:
    from PIL import Image

DEFAULT_THRESHOLD = 0.5
_OUTPUTS = ("boxes", "classes", "scores", "number of detections")
# What Pillow's decoders raise on broken files, beside its own classes.
_DECODING_ERRORS = (
    *(OSError, SyntaxError, ValueError, EOFError, struct.error, OverflowError),
    *(
        zlib.error,
        RuntimeError,
        TypeError,
        LookupError,
        ArithmeticError,
        AttributeError,
        AssertionError,
    ),
)

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Detection:
    """One object found in a picture."""

    label: str
    class_index: int
    """0-based, without the background."""
    score: float
    box: Box
    """ymin, xmin, ymax, xmax as fractions of the picture, as the model gave them: not clipped."""
    pixel_box: tuple[int, int, int, int]
    """ymin, xmin, ymax, xmax in pixels, rounded and clipped to the picture, so that
    `pixels[ymin:ymax, xmin:xmax]` is the object."""


class Detector:
    """An SSD model with its labels and its input preparation.

    The op is found by looking at the graph, and its outputs by their tensors, so the order and the
    names of the model's outputs do not matter. Not for use from two threads at once.

    Args:
      model_path: a .tflite file with one post-processing node and one picture as its input:
        [1, height, width, 3], RGB, uint8 (pixels), int8 (pixels - 128) or float32
        ((pixels - mean) / std).
      labels: class names, or a label file as `detops.labels.read_labels` takes it, with or without
        the background in front. None for the labels packed in the model, if there are any; an
        empty list for "class 0", "class 1", ...
      threshold: detections need score >= this; None for 0.5. The model has a threshold of its own,
        which is applied before.
      runtime: "litert", "tensorflow", "tflite_runtime", or None for the first one installed.
      num_threads: threads of the runtime.
      mean, std: a number, or one per channel; only for float32 inputs, None for 127.5.
      input_size: (height, width), for models that leave it open, and only for those.

    Raises:
      ValueError: the model, the labels or an argument do not fit; the message says which.
      OSError: a file cannot be read.
      ImportError: Pillow or the runtime is not installed.
    """

    labels: tuple[str, ...]
    """One name per class."""
    threshold: float
    input_size: tuple[int, int]
    """Height and width of the picture that the network sees."""
    registration: Registration
    """What detops took and fused."""

    def __init__(
        self,
        model_path: str | os.PathLike[str],
        *,
        labels: Sequence[str] | str | os.PathLike[str] | None = None,
        threshold: float | None = None,
        runtime: str | None = None,
        num_threads: int = 1,
        mean: float | Sequence[float] | None = None,
        std: float | Sequence[float] | None = None,
        input_size: tuple[int, int] | None = None,
    ) -> None:
        path = os.fspath(model_path)
        self.threshold = DEFAULT_THRESHOLD if threshold is None else float(threshold)
        if math.isnan(self.threshold):
            raise ValueError("threshold is NaN, expected a number")
        model = ModelFile.read(path)
        try:
            graph, node = _only_node(model)
            options = Options.from_bytes(node.custom_options or b"")
            self._input = ImageInput.of(graph, mean, std, input_size)
            self.input_size = (self._input.height, self._input.width)
            self._interpreter = Interpreter(path, runtime=runtime, num_threads=num_threads)
            self.registration = register_ops(self._interpreter)
            self._allocate()
            self._outputs = _OpOutputs.of(graph, node, options)
            self.labels = _class_names(path, labels, options.num_classes)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error

    def detect(self, image: str | os.PathLike[str] | Image.Image | NDArray[Any]) -> list[Detection]:
        """The objects in a picture, best score first.

        Args:
          image: a picture file, a Pillow image of any 8 or 16-bit mode, or uint8 [H, W, 3], RGB.

        Returns:
          What the model found at `threshold` or above. Detections whose box or score is not finite
          are left out.

        Raises:
          ValueError: the file is not a readable picture, or the array is another one.
          OSError: the file cannot be opened.
        """
        picture = _as_picture(image)
        self._interpreter.set_tensor(self._input.index, self._input.array(picture))
        self._interpreter.invoke()
        boxes, classes, scores = self._outputs.read(self._interpreter)
        usable = np.isfinite(boxes).all(axis=1) & np.isfinite(scores) & (scores >= self.threshold)
        order = np.argsort(-scores, kind="stable")
        return [
            self._detection(boxes[slot], int(classes[slot]), float(scores[slot]), picture.size)
            for slot in order[usable[order]].tolist()
        ]

    def _allocate(self) -> None:
        shape = (1, *self.input_size, 3)
        try:
            if self._input.resize:
                self._interpreter.resize_tensor_input(self._input.index, shape)
            self._interpreter.allocate_tensors()
        except RuntimeError as error:
            raise ValueError(f"the runtime cannot prepare the model: {error}") from error

    def _detection(
        self, corners: NDArray[np.float32], number: int, score: float, size: tuple[int, int]
    ) -> Detection:
        ymin, xmin, ymax, xmax = corners.tolist()
        width, height = size
        pixel_box = (
            _to_pixel(ymin, height),
            _to_pixel(xmin, width),
            _to_pixel(ymax, height),
            _to_pixel(xmax, width),
        )
        return Detection(self.labels[number], number, score, (ymin, xmin, ymax, xmax), pixel_box)


def _to_pixel(edge: float, side: int) -> int:
    return round(min(max(edge, 0.0), 1.0) * side)


def _only_node(model: ModelFile) -> tuple[Subgraph, Operator]:
    nodes = model.postprocess_operators()
    if len(nodes) != 1:
        raise ValueError(f"the model has {len(nodes)} {OP_NAME} nodes, expected one")
    graph, node = nodes[0]
    if graph.index != 0:
        raise ValueError(f"{OP_NAME} is in subgraph {graph.index}, expected the main one, 0")
    return graph, node


def _class_names(
    path: str, labels: Sequence[str] | str | os.PathLike[str] | None, num_classes: int
) -> tuple[str, ...]:
    if labels is None:
        names = labels_in_model(path)
    elif isinstance(labels, (str, os.PathLike)):
        names = read_labels(labels)
    else:
        names = list(labels)
    if not names:
        return tuple(f"class {number}" for number in range(num_classes))
    return tuple(align_labels(names, num_classes))


# ---------------------------------------------------------------------------------------------
# Outputs
# ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _OpOutputs:
    """Where the op's outputs are, and which of their slots it fills."""

    tensors: tuple[int, ...]
    """Tensor indices: boxes, classes, scores, number of detections."""
    stride: int
    """Slots for each counted detection: in fast mode each kept anchor has one per class rank."""
    filled: int
    """How many of those hold something."""

    @staticmethod
    def of(graph: Subgraph, node: Operator, options: Options) -> _OpOutputs:
        for name, tensor in zip(_OUTPUTS, node.outputs, strict=True):
            if tensor not in graph.outputs:
                raise ValueError(_not_an_output(graph, name, tensor))
        stride = 1 if options.use_regular_nms else options.max_classes_per_detection
        return _OpOutputs(node.outputs, stride, min(stride, options.num_classes))

    def read(self, interpreter: Any) -> tuple[NDArray[np.float32], ...]:
        """Boxes [D, 4], classes [D] and scores [D] of the slots in use."""
        boxes, classes, scores, count = (interpreter.get_tensor(i) for i in self.tensors)
        counted = np.arange(int(count.flat[0]))
        slots = (counted[:, np.newaxis] * self.stride + np.arange(self.filled)).ravel()
        return boxes[0, slots], classes[0, slots], scores[0, slots]


def _not_an_output(graph: Subgraph, name: str, tensor: int) -> str:
    what = f"output {name!r} of {OP_NAME} (tensor {tensor}) is not an output of the model"
    readers = [op for op in graph.operators if tensor in op.inputs]
    if not readers:
        return f"{what}, expected all four to be"
    return (
        f"{what} but feeds {readers[0].name} (node {readers[0].index}), expected nothing after it"
    )


# ---------------------------------------------------------------------------------------------
# Input
# ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class ImageInput:
    """A model's picture input and how to fill it."""

    index: int
    """Of the tensor."""
    height: int
    width: int
    dtype: str
    resize: bool
    """The file leaves a dimension open: the runtime has to be told."""
    mean: NDArray[np.float32]
    std: NDArray[np.float32]

    @staticmethod
    def of(
        graph: Subgraph,
        mean: float | Sequence[float] | None = None,
        std: float | Sequence[float] | None = None,
        input_size: tuple[int, int] | None = None,
    ) -> ImageInput:
        """The picture input of a graph. Arguments and errors are those of `Detector`."""
        if len(graph.inputs) != 1:
            raise ValueError(f"the model has {len(graph.inputs)} inputs, expected one picture")
        tensor = graph.tensors[graph.inputs[0]]
        if tensor.dtype not in ("uint8", "int8", "float32"):
            raise ValueError(
                f"input {tensor.name!r} has type {tensor.dtype}, expected uint8, int8 or float32"
            )
        if tensor.dtype != "float32" and (mean is not None or std is not None):
            raise ValueError(
                f"mean and std are for float32 inputs, input {tensor.name!r} has type "
                f"{tensor.dtype}"
            )
        height, width = _picture_size(tensor, input_size)
        channels_mean, channels_std = _channels("mean", mean), _channels("std", std)
        if not channels_std.all():
            raise ValueError(f"std is {std}, expected numbers other than 0")
        resize = (1, height, width, 3) != tensor.shape
        return ImageInput(
            tensor.index, height, width, tensor.dtype, resize, channels_mean, channels_std
        )

    def array(self, picture: Image.Image) -> NDArray[Any]:
        """[1, height, width, 3] of the input's dtype from an RGB picture of any size."""
        from PIL import Image

        size = (self.width, self.height)
        pixels = np.asarray(picture.resize(size, Image.Resampling.BILINEAR))[np.newaxis]
        if self.dtype == "uint8":
            return pixels
        if self.dtype == "int8":
            # Flipping the top bit subtracts 128.
            return (pixels ^ 0x80).view(np.int8)
        scaled: NDArray[np.float32] = (pixels.astype(np.float32) - self.mean) / self.std
        return scaled


def _picture_size(tensor: Tensor, input_size: tuple[int, int] | None) -> tuple[int, int]:
    shape = tensor.shape_signature
    if len(shape) != 4 or shape[0] not in (1, -1) or shape[3] != 3:
        raise ValueError(
            f"input {tensor.name!r} has shape {list(shape)}, expected [1, height, width, 3]"
        )
    if input_size is None:
        if min(shape[1:3]) < 1:
            raise ValueError(
                f"input {tensor.name!r} has shape {list(shape)}, its height and width are open: "
                "give input_size (--input-size HEIGHTxWIDTH)"
            )
        return shape[1], shape[2]
    if len(input_size) != 2 or min(input_size) < 1:
        raise ValueError(f"input_size is {input_size}, expected (height, width)")
    for wanted, side in zip(input_size, shape[1:3], strict=True):
        if side not in (wanted, -1):
            raise ValueError(
                f"input_size is {tuple(input_size)}, but input {tensor.name!r} has the fixed "
                f"shape {list(shape)}"
            )
    return int(input_size[0]), int(input_size[1])


def _channels(name: str, value: float | Sequence[float] | None) -> NDArray[np.float32]:
    numbers = np.asarray(127.5 if value is None else value, np.float32)
    if numbers.shape not in ((), (3,)) or not np.isfinite(numbers).all():
        raise ValueError(f"{name} is {value}, expected a finite number or three")
    return numbers


# ---------------------------------------------------------------------------------------------
# Pictures
# ---------------------------------------------------------------------------------------------


def load_image(path: str | os.PathLike[str]) -> Image.Image:
    """Reads a picture file as 8-bit RGB, turned upright as its EXIF data says.

    The content decides about the format, not the file's name. Transparency is dropped; of 16-bit
    grey the upper eight bits are kept; of an animation the first frame.

    Raises:
      ValueError: not a picture, a damaged one, or one with 32-bit pixels; the message says why.
      OSError: the file cannot be opened.
      ImportError: Pillow is not installed.
    """
    from_pillow = _pillow()
    with open_regular(path) as file:
        try:
            with warnings.catch_warnings():
                # What Pillow can read with a warning is a picture; of a large photo it warns, and
                # refuses what is twice as large.
                warnings.simplefilter("ignore")
                with from_pillow.open(file) as image:
                    if image.format == "EPS":
                        # Pillow would run it, in Ghostscript.
                        raise ValueError("it is a PostScript program, expected pixels")
                    return _upright_rgb(image)
        except from_pillow.UnidentifiedImageError as error:
            raise ValueError(f"{os.fspath(path)} is not a picture that Pillow can read") from error
        except (*_DECODING_ERRORS, from_pillow.DecompressionBombError) as error:
            raise ValueError(f"{os.fspath(path)} is not a readable picture: {error}") from error


def _pillow() -> Any:
    try:
        from PIL import Image
    except ImportError as error:
        raise ImportError('pictures need Pillow: pip install "detops[litert]"') from error
    return Image


def _as_picture(image: str | os.PathLike[str] | Image.Image | NDArray[Any]) -> Image.Image:
    if isinstance(image, (str, os.PathLike)):
        return load_image(image)
    pillow = _pillow()
    if isinstance(image, np.ndarray):
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
            raise ValueError(
                f"image is {image.dtype} {list(image.shape)}, expected uint8 [height, width, 3]"
            )
        picture: Image.Image = pillow.fromarray(image)
        return picture
    if not isinstance(image, pillow.Image):
        kind = type(image).__name__
        raise TypeError(f"image is a {kind}, expected a path, a Pillow image or a NumPy array")
    return _upright_rgb(image)


def _upright_rgb(image: Image.Image) -> Image.Image:
    from PIL import ImageOps

    if min(image.size) < 1:
        raise ValueError(f"the picture has {image.width} x {image.height} pixels")
    upright = ImageOps.exif_transpose(image)
    if upright.mode == "F":
        raise ValueError("it has 32-bit pixels, expected 8 or 16 bits")
    if upright.mode.startswith("I"):
        return _from_16_bit(upright)
    if upright.mode in ("P", "PA"):
        # By way of RGBA: Pillow warns when it has to drop a palette's transparency.
        upright = upright.convert("RGBA")
    return upright.convert("RGB")


def _from_16_bit(image: Image.Image) -> Image.Image:
    from PIL import Image

    values = np.asarray(image)
    if values.min() < 0 or values.max() > 0xFFFF:
        raise ValueError("it has 32-bit pixels, expected 8 or 16 bits")
    return Image.fromarray((values >> 8).astype(np.uint8)).convert("RGB")
