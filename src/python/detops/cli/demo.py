# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""`detops demo`: the detector that comes with detops, on a photo that comes with scikit-image."""

from __future__ import annotations

import argparse
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from detops.cli import arguments
from detops.cli.annotated import annotated, annotated_paths, save_picture
from detops.cli.comparison import compare_answers
from detops.cli.json_output import print_document
from detops.cli.side_by_side import Timing, cpu_name, median_ratio, time_in_turn
from detops.cli.table import column_widths, format_row, printable
from detops.cli.trial import ready_interpreter, runtime_name
from detops.detector import Detection, Detector, ImageInput, load_image
from detops.model_file import ModelFile
from detops.nodes.facts import read_nodes

if TYPE_CHECKING:
    from PIL import Image

_MODEL = "pet_faces.tflite"
_OUT = "detops_demo.png"
_INSTALL = 'pip install "detops[demo]"'


def add_command(commands: Any) -> None:
    """Adds the command to the parser."""
    parser = commands.add_parser(
        "demo",
        help="find the cat in a photo, with the detector that comes with detops",
        description="Finds pet faces in a photo, writes the annotated picture, and times the\n"
        "model with the stock op and with detops.",
        epilog="example:\n  detops demo\n  detops demo my_dog.jpg --out found.jpg",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "image", metavar="IMAGE", nargs="?", help="a picture (default: scikit-image's cat)"
    )
    parser.add_argument("-o", "--out", metavar="FILE", default=_OUT, help="default: %(default)s")
    parser.add_argument("--runs", type=arguments.positive, default=50, metavar="N")
    arguments.add_runtime(parser, "default: the first one installed")
    parser.add_argument("--json", action="store_true", help="print one JSON document instead")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Runs the command."""
    given = args.image is not None
    [out] = annotated_paths([Path(args.image or _OUT)], args.out, folder=False, are_files=given)
    assert out is not None
    picture = _cat() if args.image is None else load_image(args.image)
    with resources.as_file(resources.files("detops") / "models" / _MODEL) as model:
        detector = Detector(model, runtime=args.runtime)
        found = detector.detect(picture)
        save_picture(annotated(picture, found, detector.labels), out)
        differences, timings = _against_stock(model, picture, args)
    if args.json:
        _print_json(args, found, out, differences, timings)
    else:
        _print_report(args, found, out, differences, timings)
    return 1 if differences else 0


def _cat() -> Image.Image:
    """Chelsea, in the public domain."""
    try:
        from PIL import Image
        from skimage import data
    except ModuleNotFoundError as error:
        raise ImportError(f"{error.name} is not installed: {_INSTALL}") from error
    cat: NDArray[Any] = data.chelsea()  # type: ignore[no-untyped-call,unused-ignore]
    return Image.fromarray(cat)


def _against_stock(
    model: Path, picture: Image.Image, args: argparse.Namespace
) -> tuple[list[str], dict[str, Timing]]:
    """What the answers differ in, and if nothing, how long each takes."""
    file = ModelFile.read(model)
    frame: NDArray[Any] = ImageInput.of(file.subgraphs[0], None, None, None).array(picture)
    interpreters = {
        name: ready_interpreter(
            str(model), [frame], stock=name == "stock", runtime=args.runtime, threads=1
        )
        for name in ("stock", "detops")
    }
    differences = compare_answers(read_nodes(file), interpreters["stock"], interpreters["detops"])
    return differences, {} if differences else time_in_turn(interpreters, args.runs)


def _print_report(
    args: argparse.Namespace,
    found: list[Detection],
    out: Path,
    differences: list[str],
    timings: dict[str, Timing],
) -> None:
    print(f"photo      {printable(args.image or 'Chelsea the cat, from scikit-image')}")
    for detection in found:
        print(f"found      {detection.label} {detection.score:.2f}, box {detection.pixel_box}")
    if not found:
        print("found      nothing")
    print(f"annotated  {printable(out.resolve())}\n")
    for difference in differences:
        print(f"the answers differ: {difference}")
    if differences:
        return
    print(f"{runtime_name(args.runtime)}, one thread, {cpu_name()}; the same answers, to the bit")
    rows = [("invoke, ms", "min", "median", "max")]
    rows += [(n, f"{t.min:.3f}", f"{t.median:.3f}", f"{t.max:.3f}") for n, t in timings.items()]
    widths = column_widths(*rows)
    for row in rows:
        print(format_row(row, widths, right=(1, 2, 3)))
    print(f"\nmedian of stock / median of detops: {median_ratio(timings):.2f}")


def _print_json(
    args: argparse.Namespace,
    found: list[Detection],
    out: Path,
    differences: list[str],
    timings: dict[str, Timing],
) -> None:
    detections = [{"label": d.label, "score": d.score, "pixel_box": d.pixel_box} for d in found]
    print_document(
        "demo",
        {
            "image": args.image,
            "detections": detections,
            "annotated": str(out.resolve()),
            "differences": differences,
            "milliseconds": {name: vars(timing) for name, timing in timings.items()},
            "median_ratio": median_ratio(timings),
        },
    )
