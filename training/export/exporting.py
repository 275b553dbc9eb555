# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Exports a trained model in several kinds, and measures each file."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from detops import Options
from detops.evaluation import CocoMetrics
from detops.whole_file import replacing
from training import evaluation
from training.export import parity
from training.export.detector_file import finish, is_quantized
from training.export.network import convert_network
from training.export.parity import Limits, Outputs, Parity
from training.export.running import FileRunner
from training.export.scoring import network_detector, score
from training.export.validation import Validation

REPORT = "export.json"
"""The numbers, beside the files."""


@dataclass(frozen=True, eq=False)
class ExportedFile:
    """A file and what was measured of it."""

    kind: str
    content: bytes
    milliseconds: float
    """One run on one thread."""
    parity: Parity
    broken: list[str]
    """The limits that it does not keep."""
    model_metrics: CocoMetrics | None = None
    """Of the trained model, in the mode of the file, with all boxes that COCO's numbers count."""
    network_metrics: CocoMetrics | None = None
    """Of the converted network in the same way."""
    file_metrics: CocoMetrics | None = None
    """Of the file, with the options in it."""


@dataclass
class Exporter:
    """Converts once for the float files and once for all quantised ones."""

    model: Any
    options: Options
    labels: Sequence[str]
    validation: Validation
    limits: dict[bool, Limits] = field(
        default_factory=lambda: {False: parity.FLOAT_LIMITS, True: parity.QUANTIZED_LIMITS}
    )
    """For float and for quantised files."""
    note: Callable[[str], None] = lambda text: None
    _networks: dict[bool, Any] = field(default_factory=dict)

    def export(self, kind: str) -> ExportedFile:
        """Makes a file of a kind and measures it. Nothing is written.

        Raises:
          ValueError: the model cannot be exported so.
        """
        quantized = is_quantized(kind)
        if quantized not in self._networks:
            self._networks[quantized] = self._network(quantized)
        network, trained, converted, metrics = self._networks[quantized]
        self.note(f"{kind}: finishing and measuring")
        content = finish(network, self.model, self.options, labels=self.labels, kind=kind)
        images, anchors = self.validation.images, self.model.anchors
        measured = parity.measure(trained, converted, content, images, anchors, self.options)
        run = FileRunner(content)
        scored = None
        if self.validation.source is not None:
            scored = score(self.validation.source, self.model.image_size, run)
        return ExportedFile(
            kind,
            content,
            run.milliseconds(images[0]),
            measured,
            self.limits[quantized].broken(measured),
            model_metrics=metrics[0],
            network_metrics=metrics[1],
            file_metrics=scored,
        )

    def _network(
        self, quantized: bool
    ) -> tuple[bytes, list[Outputs], list[Outputs], tuple[Any, Any]]:
        mode = "quantized" if quantized else "float"
        self.note(f"converting the {mode} network")
        network = convert_network(self.model, quantized=quantized)
        images = self.validation.images
        trained = parity.model_outputs(self.model, images, quantized=quantized)
        converted = parity.network_outputs(network, images)
        return network, trained, converted, self._metrics(network, mode)

    def _metrics(self, network: bytes, mode: Any) -> tuple[Any, Any]:
        source = self.validation.source
        if source is None:
            return None, None
        self.note(f"scoring the {mode} model on {len(source)} images")
        options = evaluation.scoring_options(self.model.num_classes, self.options.nms_iou_threshold)
        with self.model.phase.in_mode(mode):
            of_model = evaluation.evaluate(self.model, source, options=options)
        detect = network_detector(network, self.model.anchors, options)
        return of_model, score(source, self.model.image_size, detect)


def output_paths(folder: Path, name: str, kinds: Sequence[str]) -> list[Path]:
    """Where files go, NAME_KIND.tflite in a folder, which is made. Asked before the work, not after
    minutes of it.

    Raises:
      ValueError: `name` is not the beginning of a file's name.
      OSError: nothing can be written there, or something that may not be replaced is in the way.
    """
    if not name or name != Path(name).name or name.startswith(".") or "\0" in name:
        raise ValueError(f"name is {name!r}, expected the beginning of a file's name")
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{name}_{kind}.tflite" for kind in kinds]
    for path in (*paths, folder / REPORT):
        if path.exists() and not path.is_file():
            raise IsADirectoryError(f"{path} is no file, expected one or nothing in its place")
        if path.exists() and not os.access(path, os.W_OK):
            raise PermissionError(f"{path} is read-only: remove it, or give another folder")
    with tempfile.NamedTemporaryFile(dir=folder, prefix="."):
        pass
    return paths


def write_files(contents: Mapping[Path, bytes], report: Path | None = None) -> None:
    """Writes all files, or none: each under another name first.

    Args:
      report: of the others. It gets its name last, and an old one is gone before the first of them
        has its own: where there is a report, the files are those it tells of.

    Raises:
      OSError: the disk is full, for example.
    """
    with ExitStack() as stack:
        # The stack gives the names in reverse order.
        for path in sorted(contents, key=lambda path: path != report):
            stack.enter_context(replacing(path)).write_bytes(contents[path])
        if report is not None:
            # What a link leads to: the link stays.
            Path(os.path.realpath(report)).unlink(missing_ok=True)
