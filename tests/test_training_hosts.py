# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Two hosts, which are two processes here: that they train, and go on when one was killed."""

from __future__ import annotations

import importlib.util
import json
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("keras")
pytest.importorskip("tensorflow")
pytest.importorskip("PIL")
pytest.importorskip("pycocotools")
pytest.importorskip("matplotlib")

import tiny_training

_LOST_AFTER = 10


@pytest.fixture(params=["jax", "tensorflow"])
def backend(request: pytest.FixtureRequest) -> str:
    name = str(request.param)
    if importlib.util.find_spec(name) is None:
        pytest.skip(f"{name} is not installed")
    return name


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_training.write_pictures(tmp_path_factory.mktemp("pictures") / "voc")


class Hosts:
    """Starts all with the same command, as a cluster's scheduler does; one is a plain run."""

    def __init__(
        self,
        backend: str,
        values: dict[str, Any],
        out: Path,
        count: int = 2,
        last: Mapping[str, str] | None = None,
    ) -> None:
        """`last` is of the environment of the last one alone."""
        ports = _free_ports(count)
        kind = "hosts" if count > 1 else "none"
        self.out = out
        self.processes = [
            tiny_training.start(
                {"host_timeout": _LOST_AFTER, **values, "distribute": kind},
                out,
                backend=backend,
                environment={
                    **_addresses(backend, ports, number),
                    **((last or {}) if number == count - 1 else {}),
                },
            )
            for number in range(count)
        ]

    def send(self, number: int, to: int, *, after_step: int) -> None:
        """Sends a signal to a host once a step is in the log."""
        deadline = time.monotonic() + 300
        while not any(line["step"] >= after_step for line in self._log()):
            assert all(process.poll() is None for process in self.processes)
            assert time.monotonic() < deadline
            time.sleep(0.05)
        self.processes[to].send_signal(number)

    def end(self, timeout: float = 300) -> tuple[list[int], list[str]]:
        """Exit codes, and what each wrote to stderr."""
        try:
            errors = [process.communicate(timeout=timeout)[1] for process in self.processes]
        except subprocess.TimeoutExpired:
            for process in self.processes:
                process.kill()
            raise
        return [process.returncode for process in self.processes], errors

    def _log(self) -> list[dict[str, float]]:
        try:
            return tiny_training.losses(self.out)
        except (FileNotFoundError, json.JSONDecodeError):
            return []


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [int(each.getsockname()[1]) for each in sockets]
    for each in sockets:
        each.close()
    return ports


def _addresses(backend: str, ports: Sequence[int], number: int) -> dict[str, str]:
    if backend == "jax":
        return {
            "KERAS_DISTRIBUTION_JOB_ADDRESSES": f"127.0.0.1:{ports[0]}",
            "KERAS_DISTRIBUTION_NUM_PROCESSES": str(len(ports)),
            "KERAS_DISTRIBUTION_PROCESS_ID": str(number),
        }
    workers = [f"127.0.0.1:{port}" for port in ports]
    task = {"type": "worker", "index": number}
    return {"TF_CONFIG": json.dumps({"cluster": {"worker": workers}, "task": task})}


@pytest.mark.fault
def test_a_host_that_is_lost_during_scoring_is_not_waited_for(
    backend: str, pictures: Path, tmp_path: Path
) -> None:
    values = tiny_training.config(
        pictures, quantize_from=-1, validation_data=str(pictures), evaluate_every=2
    )
    marker = tmp_path / "scores"
    last = {tiny_training.STOP_IN_SCORING: str(marker)}
    hosts = Hosts(backend, values, tmp_path / "run", last=last)
    deadline = time.monotonic() + 300
    while not marker.exists():
        assert all(process.poll() is None for process in hosts.processes)
        assert time.monotonic() < deadline
        time.sleep(0.05)
    hosts.processes[1].kill()
    began = time.monotonic()
    codes, errors = hosts.end()
    assert codes == [1, -signal.SIGKILL], errors[0]
    assert "host 0 lost touch with another" in errors[0]
    assert time.monotonic() - began < 6 * _LOST_AFTER


def test_a_warm_start_gives_all_hosts_the_same_weights(
    backend: str, pictures: Path, tmp_path: Path
) -> None:
    values = tiny_training.config(pictures, steps=2, quantize_from=-1)
    assert Hosts(backend, values, tmp_path / "before", count=1).end()[0] == [0]
    # Nobody is lost here, however busy the machine is.
    values |= {"warm_start": str(tmp_path / "before" / "last.weights.h5"), "host_timeout": 300}
    losses = []
    for count in (1, 2):
        codes, errors = Hosts(backend, values, tmp_path / f"{count}", count=count).end()
        assert codes == [0] * count, errors[-1]
        losses.append([line["loss"] for line in tiny_training.losses(tmp_path / f"{count}")])
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)
    assert losses[0][0] != tiny_training.losses(tmp_path / "before")[0]["loss"]


def _steps(out: Path) -> list[int]:
    return [int(line["step"]) for line in tiny_training.losses(out)]


def test_one_of_two_hosts_is_killed_and_comes_back(
    backend: str, pictures: Path, tmp_path: Path
) -> None:
    values = tiny_training.config(
        pictures,
        steps=300,
        quantize_from=-1,
        checkpoint_every=4,
        validation_data=str(pictures),
        evaluate_every=3,
    )
    hosts = Hosts(backend, values, tmp_path / "run")
    hosts.send(signal.SIGKILL, 1, after_step=5)
    began = time.monotonic()
    codes, errors = hosts.end()
    # The other one does not wait for ever, and says what to do.
    assert codes == [1, -signal.SIGKILL]
    assert "host 0 lost touch with another" in errors[0]
    assert "start all hosts again: the same command goes on" in errors[0]
    assert time.monotonic() - began < 6 * _LOST_AFTER

    # A preempted host gets SIGTERM; both stop after the same step.
    hosts = Hosts(backend, values, tmp_path / "run")
    last = _steps(tmp_path / "run")[-1]
    hosts.send(signal.SIGTERM, 1, after_step=last + 1)
    codes, errors = hosts.end()
    assert codes == [128 + signal.SIGTERM] * 2, errors
    steps = _steps(tmp_path / "run")
    assert steps == list(range(1, len(steps) + 1))
    newest = max((tmp_path / "run" / "checkpoints").iterdir())
    assert newest.name == f"step_{steps[-1]:08d}.npz"
    for error in errors:
        assert f"stopped after step {steps[-1]}, which is saved" in error

    # One host wrote the log; two killed and stopped runs are one that never was.
    alone = Hosts(backend, values, tmp_path / "alone", count=1)
    alone.send(signal.SIGTERM, 0, after_step=len(steps))
    assert alone.end()[0] == [128 + signal.SIGTERM]
    expected = [line["loss"] for line in tiny_training.losses(tmp_path / "alone")][: len(steps)]
    found = [line["loss"] for line in tiny_training.losses(tmp_path / "run")]
    assert found == pytest.approx(expected, rel=1e-4)
