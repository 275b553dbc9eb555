# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Exported files against the model they were made of, and the command that makes them."""

from __future__ import annotations

import errno
import json
import math
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

keras = pytest.importorskip("keras", reason="training needs keras")
pytest.importorskip("tensorflow", reason="training.export needs tensorflow")

from PIL import Image  # noqa: E402

from child_process import environment  # noqa: E402
from detops import Detections  # noqa: E402
from detops.convert import read_metadata  # noqa: E402
from detops.detector import Detector  # noqa: E402
from detops.model_file import ModelFile  # noqa: E402
from training import warm_start  # noqa: E402
from training.config import Config  # noqa: E402
from training.export import KINDS, export_detector, export_options, parity  # noqa: E402
from training.export.__main__ import main  # noqa: E402
from training.export.detector_file import finish, is_quantized  # noqa: E402
from training.export.exporting import output_paths, write_files  # noqa: E402
from training.export.network import convert_network  # noqa: E402
from training.export.running import FileRunner  # noqa: E402
from training.models import build_detector  # noqa: E402
from training.warm_start.block_weights import convolutions_of  # noqa: E402

Array = NDArray[Any]
SIDE = 96
LABELS = ["cat", "dog", "owl", "emu"]
OPTIONS = export_options(len(LABELS), max_detections=20)


def _images() -> list[Array]:
    """Blobs: noise has no structure that survives the strides."""
    rng = np.random.default_rng(4)
    coarse = rng.integers(0, 256, (6, 5, 5, 3), np.uint8)
    resized = [Image.fromarray(c).resize((SIDE, SIDE), Image.Resampling.BICUBIC) for c in coarse]
    return [np.asarray(picture) for picture in resized]


def _trained(*, per_channel: bool = False) -> Any:
    """A detector whose statistics and ranges are those of the images; four classes, as boxes have
    numbers."""
    keras.utils.set_random_seed(3)
    model = build_detector(
        architecture="ssd_mobilenet_v1",
        num_classes=len(LABELS),
        image_size=SIDE,
        depth_multiplier=0.25,
        per_channel=per_channel,
    )
    images = np.stack(_images())
    for block in convolutions_of(model):
        if block.batch_norm:
            # Hardly anything is cut off: a random network that folds space is chaotic, and makes
            # another picture of every rounding.
            block.gamma.assign(np.full(block.filters, 0.7))
            block.beta.assign(np.full(block.filters, 2.5))
    warm_start.calibrate_batch_norm(model, images)
    rng = np.random.default_rng(6)
    for heads, scale in ((model.predictor.box_heads, 0.03), (model.predictor.class_heads, 0.07)):
        for (head,) in heads:
            head.kernel.assign(rng.normal(0, scale, head.kernel.shape))
    model.set_batch_norm_frozen(True)
    model(images, training=True)
    return model


@pytest.fixture(scope="module")
def model() -> Any:
    return _trained()


@pytest.fixture(scope="module")
def networks(model: Any) -> dict[bool, bytes]:
    """Converted, by whether it is quantised."""
    return {quantized: convert_network(model, quantized=quantized) for quantized in (False, True)}


@pytest.mark.parametrize("kind", KINDS)
def test_file_computes_what_the_model_does(
    model: Any, networks: dict[bool, bytes], kind: str
) -> None:
    network = networks[is_quantized(kind)]
    file = finish(network, model, OPTIONS, labels=LABELS, kind=kind)
    trained = parity.model_outputs(model, _images(), quantized=is_quantized(kind))
    converted = parity.network_outputs(network, _images())
    found = parity.measure(trained, converted, file, _images(), model.anchors, OPTIONS)
    assert found.exact and found.images == len(_images()) and found.detections > 0
    limits = parity.QUANTIZED_LIMITS if is_quantized(kind) else parity.FLOAT_LIMITS
    # Random heads are steep: what they make of a rounding is more than what trained ones do.
    assert replace(limits, score_mean=0.01, score_max=0.3, agreement=0.5).broken(found) == []
    if kind == "float":
        assert limits.broken(found) == []


@pytest.mark.parametrize(
    ("kind", "boxes", "scores"),
    [
        ("float", "float32", "float32"),
        ("int8", "int8", "int8"),
        ("uint8", "float32", "uint8"),
        ("dequantize", "float32", "float32"),
    ],
)
def test_what_reaches_the_op(
    model: Any, networks: dict[bool, bytes], kind: str, boxes: str, scores: str
) -> None:
    file = finish(networks[is_quantized(kind)], model, OPTIONS, labels=LABELS, kind=kind)
    (graph, node), *_ = ModelFile.read(file).postprocess_operators()
    types = [graph.tensors[tensor].dtype for tensor in node.inputs]
    assert types == [boxes, scores, "float32"]
    expected = "uint8" if is_quantized(kind) else "float32"
    assert graph.tensors[graph.inputs[0]].dtype == expected
    metadata = read_metadata(file)
    assert metadata is not None and metadata.labels == tuple(LABELS)
    assert metadata.input_mean[0] == metadata.input_std[0] == 128
    assert list(graph.outputs) == sorted(graph.outputs)


def test_heads_have_nothing_to_requantise(networks: dict[bool, bytes]) -> None:
    (graph,) = ModelFile.read(networks[True]).subgraphs
    # The one is in front: uint8 pixels become int8.
    assert [op.index for op in graph.operators if op.name == "QUANTIZE"] == [0]


def test_per_channel() -> None:
    model = _trained(per_channel=True)
    file = export_detector(model, OPTIONS, labels=LABELS, kind="int8")
    scales = [
        len(tensor.quantization.scales)
        for tensor in ModelFile.read(file).subgraphs[0].tensors
        if tensor.quantization is not None and tensor.dtype == "int8"
    ]
    assert max(scales) > 1
    # The class heads' biases are all the same, and the converter would get them wrong.
    trained = parity.model_outputs(model, _images(), quantized=True)
    found = parity.network_outputs(convert_network(model, quantized=True), _images())
    errors = [np.abs(t.scores - f.scores).mean() for t, f in zip(trained, found, strict=True)]
    assert max(errors) < 0.01
    for (head,) in model.predictor.class_heads:
        assert len(set(np.asarray(head.bias).tolist())) == 1


def test_detector_reads_the_file(tmp_path: Path, model: Any, networks: dict[bool, bytes]) -> None:
    path = tmp_path / "detector.tflite"
    for kind in ("float", "int8"):
        content = finish(networks[is_quantized(kind)], model, OPTIONS, labels=LABELS, kind=kind)
        path.write_bytes(content)
        normalization = {"mean": 128.0, "std": 128.0} if kind == "float" else {}
        detector = Detector(path, threshold=0.3, **normalization)
        assert detector.labels == tuple(LABELS)
        boxes, _, scores, count = Detections(*FileRunner(content)(_images()[0]))
        found = detector.detect(_images()[0])
        assert len(found) == int((scores[0, : int(count[0])] >= 0.3).sum()) > 0
        np.testing.assert_array_equal(found[0].box, boxes[0, 0])


def test_ranges_must_have_been_observed() -> None:
    fresh = build_detector(
        architecture="ssd_mobilenet_v1", num_classes=1, image_size=64, depth_multiplier=0.25
    )
    with pytest.raises(ValueError, match="has observed nothing but 0"):
        convert_network(fresh, quantized=True)


def test_numbers_must_be_finite() -> None:
    fresh = build_detector(
        architecture="ssd_mobilenet_v1", num_classes=1, image_size=64, depth_multiplier=0.25
    )
    fresh.backbone.first.gamma.assign(np.full(8, np.nan))
    with pytest.raises(FloatingPointError, match=r"conv_0/gamma"):
        convert_network(fresh, quantized=False)


def test_arguments_that_do_not_fit(model: Any) -> None:
    with pytest.raises(ValueError, match="num_classes is 3, the model has 4"):
        finish(b"", model, export_options(3), labels=LABELS, kind="int8")
    with pytest.raises(ValueError, match="kind is 'int4', expected one of float"):
        export_detector(model, OPTIONS, labels=LABELS, kind="int4")


PERFECT = parity.Parity(
    images=1,
    boxes_db=math.inf,
    score_mean=0.0,
    score_max=0.0,
    detections=0,
    agreement=math.nan,
    exact=True,
)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"boxes_db": 3.0}, "box encodings 3.0 dB"),
        ({"boxes_db": math.nan}, "box encodings nan dB"),
        ({"score_mean": 0.3}, "score mean error 0.3000"),
        ({"score_max": math.nan}, "score max error nan"),
        ({"agreement": 0.5}, "agreement 0.500"),
        ({"exact": False}, "not those of the op"),
    ],
)
def test_limits(changes: dict[str, Any], message: str) -> None:
    assert parity.QUANTIZED_LIMITS.broken(PERFECT) == []
    (found,) = parity.QUANTIZED_LIMITS.broken(replace(PERFECT, **changes))
    assert message in found


def test_partners() -> None:
    boxes = np.array([[0, 0, 1, 1], [0, 0, 0.5, 0.5], [0, 0, 1, 0.98]], np.float32)
    ours = [boxes[:2], np.array([0.0, 1.0]), np.array([0.8, 0.6])]
    assert parity.count_partners(ours, ours) == 2
    assert parity.count_partners(ours, [boxes[[2]], np.array([0.0]), np.array([0.81])]) == 1
    assert parity.count_partners(ours, [boxes[[2]], np.array([1.0]), np.array([0.81])]) == 0
    assert parity.count_partners(ours, [boxes[[2]], np.array([0.0]), np.array([0.7])]) == 0
    # One box is nobody's partner twice.
    double = [boxes[[0, 0]], np.array([0.0, 0.0]), np.array([0.8, 0.8])]
    assert parity.count_partners(double, [boxes[[0]], np.array([0.0]), np.array([0.8])]) == 1
    assert parity.count_partners([part[:0] for part in ours], ours) == 0


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, model: Any) -> Path:
    """A run's folder, and photos/ beside its weights."""
    folder = tmp_path_factory.mktemp("run")
    model.save_weights(folder / "best.weights.h5")
    config = Config(
        architecture="ssd_mobilenet_v1",
        depth_multiplier=0.25,
        image_size=SIDE,
        steps=10,
        learning_rate=0.1,
        quantize_from=5,
    )
    (folder / "config.json").write_text(json.dumps(config.as_dict()))
    (folder / "labels.txt").write_text("".join(f"{label}\n" for label in LABELS))
    (folder / "photos").mkdir()
    for number, image in enumerate(_images()):
        Image.fromarray(image).save(folder / "photos" / f"{number}.png")
    return folder


LENIENT = ["--score-mean", "0.01", "--score-max", "0.3", "--min-agreement", "0.5"]


def test_command(tmp_path: Path, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    arguments = [str(run), "--out", str(out), "--photos", str(run / "photos"), *LENIENT]
    assert main([*arguments, "--kinds", "int8", "uint8", "--json", "--max-detections", "7"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["options"]["max_detections"] == 7
    assert [file["kind"] for file in record["files"]] == ["int8", "uint8"]
    assert all(file["parity"]["exact"] and not file["broken"] for file in record["files"])
    written = sorted(path.name for path in out.iterdir())
    assert written == ["detector_int8.tflite", "detector_uint8.tflite", "export.json"]
    sizes = [(out / f"detector_{file['kind']}.tflite").stat().st_size for file in record["files"]]
    assert sizes == [file["bytes"] for file in record["files"]]


def test_command_fails_on_a_broken_limit(
    tmp_path: Path, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    arguments = [str(run), "--out", str(out), "--photos", str(run / "photos"), *LENIENT]
    assert main([*arguments, "--kinds", "int8", "--min-boxes-db", "90"]) == 1
    captured = capsys.readouterr()
    assert "int8" in captured.out and "expected >= 90" in captured.err
    assert not list(out.iterdir())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (["--photos", ""], "give --data, or --photos FOLDER"),
        (["--photos", "{run}/nothing"], "nothing: No such file"),
        (["--labels", "{run}/three.txt"], "with 3 classes"),
        (["--config", "ssd_mobilenet_v1_30"], "did you mean"),
    ],
)
def test_errors_of_use(
    tmp_path: Path,
    run: Path,
    capsys: pytest.CaptureFixture[str],
    change: list[str],
    message: str,
) -> None:
    (run / "three.txt").write_text("a\nb\nc\n")
    changed = [part.format(run=run) for part in change]
    arguments = [str(run), "--out", str(tmp_path), "--photos", str(run / "photos"), *changed]
    assert main(arguments) == 2
    error = capsys.readouterr().err.strip().splitlines()
    assert len(error) == 1 and message in error[0]


def test_no_run_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path), "--out", str(tmp_path)]) == 2
    assert "there are no weights" in capsys.readouterr().err


@pytest.mark.fault
def test_what_is_in_the_way_is_told_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "out" / "detector_int8.tflite").mkdir(parents=True)
    with pytest.raises(OSError, match="file"):
        output_paths(tmp_path / "file", "detector", KINDS)
    with pytest.raises(OSError, match=r"detector_int8\.tflite is no file"):
        output_paths(tmp_path / "out", "detector", KINDS)
    for name in ("", "../a", "a/b", ".a", "a\0b"):
        with pytest.raises(ValueError, match="expected the beginning of a file's name"):
            output_paths(tmp_path / "new", name, KINDS)
    assert len(output_paths(tmp_path / "new", "a", KINDS)) == len(KINDS)
    assert list((tmp_path / "new").iterdir()) == []


@pytest.mark.fault
def test_an_export_that_cannot_be_written_leaves_all_old_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [tmp_path / name for name in ("a.tflite", "b.tflite")]
    for path in paths:
        path.write_bytes(b"the result of yesterday")
    write = Path.write_bytes

    def full(path: Path, content: bytes) -> int:
        if path.name.endswith("b.tflite"):
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        return write(path, content)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space left"):
        write_files(dict.fromkeys(paths, b"new"))
    assert sorted(tmp_path.iterdir()) == paths
    assert {path.read_bytes() for path in paths} == {b"the result of yesterday"}


@pytest.mark.fault
@pytest.mark.parametrize("renames", range(3))
def test_a_report_of_an_export_is_never_of_other_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, renames: int
) -> None:
    paths = [tmp_path / name for name in ("a.tflite", "b.tflite", "export.json")]
    for path in paths:
        path.write_bytes(b"the result of yesterday")
    done: list[Path] = []
    replace = Path.replace

    def cut_short(self: Path, target: Path) -> Path:
        if len(done) == renames:
            raise OSError(errno.EIO, "Input/output error")
        done.append(target)
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", cut_short)
    with pytest.raises(OSError, match="Input/output error"):
        write_files(dict.fromkeys(paths, b"new"), paths[2])
    assert not paths[2].exists()
    monkeypatch.setattr(Path, "replace", replace)
    write_files(dict.fromkeys(paths, b"new"), paths[2])
    assert {path.read_bytes() for path in paths} == {b"new"}


@pytest.mark.fault
@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_an_export_that_is_killed_leaves_the_old_file(tmp_path: Path) -> None:
    out = tmp_path / "a.tflite"
    out.write_bytes(b"the result of yesterday")
    # Where the new bytes are written and not yet renamed.
    code = (
        "import os, signal\n"
        "from pathlib import Path\n"
        "from training.export.exporting import write_files\n"
        "Path.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        f"write_files({{Path({str(out)!r}): b'new'}})\n"
    )
    done = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert out.read_bytes() == b"the result of yesterday"
