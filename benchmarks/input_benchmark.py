# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Pictures that one core prepares in a second: what feeds an accelerator.

    python -m benchmarks.input_benchmark [--source SOURCE] [--images N] [--json]

SOURCE is a data set as training.data opens it; without one, the photos of pets in the folder that
DETOPS_DATA names, shrunk to 640 x 480 pixels as COCO's are, in JPEG of quality 90.

Each size goes through the pipeline of the published recipes (decode, random crop, flip, resize,
batch) and, for comparison, with what is asked for beside it. The figure is pictures for each second
of processor time, all threads of the process together: on a machine that others use as well, wall
time would measure them. It is an upper bound of what a core gives in a full machine, where cores
share memory.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.machine import describe_machine

SIZES = (300, 320, 640)
_BATCH = 16
_WARM_UP = 2
_PHOTO = (640, 480)
_QUALITY = 90
_RUNS = 3
_RECIPE = {"photometric": False}
_CASES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("decoded each time", {**_RECIPE, "cache_bytes": 0}),
    ("kept on disk", {**_RECIPE, "cache_bytes": 0, "cache_folder": "folder"}),
    ("kept in memory", {**_RECIPE, "cache_bytes": 1 << 40}),
    ("decoded, colours changed", {"photometric": True, "cache_bytes": 0}),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line and returns its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.input_benchmark",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--source", default="", metavar="SOURCE")
    parser.add_argument("--images", type=int, default=256, help="for each figure (256)")
    parser.add_argument("--json", action="store_true", help="print JSON in place of a table")
    args = parser.parse_args(arguments)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with tempfile.TemporaryDirectory() as folder:
        where = args.source or str(_photos(Path(folder)))
        result = {"machine": describe_machine(), **measure(where, args.images, Path(folder))}
    print(json.dumps(result, indent=1) if args.json else _table(result))
    return 0


def measure(where: str, images: int, folder: Path) -> dict[str, Any]:
    """Pictures a second of processor time, for each case and size.

    Args:
      where: the data set.
      images: for each figure; warming up takes some more.
      folder: for what is kept.
    """
    from training.data import open_source

    source = open_source(where)
    rates = []
    for name, options in _CASES:
        for size in SIZES:
            print(f"  {name}, {size} pixels", file=sys.stderr, flush=True)
            given = dict(options)
            if "cache_folder" in given:
                given["cache_folder"] = str(folder / "decoded")
            rate = max(_rate(source, size, images, given) for _ in range(_RUNS))
            rates.append({"case": name, "image_size": size, "images_per_core_second": rate})
    pixels = sum(example.height * example.width for example in source) / len(source)
    size = sum(len(example.encoded()) for example in source) / len(source)
    return {
        "pictures": len(source),
        "mean_pixels": pixels,
        "mean_bytes": size,
        "rates": rates,
    }


def _rate(source: Any, size: int, images: int, options: dict[str, Any]) -> float:
    import tensorflow as tf

    from training.data import training_batches

    # Threads that wait for others must not spin, or waiting would count as work.
    settings = tf.data.Options()
    settings.threading.private_threadpool_size = 1
    settings.autotune.enabled = False
    data = training_batches(source, image_size=size, batch_size=_BATCH, **options)
    batches = iter(data.with_options(settings))
    # The first epoch fills what is kept.
    kept = len(source) // _BATCH + 1 if options["cache_bytes"] or "cache_folder" in options else 0
    for _ in range(_WARM_UP + kept):
        next(batches)
    steps = max(1, images // _BATCH)
    began = time.process_time()
    for _ in range(steps):
        next(batches)
    return steps * _BATCH / (time.process_time() - began)


def _photos(folder: Path) -> Path:
    """The pets' photos at COCO's size, as a data set."""
    data = os.environ.get("DETOPS_DATA")
    if not data:
        raise SystemExit("DETOPS_DATA is not set, and there is no --source")
    from PIL import Image

    from training.data import open_source

    pets = open_source(Path(data) / "pets")
    out = folder / "photos"
    for name in ("JPEGImages", "Annotations"):
        (out / name).mkdir(parents=True)
    for number, example in enumerate(pets):
        image = Image.open(Path(data, "pets", "images", example.image_id)).convert("RGB")
        image.resize(_PHOTO, Image.Resampling.LANCZOS).save(
            out / "JPEGImages" / f"{number}.jpg", quality=_QUALITY
        )
        boxes = "".join(
            f"<object><name>pet</name><bndbox><xmin>{xmin * 640}</xmin><ymin>{ymin * 480}</ymin>"
            f"<xmax>{xmax * 640}</xmax><ymax>{ymax * 480}</ymax></bndbox></object>"
            for ymin, xmin, ymax, xmax in example.boxes.tolist()
        )
        (out / "Annotations" / f"{number}.xml").write_text(
            f"<annotation><filename>{number}.jpg</filename>{boxes}</annotation>"
        )
    return out


def _table(result: dict[str, Any]) -> str:
    machine = result["machine"]
    lines = [
        f"{machine['cpu']}, {machine['system']}, {machine['date']}, tensorflow "
        f"{machine['packages'].get('tensorflow')}; {result['pictures']} pictures of "
        f"{result['mean_pixels'] / 1e6:.2f} MP and {result['mean_bytes'] / 1e3:.0f} kB on average. "
        "Pictures for each second of one core.",
        "",
        "| | " + " | ".join(f"{size} px" for size in SIZES) + " |",
        "| --- |" + " ---: |" * len(SIZES),
    ]
    for name, _ in _CASES:
        found = [r["images_per_core_second"] for r in result["rates"] if r["case"] == name]
        lines.append(f"| {name} | " + " | ".join(f"{rate:,.0f}" for rate in found) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
