# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""load_image: every mode, orientation and misnamed file, and what is no picture."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from detops.detector import load_image

Image = pytest.importorskip("PIL.Image")

COLOUR = (200, 100, 50)


def _pixel(path: Path) -> tuple[int, int, int]:
    image = load_image(path)
    assert image.mode == "RGB"
    red, green, blue = np.asarray(image)[0, 0].tolist()
    return red, green, blue


@pytest.mark.parametrize(
    ("mode", "colour", "suffix", "expected"),
    [
        ("RGB", COLOUR, ".png", COLOUR),
        ("RGBA", (*COLOUR, 0), ".png", COLOUR),
        ("L", 77, ".png", (77, 77, 77)),
        ("LA", (77, 10), ".png", (77, 77, 77)),
        ("1", 1, ".png", (255, 255, 255)),
        ("I;16", 0xABCD, ".png", (0xAB, 0xAB, 0xAB)),
        ("I", 0xABCD, ".tif", (0xAB, 0xAB, 0xAB)),
        ("CMYK", (0, 255, 255, 0), ".tif", (255, 0, 0)),
    ],
)
def test_modes(tmp_path: Path, mode: str, colour: Any, suffix: str, expected: Any) -> None:
    path = tmp_path / f"image{suffix}"
    Image.new(mode, (5, 4), colour).save(path)
    assert _pixel(path) == expected


@pytest.mark.parametrize("transparency", [None, 0, b"\x00\x80"])
def test_palette(tmp_path: Path, transparency: int | bytes | None) -> None:
    image = Image.new("P", (5, 4))
    image.putpalette([*COLOUR, 9, 9, 9])
    path = tmp_path / "image.png"
    image.save(path, **({} if transparency is None else {"transparency": transparency}))
    assert _pixel(path) == COLOUR


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_honoured(tmp_path: Path, orientation: int) -> None:
    stored = Image.new("RGB", (40, 24), "black")
    stored.paste("white", (0, 0, 8, 8))
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "image.jpg"
    stored.save(path, exif=exif, quality=95)
    upright = load_image(path)
    assert upright.size == ((40, 24) if orientation < 5 else (24, 40))
    # Where the first stored row and column end up, from the definition of the tag.
    top, left = orientation in (1, 2, 5, 6), orientation in (1, 4, 5, 8)
    corner = (2 if left else upright.width - 3, 2 if top else upright.height - 3)
    assert upright.getpixel(corner)[0] > 200


def test_the_content_decides_and_not_the_name(tmp_path: Path) -> None:
    path = tmp_path / "image.jpg"
    Image.new("RGB", (5, 4), COLOUR).save(path, "GIF")
    assert _pixel(path) == COLOUR


def test_every_picture_of_the_pet_set(data_dir: Path) -> None:
    for path in (data_dir / "pets" / "images").iterdir():
        assert load_image(path).mode == "RGB"


def test_broken_files_say_why(tmp_path: Path) -> None:
    whole = tmp_path / "whole.jpg"
    Image.effect_noise((64, 64), 50).save(whole)
    cut = tmp_path / "cut.jpg"
    cut.write_bytes(whole.read_bytes()[:900])
    text = tmp_path / "text.jpg"
    text.write_text("hello")
    empty = tmp_path / "empty.png"
    empty.touch()
    with pytest.raises(ValueError, match=r"cut\.jpg is not a readable picture: .*truncated"):
        load_image(cut)
    with pytest.raises(ValueError, match=r"text\.jpg is not a picture"):
        load_image(text)
    with pytest.raises(ValueError, match=r"empty\.png is not a picture"):
        load_image(empty)
    with pytest.raises(FileNotFoundError, match="none"):
        load_image(tmp_path / "none.jpg")


@pytest.mark.parametrize(("mode", "colour"), [("F", 0.5), ("I", 1 << 20), ("I", -1)])
def test_32_bit_pixels_are_refused(tmp_path: Path, mode: str, colour: float) -> None:
    path = tmp_path / "image.tif"
    Image.new(mode, (5, 4), colour).save(path)
    with pytest.raises(ValueError, match="32-bit pixels, expected 8 or 16"):
        load_image(path)


def test_every_cut_of_a_png_is_an_error_or_a_picture(tmp_path: Path) -> None:
    whole = tmp_path / "whole.png"
    Image.effect_noise((16, 16), 50).save(whole)
    content = whole.read_bytes()
    path = tmp_path / "cut.png"
    for size in range(0, len(content), 7):
        path.write_bytes(content[:size])
        try:
            assert load_image(path).size == (16, 16)
        except ValueError as error:
            assert "cut.png is not a" in str(error)


def test_a_picture_that_is_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "image.png"
    Image.new("RGB", (100, 30)).save(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 2000)
    assert load_image(path).size == (100, 30)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(ValueError, match="exceeds limit"):
        load_image(path)


@pytest.mark.fault
@pytest.mark.parametrize("format_name", ["PNG", "JPEG", "GIF", "TIFF", "WEBP", "AVIF"])
def test_damaged_pictures_are_pictures_or_errors(tmp_path: Path, format_name: str) -> None:
    """Nothing else is raised, and nothing is printed; decoders raise what they like."""
    path = tmp_path / "image"
    try:
        Image.effect_noise((40, 60), 50).save(path, format_name)
    except (KeyError, OSError, ValueError):
        pytest.skip(f"Pillow does not write {format_name} here")
    whole = path.read_bytes()
    for number in range(120):
        rng = np.random.default_rng(number)
        data = bytearray(whole[: rng.integers(len(whole) + 1)] if number % 3 == 0 else whole)
        for _ in range(rng.integers(1, 12)):
            if data:
                place = int(min(rng.exponential(100), len(data) - 1))
                data[place] = int(rng.choice([0, 127, 128, 255, int(rng.integers(256))]))
        path.write_bytes(data)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            try:
                assert load_image(path).mode == "RGB"
            except ValueError as error:
                assert str(path) in str(error)


def test_postscript_is_not_run(tmp_path: Path) -> None:
    path = tmp_path / "image.png"
    Image.new("RGB", (5, 4)).save(path, "EPS")
    with pytest.raises(ValueError, match="it is a PostScript program, expected pixels"):
        load_image(path)
