# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""`training.data convert` on Apache Beam: the same shards, made by many machines.

    python -m training.data.beam SOURCE OUT --shards 256 [options of convert] [options of Beam]

Annotations are read where it starts; pictures are read, checked and re-encoded by the workers,
which see SOURCE and OUT under the same names. Needs pip install ".[beam]".
"""

from __future__ import annotations

import argparse
import bisect
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from detops.whole_file import replacing
from training import command
from training.data.annotation import AnnotatedImage
from training.data.class_labels import LABEL_FROM, class_numbers
from training.data.opening import look, read_annotations
from training.data.problems import Problems
from training.data.shard_writer import check_shards, label_map_text, prepare_folder, shard_path
from training.data.tf_record import LABEL_MAP

_PROBLEM = "problem"


def convert(
    path: str | os.PathLike[str],
    folder: Path,
    *,
    shards: int,
    name: str = "train",
    overwrite: bool = False,
    beam_options: Sequence[str] = (),
    **opening: Any,
) -> None:
    """Writes the shards that `write_shards` would write of `open_source(path, ...)`, to the byte,
    the label map, and NAME.problems.txt with a line for each thing that was left out or changed.

    A shard gets its name when it is complete; the label map comes last.

    Args:
      path: the data set.
      folder: where to write.
      shards: how many.
      name: of the set.
      overwrite: replace the shards of this name, and the label map.
      beam_options: of the runner, such as "--runner=DataflowRunner".
      **opening: what `open_source` takes besides: images, only, labels, label_from, single_class.

    Raises:
      ValueError, OSError: as `open_source` and `write_shards` do.
      RuntimeError: a step of the pipeline failed.
    """
    annotations, names = read_annotations(path, **opening)
    check_shards(len(annotations.images), name, shards)
    old = prepare_folder(folder, name, names, overwrite=overwrite)
    first = annotations.problems.texts()
    with beam.Pipeline(options=PipelineOptions(list(beam_options))) as pipeline:
        looked = (
            pipeline
            | "pictures" >> beam.Create(list(enumerate(annotations.images)))
            | "spread" >> beam.Reshuffle()
            | "look" >> beam.ParDo(_Look(names)).with_outputs(_PROBLEM, "skipped", main="records")
        )
        skipped = beam.pvalue.AsList(looked["skipped"])
        total = len(annotations.images)
        _ = (
            looked["records"]
            | "number" >> beam.Map(_with_shard, skipped, total=total, shards=shards)
            | "gather" >> beam.GroupByKey()
            | "write" >> beam.Map(_write_shard, folder=folder, name=name, shards=shards)
        )
        _ = (
            looked[_PROBLEM]
            | "all problems" >> beam.combiners.ToList()
            | "report" >> beam.Map(_write_problems, first, folder / f"{name}.problems.txt")
        )
    paths = {shard_path(folder, name, number, shards) for number in range(shards)}
    for gone in set(old) - paths:
        gone.unlink()
    with replacing(folder / LABEL_MAP) as unfinished:
        unfinished.write_text(label_map_text(names), encoding="utf-8")


class _Look(beam.DoFn):  # type: ignore[misc]
    """(number, annotated picture) to (number, record), or to the numbers of those left out."""

    def __init__(self, labels: Sequence[str]) -> None:
        self._labels = tuple(labels)

    def process(self, element: tuple[int, AnnotatedImage]) -> Iterator[Any]:
        """One picture."""
        from training.data.tf_example import make_example

        number, image = element
        problems = Problems()
        example = look(image, class_numbers(self._labels), problems)
        for row, text in enumerate(problems.texts()):
            yield beam.pvalue.TaggedOutput(_PROBLEM, (number, row, text))
        if example is None:
            yield beam.pvalue.TaggedOutput("skipped", number)
        else:
            yield number, make_example(example, self._labels)


def _with_shard(
    element: tuple[int, bytes], skipped: Iterable[int], *, total: int, shards: int
) -> tuple[int, tuple[int, bytes]]:
    """The record's shard in front: shards are equal stretches of those that can be used."""
    number, record = element
    left_out = sorted(skipped)
    usable = total - len(left_out)
    place = number - bisect.bisect(left_out, number)
    return ((place + 1) * shards - 1) // usable, (number, record)


def _write_shard(
    element: tuple[int, Iterable[tuple[int, bytes]]], *, folder: Path, name: str, shards: int
) -> None:
    import tensorflow as tf

    number, records = element
    path = shard_path(folder, name, number, shards)
    with replacing(path) as unfinished, tf.io.TFRecordWriter(str(unfinished)) as writer:
        for _, record in sorted(records):
            writer.write(record)


def _write_problems(
    found: Sequence[tuple[int, int, str]], before: Sequence[str], path: Path
) -> None:
    lines = [*before, *(text for _, _, text in sorted(found))]
    with replacing(path) as unfinished:
        unfinished.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line and returns its exit code: 0 done, 2 data that cannot be used."""
    return command.run("training.data.beam", lambda: _main(arguments))


def _main(arguments: Sequence[str] | None) -> int:
    parser = command.Parser(
        prog="python -m training.data.beam",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("source", metavar="SOURCE")
    parser.add_argument("out", type=Path, metavar="OUT")
    parser.add_argument(
        "--shards", type=command.whole_number(1, 99_999), required=True, metavar="N"
    )
    parser.add_argument("--name", default="train")
    parser.add_argument("--overwrite", action="store_true")
    parser.add_argument("--images", default="", metavar="DIR")
    parser.add_argument("--only", default="", metavar="LIST")
    parser.add_argument("--labels", default=None, metavar="FILE")
    parser.add_argument("--label-from", choices=LABEL_FROM, default="name")
    parser.add_argument("--single-class", default="", metavar="NAME")
    args, beam_options = parser.parse_known_args(arguments)
    given = vars(args)
    convert(given.pop("source"), given.pop("out"), beam_options=beam_options, **given)
    return 0


if __name__ == "__main__":
    sys.exit(main())
