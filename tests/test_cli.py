# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""The command line as a whole: help, exit codes, one-line errors, signals and pipes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import detops
from colour_model import ColourModel
from detops.cli import main
from detops.cli.arguments import channels, number, positive, size
from detops.cli.json_output import print_document
from detops.cli.progress import Progress, progress_line
from detops.cli.table import column_widths, format_row, format_wrapped, one_line, printable

COMMANDS = ("detect", "inspect", "doctor", "bench")


@pytest.fixture
def model(tmp_path: Path) -> str:
    path = tmp_path / "model.tflite"
    path.write_bytes(ColourModel().build())
    return str(path)


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(Path(detops.__file__).parent.parent)}


def _start(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "detops", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=_environment(),
    )


# ---------------------------------------------------------------------------------------------
# Help and usage
# ---------------------------------------------------------------------------------------------


def test_without_arguments_prints_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    out = capsys.readouterr().out
    assert all(command in out for command in COMMANDS)
    assert "example:" in out


@pytest.mark.parametrize("command", COMMANDS)
def test_each_help_has_one_example(capsys: pytest.CaptureFixture[str], command: str) -> None:
    assert main([command, "--help"]) == 0
    out = capsys.readouterr().out
    assert out.count(f"\n  detops {command} ") == 1
    assert "--json" in out
    assert "--runtime" in out


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"detops {detops.__version__}\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ["paint"],
        ["detect"],
        ["detect", "model.tflite"],
        ["inspect", "model.tflite", "--runtime", "onnx"],
        ["detect", "m", "i", "--threshold", "nan"],
        ["detect", "m", "i", "--threshold", "high"],
        ["detect", "m", "i", "--max-detections", "0"],
        ["detect", "m", "i", "--threads", "-1"],
        ["detect", "m", "i", "--mean", "1,2"],
        ["detect", "m", "i", "--input-size", "300"],
        ["bench", "m", "--runs", "many"],
    ],
)
def test_usage_errors(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("detops: error: ")
    assert captured.err.count("\n") == 1


def test_values_of_arguments() -> None:
    assert (positive("12"), number("-1e3"), number("-inf")) == (12, -1000.0, -float("inf"))
    assert (channels("2"), channels("1,2,3")) == (2.0, [1.0, 2.0, 3.0])
    assert size("320x640") == (320, 640)


# ---------------------------------------------------------------------------------------------
# Errors
# ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("kind", ["missing", "text", "empty", "folder", "cut", "no op"])
def test_files_that_are_no_model(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, command: str, kind: str
) -> None:
    path = tmp_path / "some.tflite"
    if kind == "folder":
        path.mkdir()
    elif kind != "missing":
        whole = ColourModel().build()
        no_op = whole.replace(b"TFLite_Detection_PostProcess", b"TFLite_Detection_PostProcesS")
        content = {"text": b"hello, world", "empty": b"", "cut": whole[:300], "no op": no_op}
        path.write_bytes(content[kind])
    images = ["photo.jpg"] if command == "detect" else []
    if (command, kind) == ("inspect", "no op"):
        assert main([command, str(path)]) == 0
        assert "no TFLite_Detection_PostProcess node" in capsys.readouterr().out
        return
    assert main([command, str(path), *images]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("detops: error: ")
    assert "some.tflite" in captured.err
    assert captured.err.count("\n") == 1


def test_any_damage_is_a_report_or_one_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    whole = ColourModel().build()
    rng = np.random.default_rng(0)
    path = tmp_path / "some.tflite"
    for _ in range(300):
        content = bytearray(whole)
        for place in rng.integers(0, len(whole), rng.integers(1, 5)):
            content[place] = rng.choice([0, 1, 4, 127, 128, 255, rng.integers(256)])
        path.write_bytes(content)
        for command in ("inspect", "doctor"):
            code = main([command, str(path), "--json"])
            captured = capsys.readouterr()
            assert code in (0, 1)
            if captured.err:
                assert (code, captured.out, captured.err.count("\n")) == (1, "", 1)
            else:
                json.loads(captured.out)


def test_a_missing_runtime_is_one_line(
    capsys: pytest.CaptureFixture[str], model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    assert main(["detect", model, "photo.jpg", "--runtime", "litert"]) == 1
    assert capsys.readouterr().err == (
        'detops: error: litert is not installed: pip install "detops[litert]"\n'
    )


def test_ctrl_c_has_no_traceback(
    capsys: pytest.CaptureFixture[str], model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("detops.cli.inspect.read_nodes", interrupted)
    assert main(["inspect", model]) == 130
    assert capsys.readouterr().err == ""


def test_ctrl_c_in_the_import_of_an_extension(
    capsys: pytest.CaptureFixture[str], model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise ImportError("initialization failed") from KeyboardInterrupt()

    monkeypatch.setattr("detops.cli.inspect.read_nodes", interrupted)
    assert main(["inspect", model]) == 130
    assert capsys.readouterr().err == ""


# ---------------------------------------------------------------------------------------------
# As a process
# ---------------------------------------------------------------------------------------------


def test_as_a_process(model: str) -> None:
    process = _start("inspect", model, "--json")
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    assert json.loads(out)["command"] == "inspect"


def test_inspect_and_doctor_import_no_runtime_and_no_pillow(model: str) -> None:
    code = (
        "import sys; from detops.cli import main; "
        f"main(['inspect', {model!r}]); main(['doctor', {model!r}]); "
        "found = {name.split('.')[0] for name in sys.modules}; "
        "sys.exit(len(found & {'PIL', 'tensorflow', 'ai_edge_litert', 'tflite_runtime'}))"
    )
    command = [sys.executable, "-c", code]
    subprocess.run(command, check=True, env=_environment(), capture_output=True)


@pytest.mark.skipif(os.name != "posix", reason="pipes and signals of POSIX")
def test_a_reader_that_goes_away_is_no_traceback(model: str) -> None:
    with _start("inspect", model) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait(60) == 141


@pytest.mark.skipif(os.name != "posix", reason="pipes and signals of POSIX")
def test_a_signal_in_the_middle(model: str) -> None:
    pytest.importorskip("ai_edge_litert")
    # From the first invoke on: a fixed time after the start may fall into an import of the runtime.
    # A shell starts background jobs, and with them these tests, with the signal ignored.
    code = (
        "import os, signal, sys, threading; from detops.cli import bench, main; "
        "signal.signal(signal.SIGINT, signal.default_int_handler); "
        "timed = bench.time_in_turn; "
        "timer = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)); "
        "bench.time_in_turn = lambda *given: (timer.start(), timed(*given))[1]; "
        f"sys.exit(main(['bench', {model!r}, '--runs', '100000000']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=_environment(), capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 130
    assert "Traceback" not in done.stderr


# ---------------------------------------------------------------------------------------------
# Tables, JSON, progress
# ---------------------------------------------------------------------------------------------


def test_names_cannot_command_the_terminal() -> None:
    assert printable("a\x1b[31mb\n\u00e9") == r"a\x1b[31mb\n" + "\u00e9"
    assert one_line("one\n  two\r\n") == "one two"


def test_columns_line_up() -> None:
    rows = [("name", "n"), ("\u732b", "1"), ("cat", "12")]
    widths = column_widths(*rows)
    assert widths == [4, 2]
    assert [format_row(row, widths, right=(1,)) for row in rows] == [
        "name   n",
        "\u732b     1",
        "cat   12",
    ]


def test_long_cells_are_wrapped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    lines = format_wrapped(("a", "b"), [("short", "word " * 40), ("x", "")]).splitlines()
    assert max(map(len, lines)) <= 60
    assert " ".join(lines).count("word") == 40
    assert lines[-1] == "x"


def test_numbers_that_json_lacks(capsys: pytest.CaptureFixture[str]) -> None:
    inf = float("inf")
    print_document("test", {"numbers": (1.5, float("nan"), inf, -inf), "nested": {"x": [inf]}})

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    document = json.loads(capsys.readouterr().out, parse_constant=refuse)
    assert document["numbers"] == [1.5, "nan", "inf", "-inf"]
    assert document["nested"] == {"x": ["inf"]}


def test_progress_line() -> None:
    assert progress_line(12, 198, 2.0) == "12/198 pictures  6.0 images/s  0:31 left"
    assert progress_line(1, 7202, 1.0).endswith("2:00:01 left")


def test_progress_is_for_terminals_only(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with Progress(3) as progress:
        progress.step()
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    with Progress(3) as progress:
        progress.erase()
        progress.step()
    err = capsys.readouterr().err
    assert "1/3 pictures" in err
    assert err.endswith("\r\x1b[K")
    with Progress(1) as progress:
        progress.step()
    assert capsys.readouterr().err == ""
