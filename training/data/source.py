# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""A data set that is ready for training and for scoring."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from training.data.example import Example
from training.data.problems import Problems
from training.data.share import WHOLE, Share


@dataclass(frozen=True)
class Source:
    """Examples in a fixed order, and the names of their classes."""

    labels: tuple[str, ...]
    """Class i is called labels[i]."""
    examples: tuple[Example, ...]
    problems: Problems = field(default_factory=Problems)
    share: Share = WHOLE
    """Which part of the data set this is."""

    def __len__(self) -> int:
        return len(self.examples)

    def __iter__(self) -> Iterator[Example]:
        return iter(self.examples)

    def decoded_bytes(self) -> int:
        """Bytes that all pictures take as uint8 RGB."""
        return sum(3 * example.height * example.width for example in self.examples)

    def digest(self) -> str:
        """A text that is another one for other pictures, boxes or classes."""
        found = hashlib.sha256()
        for example in self.examples:
            head = (example.image_id, example.height, example.width)
            found.update(repr(head).encode(errors="backslashreplace"))
            for array in (example.boxes, example.classes, example.crowd):
                found.update(array.tobytes())
        return f"of {len(self)} pictures ({found.hexdigest()[:8]})"

    def boxes_per_class(self) -> dict[str, int]:
        """Boxes to train on for each class; the crowds are not counted."""
        classes = [example.targets()[1] for example in self.examples]
        counts = np.bincount(np.concatenate(classes), minlength=len(self.labels))
        return dict(zip(self.labels, counts.tolist(), strict=True))

    def ground_truth(self) -> dict[str, Any]:
        """The annotations in COCO's form, as `detops.evaluation.score_detections` takes them.

        Pictures are numbered from 1 in order, categories from 1 (class + 1); boxes are [x, y,
        width, height] in pixels of the upright picture, areas those of the boxes.
        """
        annotations: list[dict[str, Any]] = []
        for image_id, example in enumerate(self.examples, 1):
            rows = zip(example.pixel_boxes().tolist(), example.classes, example.crowd, strict=True)
            for (ymin, xmin, ymax, xmax), number, crowd in rows:
                box = [xmin, ymin, xmax - xmin, ymax - ymin]
                annotations.append(
                    {
                        "id": len(annotations) + 1,
                        "image_id": image_id,
                        "category_id": int(number) + 1,
                        "bbox": box,
                        "area": box[2] * box[3],
                        "iscrowd": int(crowd),
                    }
                )
        images = [
            {"id": number, "file_name": e.image_id, "height": e.height, "width": e.width}
            for number, e in enumerate(self.examples, 1)
        ]
        categories = [{"id": number, "name": name} for number, name in enumerate(self.labels, 1)]
        return {"images": images, "annotations": annotations, "categories": categories}
