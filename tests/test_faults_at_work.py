# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Disks that fill up, Ctrl-C and kill -9 while commands work: nothing is lost, and they say why.

Every command runs as a process of its own, on real files. A full disk is a file system of one
megabyte where the tests may mount one, else the system's limit on the size of files.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

import detops

if sys.platform == "win32":
    pytest.skip("signals and limits of POSIX", allow_module_level=True)

import resource

pytest.importorskip("ai_edge_litert")
pytest.importorskip("PIL")

from PIL import Image

from child_process import environment

MODEL = Path(str(detops.__file__)).parent / "models" / "pet_faces.tflite"
LABEL = "pet face"
"""What the model finds."""
ROOM = 150_000
"""Bytes that fit on the full disk."""

Disk = tuple[Path, Callable[[], None]]


def _allow_sigint() -> None:
    # A shell starts background jobs, and with them these tests, with the signal ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _start(command: list[str], prepare: Callable[[], None]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", *command],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=prepare,
    )


def _run(command: list[str], prepare: Callable[[], None] = lambda: None) -> tuple[int, str]:
    with _start(command, prepare) as process:
        _, error = process.communicate(timeout=300)
    return process.returncode, error


def _limit() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (ROOM, ROOM))


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Disk]:
    """A folder with little room, and what a process has to do before it uses it."""
    folder = tmp_path / "full"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={ROOM // 1024}k", "tmpfs", str(folder)]
    mounted = shutil.which("mount") and not subprocess.run(mount, capture_output=True).returncode
    try:
        yield folder, (lambda: None) if mounted else _limit
    finally:
        if mounted:
            subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A picture of noise, whose annotated copy is larger than the full disk."""
    path = tmp_path_factory.mktemp("photo") / "photo.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (600, 800, 3), np.uint8)).save(path)
    return path


@pytest.fixture(scope="module")
def voc(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve noisy pictures with one object each."""
    folder = tmp_path_factory.mktemp("voc")
    (folder / "images").mkdir()
    (folder / "xmls").mkdir()
    rng = np.random.default_rng(1)
    for number in range(12):
        pixels = rng.integers(0, 256, (96, 96, 3), np.uint8)
        pixels[20:60, 20:60] = 230
        Image.fromarray(pixels).save(folder / "images" / f"{number}.png")
        (folder / "xmls" / f"{number}.xml").write_text(
            f"<annotation><filename>{number}.png</filename><size><width>96</width>"
            f"<height>96</height><depth>3</depth></size><object><name>{LABEL}</name><bndbox>"
            "<xmin>20</xmin><ymin>20</ymin><xmax>60</xmax><ymax>60</ymax></bndbox></object>"
            "</annotation>"
        )
    return folder


def _train(voc: Path, out: Path) -> list[str]:
    values = {
        "architecture": "ssd_mobilenet_v1",
        "depth_multiplier": 0.25,
        "image_size": 64,
        "train_data": str(voc),
        "batch_size": 2,
        "max_boxes": 4,
        "steps": 2,
        "learning_rate": 0.02,
        "log_every": 1,
        "checkpoint_every": 1,
    }
    config = voc / "config.py"
    fields = "".join(f"    {name}={value!r},\n" for name, value in values.items())
    config.write_text(f"from training.config import Config\n\nCONFIG = Config(\n{fields})\n")
    return ["training.train", str(config), "--out", str(out)]


def _needs_training() -> None:
    for module in ("keras", "tensorflow", "pycocotools", "matplotlib"):
        pytest.importorskip(module)


# ---------------------------------------------------------------------------------------------
# Full disks
# ---------------------------------------------------------------------------------------------

WRITERS = {
    "convert": ("model.tflite", ["detops", "convert", "tidy", "{model}", "--out"]),
    "detect": ("annotated.png", ["detops", "detect", "{model}", "{photo}", "--out"]),
    "shards": ("shards/train", ["training.data", "convert", "{voc}"]),
}


def _writer(name: str, folder: Path, photo: Path, voc: Path) -> tuple[Path, list[str]]:
    file, command = WRITERS[name]
    out = folder / file
    values = {"model": str(MODEL), "photo": str(photo), "voc": str(voc)}
    return out, [*(part.format(**values) for part in command), str(out)]


@pytest.mark.fault
@pytest.mark.parametrize("name", list(WRITERS))
def test_a_full_disk_is_one_line_and_leaves_nothing(
    full_disk: Disk, photo: Path, voc: Path, name: str
) -> None:
    folder, prepare = full_disk
    _, command = _writer(name, folder, photo, voc)
    code, error = _run(command, prepare)
    assert code in (1, 2), error
    assert re.search(r"No space left on device|File too large", error), error
    assert "Traceback" not in error
    assert not [path for path in folder.rglob("*") if path.is_file()]


@pytest.mark.fault
@pytest.mark.parametrize("name", ["convert", "detect"])
def test_what_was_there_survives_a_full_disk(
    full_disk: Disk, photo: Path, voc: Path, name: str
) -> None:
    folder, prepare = full_disk
    out, command = _writer(name, folder, photo, voc)
    out.write_bytes(b"the result of yesterday")
    code, _ = _run(command, prepare)
    assert code != 0
    assert out.read_bytes() == b"the result of yesterday"
    assert list(folder.iterdir()) == [out]


@pytest.mark.fault
@pytest.mark.parametrize("command", ["inspect", "doctor"])
def test_a_full_disk_behind_the_output(command: str) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full")
    with open("/dev/full", "w") as full:  # noqa: PTH123
        done = subprocess.run(
            [sys.executable, "-m", "detops", command, str(MODEL), "--json"],
            env=environment(),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode != 0
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr


STREAMS = {
    "stdout closed": (">&-", 0),
    "stderr closed": ("2>&-", 0),
    "all closed": ("<&- >&- 2>&-", 0),
    "stdout full": ("> /dev/full", 1),
    "stderr full": ("2> /dev/full", 0),
}
WRITES = {"inspect": None, "convert": "model.tflite", "detect": "annotated.png"}


@pytest.mark.fault
@pytest.mark.parametrize("streams", STREAMS)
@pytest.mark.parametrize("name", WRITES)
def test_standard_streams_that_take_nothing(
    name: str, streams: str, photo: Path, tmp_path: Path
) -> None:
    redirection, expected = STREAMS[streams]
    file = WRITES[name]
    command = ["detops", "inspect", str(MODEL)]
    if file is not None:
        command = _writer(name, tmp_path, photo, photo)[1]
    shell = f"{shlex.join([sys.executable, '-m', *command])} {redirection}"
    done = subprocess.run(["sh", "-c", shell], env=environment(), capture_output=True, text=True)
    assert done.returncode == expected, done.stderr
    assert "Traceback" not in done.stderr
    assert len([line for line in done.stderr.splitlines() if "detops" in line]) <= 1
    # A runtime's own notices do not go into it either.
    if file == "model.tflite":
        assert detops.Interpreter(str(tmp_path / file))
    # A table that cannot be printed ends the work; what is written is whole.
    if file == "annotated.png" and (expected == 0 or (tmp_path / file).exists()):
        Image.open(tmp_path / file).verify()


@pytest.mark.fault
def test_an_error_that_cannot_be_told_is_still_a_code() -> None:
    shell = f"{shlex.quote(sys.executable)} -m detops inspect /nowhere"
    for redirection in ("2>&-", "2> /dev/full", ">&- 2>&-"):
        done = subprocess.run(["sh", "-c", f"{shell} {redirection}"], env=environment())
        assert done.returncode == 1


@pytest.mark.fault
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_signals_to_end_leave_nothing_half_written(number: signal.Signals, tmp_path: Path) -> None:
    out = tmp_path / "model.tflite"
    code = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from detops.cli import main\n"
        "Path.replace = lambda *_: time.sleep(60)\n"
        f"sys.exit(main(['convert', 'tidy', {str(MODEL)!r}, '--out', {str(out)!r}]))\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], env=environment(), stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 120
    while not list(tmp_path.iterdir()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    time.sleep(0.2)
    process.send_signal(number)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert "Traceback" not in error
    assert not list(tmp_path.iterdir())


@pytest.mark.fault
def test_training_on_a_full_disk_says_so_and_goes_on_elsewhere(
    full_disk: Disk, voc: Path, tmp_path: Path
) -> None:
    _needs_training()
    folder, prepare = full_disk
    out = folder / "run"
    code, error = _run(_train(voc, out), prepare)
    assert code != 0
    assert re.search(r"No space left on device|File too large", error), error
    assert "Traceback" not in error
    assert not list(out.rglob("*.npz"))
    # What is there is whole: a run in a copy of the folder goes on, or begins anew.
    shutil.copytree(out, tmp_path / "run")
    code, error = _run(_train(voc, tmp_path / "run"))
    assert code == 0, error


# ---------------------------------------------------------------------------------------------
# The folder in which a command works
# ---------------------------------------------------------------------------------------------


@pytest.mark.fault
@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("demo {photo}", "the current folder: it is gone"),
        ("detect {model} {photo} --out found.png", "the current folder: it is gone"),
        ("convert tidy {model} --out tidy.tflite", "tidy.tflite: No such file or directory"),
        ("detect {model} photo.png", "photo.png: No such file or directory"),
    ],
)
def test_a_working_folder_that_is_gone(
    tmp_path: Path, photo: Path, command: str, words: str
) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()

    def enter_and_remove() -> None:
        os.chdir(folder)
        folder.rmdir()

    arguments = [part.format(model=MODEL, photo=photo) for part in command.split()]
    code, error = _run(["detops", *arguments], enter_and_remove)
    [line] = [line for line in error.splitlines() if line.startswith("detops: error:")]
    assert (code, "Traceback" in error) == (1, False)
    assert words in line


# ---------------------------------------------------------------------------------------------
# Signals
# ---------------------------------------------------------------------------------------------


COMMANDS = {
    "demo": ["detops", "demo", "--out", "{out}/demo.png"],
    "detect": ["detops", "detect", "{model}", "{photo}", "--out", "{out}/annotated.png"],
    "inspect": ["detops", "inspect", "{model}"],
    "doctor": ["detops", "doctor", "{model}"],
    "bench": ["detops", "bench", "{model}", "--runs", "100000"],
    "eval": ["detops", "eval", "{model}", "--voc", "{voc}/xmls", "--images", "{voc}/images"],
    "convert": ["detops", "convert", "tidy", "{model}", "--out", "{out}/tidy.tflite"],
    "data inspect": ["training.data", "inspect", "{voc}"],
    "data convert": ["training.data", "convert", "{voc}", "{out}/shards"],
    "train": ["training.train", "{config}", "--out", "{out}/run"],
}


@pytest.mark.fault
@pytest.mark.parametrize("name", list(COMMANDS))
def test_ctrl_c_at_any_moment_ends_a_command_quietly(
    name: str, photo: Path, voc: Path, tmp_path: Path
) -> None:
    if name.split()[0] in ("train", "data", "eval"):
        _needs_training()
    if name == "demo":
        pytest.importorskip("skimage")
    config = _train(voc, tmp_path)[1]
    values = {"model": str(MODEL), "photo": str(photo), "voc": str(voc), "config": config}
    # The time of an undisturbed run, up to some seconds, is where the signals fall.
    whole = tmp_path / "whole"
    whole.mkdir()
    command = [part.format(out=whole, **values) for part in COMMANDS[name]]
    began = time.monotonic()
    with _start(command, _allow_sigint) as process:
        try:
            process.communicate(timeout=8)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
    seconds = time.monotonic() - began
    for fraction in (0.3, 0.6, 0.9):
        # It may fall into the import of an extension, which makes of it what it likes.
        # What we do is the same each time.
        wrong = ""
        for attempt in range(3):
            out = tmp_path / f"at {fraction}, {attempt}"
            out.mkdir()
            command = [part.format(out=out, **values) for part in COMMANDS[name]]
            wrong = _interrupted(command, seconds * fraction, out)
            if not wrong:
                break
        assert not wrong, f"at {fraction}: {wrong}"


def _interrupted(command: list[str], after: float, out: Path) -> str:
    """What was wrong with how a command ended, or ""."""
    with _start(command, _allow_sigint) as process:
        time.sleep(after)
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=120)
    # A callback of the garbage collector, as JAX has one, swallows what falls into it.
    error = re.sub(r"Exception ignored in.*?KeyboardInterrupt", "", error, flags=re.DOTALL)
    # Before a command is imported, Python ends by the signal; a shell tells both as 130.
    if process.returncode not in (0, 130, -signal.SIGINT) or "Traceback" in error:
        return f"{process.returncode} {error}"
    left = [path.name for path in out.rglob("*") if path.name.startswith(".")]
    return f"{left} were left behind" if left else ""


@pytest.mark.fault
def test_kill_in_the_middle_of_a_write_leaves_the_old_file(tmp_path: Path) -> None:
    out = tmp_path / "model.tflite"
    out.write_bytes(b"the result of yesterday")
    # Stops where the new bytes are written and not yet renamed.
    code = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from detops.cli import main\n"
        "Path.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        f"main(['convert', 'tidy', {str(MODEL)!r}, '--out', {str(out)!r}])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], env=environment(), check=False)
    assert done.returncode == -signal.SIGKILL
    assert out.read_bytes() == b"the result of yesterday"
    again, error = _run(["detops", "convert", "tidy", str(MODEL), "--out", str(out)])
    assert again == 0, error
    assert detops.Interpreter(str(out))
