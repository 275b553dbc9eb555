# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Small data sets on disk, whole and damaged, for the tests of training.data."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from training.data import Example, Source

Box = tuple[str, float, float, float, float]
"""Name, xmin, ymin, xmax, ymax in pixels."""


def picture(height: int = 40, width: int = 60, seed: int = 0) -> Image.Image:
    """Smooth colours, so that JPEG hardly changes them."""
    corners = np.random.default_rng(seed).integers(40, 216, (2, 2, 3), np.uint8)
    return Image.fromarray(corners).resize((width, height), Image.Resampling.BILINEAR)


def encoded(image: Image.Image, form: str = "JPEG", **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, form, **options)
    return stream.getvalue()


def voc_text(
    name: str, boxes: Sequence[Box], size: tuple[int, int] | None = (40, 60), extra: str = ""
) -> str:
    objects = "".join(
        f"<object><name>{label}</name>{extra}<bndbox><xmin>{x0}</xmin><ymin>{y0}</ymin>"
        f"<xmax>{x1}</xmax><ymax>{y1}</ymax></bndbox></object>"
        for label, x0, y0, x1, y1 in boxes
    )
    stated = f"<size><width>{size[1]}</width><height>{size[0]}</height></size>" if size else ""
    return f"<annotation><filename>{name}</filename>{stated}{objects}</annotation>"


class VocFolder:
    """A folder with Annotations/ and JPEGImages/."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.annotations, self.images = root / "Annotations", root / "JPEGImages"
        self.annotations.mkdir(parents=True)
        self.images.mkdir()

    def add(
        self,
        name: str,
        boxes: Sequence[Box] = (("cat", 6, 4, 30, 20),),
        content: bytes | None = None,
        size: tuple[int, int] | None = (40, 60),
        extra: str = "",
    ) -> None:
        """A picture (None: a plain JPEG) with its annotation."""
        (self.images / name).write_bytes(encoded(picture()) if content is None else content)
        self.annotate(Path(name).stem, voc_text(name, boxes, size, extra))

    def annotate(self, stem: str, text: str) -> None:
        (self.annotations / f"{stem}.xml").write_text(text)


def voc_folder(root: Path, count: int = 10, max_boxes: int = 3) -> Path:
    """`count` different pictures with 0 to `max_boxes` boxes of "cat" and "dog"."""
    folder = VocFolder(root)
    for number in range(count):
        height, width = 40 + 3 * number, 60 - 2 * number
        boxes: list[Box] = [
            (("cat", "dog")[row % 2], 3 + 6 * row, 2 + row, 20 + 6 * row, 30 + row)
            for row in range(number % (max_boxes + 1))
        ]
        content = encoded(picture(height, width, number))
        folder.add(f"p_{number}.jpg", boxes, content, (height, width))
    return root


def coco_file(root: Path, **changes: Any) -> Path:
    """Two pictures, two categories with a gap between their ids, three boxes, one of a crowd."""
    (root / "images").mkdir(parents=True)
    for number in (1, 2):
        (root / "images" / f"{number}.jpg").write_bytes(encoded(picture(seed=number)))
    boxes = [(1, 7, [6, 4, 24, 16], 0), (1, 3, [0, 0, 30, 20], 1), (2, 3, [10, 10, 12, 20], 0)]
    document = {
        "images": [{"id": n, "file_name": f"{n}.jpg", "height": 40, "width": 60} for n in (1, 2)],
        "categories": [{"id": 7, "name": "dog"}, {"id": 3, "name": "cat"}],
        "annotations": [
            {"id": n, "image_id": i, "category_id": c, "bbox": b, "iscrowd": crowd}
            for n, (i, c, b, crowd) in enumerate(boxes)
        ],
        **changes,
    }
    path = root / "instances.json"
    path.write_text(json.dumps(document))
    return path


def reasons(source: Source) -> dict[str, int]:
    """How often each reason occurs among a source's problems."""
    return {k: n for group in source.problems.counts().values() for k, n in group.items()}


def assert_same(first: Example, second: Example) -> None:
    """Two examples agree in everything but where their bytes are."""
    for name in ("image_id", "height", "width"):
        assert getattr(first, name) == getattr(second, name)
    for name in ("boxes", "classes", "crowd"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))
    assert first.encoded() == second.encoded()
