# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""How the commands of training end: one line and a code, whatever happens."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from child_process import environment
from training import command


def _raise(error: BaseException) -> Callable[[], int]:
    def work() -> int:
        raise error

    return work


class OpError(Exception):
    """As TensorFlow's."""


_GRAPH = (
    "{{function_node __wrapped__IteratorGetNext_output_types_4_device_/job:localhost}} a.jpg: No "
    "such file or directory\n\t [[{{node ReadFile}}]] [Op:IteratorGetNext] name: \nTraceback"
)


_STEP = (
    "Graph execution error:\n\nDetected at node PyFunc defined at (most recent call last):\n"
    "{}\nFileNotFoundError: [Errno 2] No such file or directory: 'a.png'\n"
    "Traceback (most recent call last):\n\n [[{{{{node PyFunc}}}}]] [Op:__inference_step_1]"
)
_FRAMES = '  File "train.py", line 3, in step\n\n  File "data.py", line 7, in read\n'
_GONE = "train: error: OpError: FileNotFoundError: [Errno 2] No such file or directory: 'a.png'"


@pytest.mark.fault
@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (ValueError("a is\n1"), 2, "train: error: a is 1"),
        (FileNotFoundError(2, "No such file", "a\x1b"), 2, r"train: error: a\x1b: No such file"),
        (ImportError("no h5py"), 2, "train: error: no h5py"),
        (MemoryError(), 2, "train: error: there is not enough memory"),
        (FloatingPointError("loss is nan"), 1, "train: error: loss is nan"),
        (RuntimeError("a worker was lost"), 1, "train: error: a worker was lost"),
        (KeyError("boxes"), 1, "train: error: KeyError: 'boxes'"),
        (RecursionError("too deep"), 1, "train: error: RecursionError: too deep"),
        (OpError(_GRAPH), 1, "train: error: OpError: a.jpg: No such file or directory"),
        (OpError(_STEP.format("<stack traces unavailable>")), 1, _GONE),
        (OpError(_STEP.format(_FRAMES)), 1, _GONE),
        (OpError(""), 1, "train: error: OpError:"),
        (KeyboardInterrupt(), 130, ""),
        (BrokenPipeError(32, "Broken pipe"), 141, ""),
        (SystemExit(2), 2, ""),
        (SystemExit(None), 0, ""),
    ],
)
def test_whatever_is_raised_is_a_code_and_at_most_a_line(
    error: BaseException, code: int, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.run("train", _raise(error)) == code
    assert capsys.readouterr().err.rstrip() == line


def test_where_an_error_comes_from_is_told_on_demand(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(command.TRACEBACK, "1")
    assert command.run("train", _raise(KeyError("a"))) == 1
    assert "Traceback" in capsys.readouterr().err


def test_signals_are_as_before_and_other_threads_need_none() -> None:
    before = signal.getsignal(signal.SIGTERM)
    codes: list[int] = []
    thread = threading.Thread(target=lambda: codes.append(command.run("train", lambda: 3)))
    thread.start()
    thread.join()
    assert codes == [3]
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize("text", ["0", "6", "-1", "1.5", "", "many", "1" * 5000])
def test_numbers_of_the_command_line_have_a_range(text: str) -> None:
    with pytest.raises(Exception, match="expected a whole number, 1 to 5"):
        command.whole_number(1, 5)(text)
    assert command.whole_number(1, 5)("5") == 5


@pytest.mark.parametrize("text", ["nan", "inf", "-inf", "1e999", "", "many"])
def test_numbers_of_the_command_line_are_finite(text: str) -> None:
    with pytest.raises(Exception, match="expected a number"):
        command.finite_number(text)
    assert command.finite_number("1e-3") == 0.001


# ------------------------------------------------------------------------------------- processes

_PRINTS = """
import sys
from child_process import environment
from training import command

def work():
    print("the answer")
    {then}
    return 0

sys.exit(command.run("train", work))
"""


def _start(then: str, **streams: Any) -> subprocess.Popen[str]:
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **streams}
    return subprocess.Popen(
        [sys.executable, "-c", _PRINTS.format(then=then)],
        env=environment(),
        text=True,
        **streams,
    )


def _ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, error = process.communicate(timeout=60)
    return process.returncode, out or "", error or ""


posix = pytest.mark.skipif(sys.platform == "win32", reason="signals and streams of POSIX")


@pytest.mark.fault
@posix
def test_a_full_disk_behind_the_output_of_training_is_one_line() -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full")
    with open("/dev/full", "w") as full:  # noqa: PTH123
        code, _, error = _ended(_start("pass", stdout=full))
        assert code == 2
        assert error.startswith("train: error: ")
        assert error.endswith("No space left on device\n")
        assert error.count("\n") == 1
        assert _ended(_start("raise ValueError('a')", stderr=full))[0] == 2


@pytest.mark.fault
@posix
@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_reader_that_is_gone_is_no_traceback(stream: str) -> None:
    read, write = os.pipe()
    os.close(read)
    then = "print('more', file=sys.stderr, flush=True)"
    code, out, error = _ended(_start(then, **{stream: write}))
    os.close(write)
    assert code == 141
    assert "Traceback" not in out + error
    assert "ignored" not in out + error


@pytest.mark.fault
@posix
def test_streams_that_are_closed_from_the_start_are_nobody_elses() -> None:
    # A file that is opened later would be number 1 or 2, and get what a library prints.
    then = (
        "import os, tempfile; file = tempfile.TemporaryFile();"
        " assert file.fileno() > 2; os.write(2, b'a notice'); file.seek(0);"
        " sys.exit(7 if file.read() == b'' else 1)"
    )

    def close() -> None:
        for number in range(3):
            os.close(number)

    process = _start(then, stdout=None, stderr=None, preexec_fn=close)
    assert process.wait(60) == 7


@pytest.mark.fault
@posix
def test_sigterm_removes_what_is_unfinished_and_is_quiet(tmp_path: Path) -> None:
    out = tmp_path / "answer.json"
    then = (
        "import pathlib, time; from detops.whole_file import replacing\n"
        f"    with replacing(pathlib.Path({str(out)!r})) as path:\n"
        "        path.write_text('half'); time.sleep(60)"
    )
    process = _start(then)
    deadline = time.monotonic() + 60
    while not list(tmp_path.iterdir()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.terminate()
    code, _, error = _ended(process)
    assert (code, error) == (143, "")
    assert not list(tmp_path.iterdir())


@pytest.mark.fault
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"[" * 100_000, "line 1 is no result"),
        (b"{}\n", "line 1 is no result of this command"),
        (b"\xff\n", "line 1 is no result"),
        (b'{"row": "a", "batch_size": 1, "target": []}', "take it out, and it is computed again"),
    ],
)
def test_a_table_of_results_that_are_none_names_the_line(
    tmp_path: Path, content: bytes, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    from training import tpu_table

    path = tmp_path / "results.jsonl"
    path.write_bytes(content)
    assert tpu_table.main([str(path), "--print-only"]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert message in line and str(path) in line
