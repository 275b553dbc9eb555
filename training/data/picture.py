# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Looks at each picture once, so that none can fail or come out differently during training.

TensorFlow's decoder ignores EXIF rotation, knows fewer formats than Pillow, and refuses some files
that Pillow reads. What it does not decode to upright RGB as Pillow does, as the detector will see
pictures later, is re-encoded here.
"""

from __future__ import annotations

import io
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from detops.detector import load_image
from training.data.example import ImageContent, read_content

if TYPE_CHECKING:
    from PIL import Image

_ORIENTATION = 0x0112
_UPRIGHT = 1
# MPO is what Pillow calls a JPEG with a preview or depth map behind it.
_SUFFIXES = {
    "JPEG": {".jpg", ".jpeg", ".jpe", ".jfif"},
    "MPO": {".jpg", ".jpeg", ".mpo"},
    "PNG": {".png"},
    "GIF": {".gif"},
    "BMP": {".bmp", ".dib"},
    "WEBP": {".webp"},
    "TIFF": {".tif", ".tiff"},
}
_IMAGE_SUFFIXES = set().union(*_SUFFIXES.values())
_JPEG = b"\xff\xd8"
_JPEG_QUALITY = 95


@dataclass(frozen=True)
class CheckedPicture:
    """A picture that `decode_rgb` and Pillow decode to the same upright RGB."""

    image: ImageContent
    height: int
    width: int
    repairs: tuple[tuple[str, str], ...]
    """Reason and detail of each thing that was not as it should be."""


def check_picture(name: str, image: ImageContent, *, decode: bool = True) -> CheckedPicture:
    """Reads a picture and re-encodes it where TensorFlow would not decode it as Pillow does.

    Args:
      name: the file's name; a suffix of another format is reported.
      image: the file, the record, or its content.
      decode: decode all of it; otherwise only the head is read, and a truncated picture is found
        during training, which it stops.

    Raises:
      ValueError: it is not a picture, or a damaged one.
      OSError: it cannot be read.
    """
    from PIL import Image, UnidentifiedImageError

    content = read_content(image)
    try:
        with Image.open(io.BytesIO(content)) as picture:
            form, mode, size = str(picture.format), picture.mode, picture.size
            turned = picture.getexif().get(_ORIENTATION, _UPRIGHT) != _UPRIGHT
            plain = form in ("JPEG", "MPO", "PNG") and mode in ("RGB", "L") and not turned
            plain = plain and "transparency" not in picture.info
    except UnidentifiedImageError as error:
        raise ValueError(f"{len(content)} bytes that are no picture") from error
    except (Image.DecompressionBombError, SyntaxError) as error:
        raise ValueError(str(error)) from error
    if form == "EPS":
        raise ValueError("EPS, which Pillow has a program run, is not read")
    repairs = _misnamed(name, form)
    if plain and (not decode or _tensorflow_decodes(content, size)):
        return CheckedPicture(image, size[1], size[0], repairs)
    upright = _load(image)
    detail = f"{form}, {mode}" + (", turned by EXIF" if turned else "")
    repairs += (("picture re-encoded as upright RGB", detail),)
    return CheckedPicture(_encode(upright, form), upright.height, upright.width, repairs)


def decode_rgb(content: bytes) -> NDArray[np.uint8]:
    """Decodes a checked picture with TensorFlow, as uint8 [height, width, 3].

    Raises:
      ValueError: TensorFlow cannot decode it.
    """
    try:
        with tf.device("/CPU:0"):
            decoded = decode_content(content)
    except tf.errors.InvalidArgumentError as error:
        raise ValueError(f"TensorFlow cannot decode it: {error.message}") from error
    pixels: NDArray[np.uint8] = decoded.numpy()
    return pixels


def decode_content(content: Any) -> Any:
    """uint8 [height, width, 3] of the bytes of a checked picture, or of a string tensor."""
    if isinstance(content, bytes):
        return _decode_jpeg(content) if content.startswith(_JPEG) else _decode_other(content)
    return tf.cond(
        tf.equal(tf.strings.substr(content, 0, len(_JPEG)), _JPEG),
        lambda: _decode_jpeg(content),
        lambda: _decode_other(content),
    )


def _decode_jpeg(content: Any) -> Any:
    # TensorFlow's default takes the fast transform, which is off by up to 3.
    return tf.io.decode_jpeg(content, channels=3, dct_method="INTEGER_ACCURATE")


def _decode_other(content: Any) -> Any:
    return tf.io.decode_image(content, channels=3, expand_animations=False)


def _tensorflow_decodes(content: bytes, size: tuple[int, int]) -> bool:
    try:
        return decode_rgb(content).shape == (size[1], size[0], 3)
    except ValueError:
        # Pillow decides whether it is damaged, or only unusual.
        return False


def _misnamed(name: str, form: str) -> tuple[tuple[str, str], ...]:
    suffix = Path(name).suffix.lower()
    expected = _SUFFIXES.get(form)
    if expected is None or suffix not in _IMAGE_SUFFIXES or suffix in expected:
        return ()
    return (("picture with the suffix of another format", f"{form} named {suffix}"),)


def _load(image: ImageContent) -> Image.Image:
    if isinstance(image, Path):
        return load_image(image)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "picture")
        path.write_bytes(read_content(image))
        return load_image(path)


def _encode(picture: Image.Image, form: str) -> bytes:
    """As JPEG what was one, since PNG would take ten times the memory; the rest without loss."""
    stream = io.BytesIO()
    if form in ("JPEG", "MPO"):
        picture.save(stream, "JPEG", quality=_JPEG_QUALITY, subsampling=0)
    else:
        picture.save(stream, "PNG", compress_level=1)
    return stream.getvalue()
