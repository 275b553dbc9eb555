# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Runs every fuzz target for some minutes and reports runs, coverage and findings.

    python tests/fuzz/nightly.py 60                        # an hour each
    python tests/fuzz/nightly.py 5 op postprocess          # these alone
    python tests/fuzz/nightly.py 60 --json report.json

The C++ targets need Clang with its runtime libraries (CXX, or the newest clang++ there is), CMake
and Ninja; the Python ones need `atheris`. What is missing is said and left out. The corpora stay in
build/fuzzing and grow from night to night; findings are in build/fuzzing/findings. The exit status
is 1 when there is one.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib.util
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FUZZ = Path(__file__).resolve().parent
ROOT = FUZZ.parent.parent
NATIVE = ("op", "options", "delegate", "postprocess", "kernels", "nms", "c_api")
READERS = (
    "model_file",
    "convert",
    "option_block",
    "real_model",
    "labels",
    "voc",
    "coco",
    "image_list",
    "tf_record",
)
# One run may take this long, and the process this much memory.
LIMITS = ("-timeout=25", "-rss_limit_mb=2500", "-print_final_stats=1")
# Nothing in an option block or a small graph needs more; models do.
NATIVE_BYTES, READER_BYTES = 800, 8000


@dataclass(frozen=True)
class Outcome:
    """What a night did to one target."""

    target: str
    runs: int
    seconds: float
    cpu_seconds: float
    """Less than `seconds` where others used the cores too."""
    branches: int
    """Counters reached, of libFuzzer ("cov")."""
    lines: float | None
    """Percent of the lines of src/cc that the corpus reaches; None where that was not measured."""
    findings: tuple[str, ...]
    """Inputs that ended it."""
    note: str = ""


def find_clang() -> str | None:
    """A Clang for C++: CXX if it is one, else the newest on the path."""
    names = [os.environ.get("CXX", ""), *(f"clang++-{n}" for n in range(25, 13, -1)), "clang++"]
    found = (shutil.which(name) for name in names if "clang" in name)
    return next((path for path in found if path), None)


def build(preset: str, clang: str, targets: Sequence[str]) -> Path:
    """The folder of a preset's fuzz programs, built."""
    environment = {**os.environ, "CXX": clang}
    for command in (
        ["cmake", "--preset", preset],
        ["cmake", "--build", "--preset", preset, "--target", *targets],
    ):
        done = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise SystemExit(f"{' '.join(command)} failed:\n{done.stdout[-4000:]}{done.stderr}")
    return ROOT / "build" / preset / "tests" / "fuzz"


def fuzz(target: str, command: Sequence[str | Path], work: Path, seconds: float) -> Outcome:
    """Runs one target until its time is over or it finds something."""
    findings = work / "findings" / target
    findings.mkdir(parents=True, exist_ok=True)
    before = set(findings.iterdir())
    flags = (*LIMITS, f"-max_total_time={max(1, round(seconds))}", f"-artifact_prefix={findings}/")
    started, used = time.monotonic(), _children_cpu()
    done = subprocess.run(
        [*command, *flags], cwd=ROOT, capture_output=True, text=True, errors="replace", check=False
    )
    output = done.stdout + done.stderr
    (work / f"{target}.log").write_text(output)
    found = tuple(str(path) for path in sorted(set(findings.iterdir()) - before))
    runs = re.findall(r"stat::number_of_executed_units: (\d+)", output)
    branches = re.findall(r"cov: (\d+)", output)
    failed = done.returncode and not found
    return Outcome(
        target=target,
        runs=int(runs[-1]) if runs else 0,
        seconds=round(time.monotonic() - started, 1),
        cpu_seconds=round(_children_cpu() - used, 1),
        branches=int(branches[-1]) if branches else 0,
        lines=None,
        findings=(*found, *([str(work / f"{target}.log")] if failed else [])),
    )


def _children_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def line_coverage(target: str, programs: Path, clang: str, work: Path) -> float | None:
    """Percent of the lines of src/cc that a target's corpus reaches."""
    suffix = re.sub(r".*clang\+\+", "", clang)
    tools = [shutil.which(f"llvm-{name}{suffix}") for name in ("profdata", "cov")]
    if None in tools:
        return None
    raw, merged = work / f"{target}.profraw", work / f"{target}.profdata"
    program = programs / f"{target}_replay"
    environment = {**os.environ, "LLVM_PROFILE_FILE": str(raw)}
    folders = [work / "corpus" / target, FUZZ / "seeds" / target]
    subprocess.run([program, *folders], env=environment, capture_output=True, check=True)
    subprocess.run([str(tools[0]), "merge", "-o", merged, raw], check=True)
    sources = str(ROOT / "src" / "cc")
    listed = subprocess.run(
        [str(tools[1]), "export", "-summary-only", f"-instr-profile={merged}", program, sources],
        capture_output=True,
        text=True,
        check=True,
    )
    return float(json.loads(listed.stdout)["data"][0]["totals"]["lines"]["percent"])


def fuzz_native(targets: Sequence[str], work: Path, seconds: float, lines: bool) -> list[Outcome]:
    clang = find_clang()
    if not targets or clang is None:
        note = "left out: no clang++ on the path"
        return [Outcome(target, 0, 0.0, 0.0, 0, None, (), note) for target in targets]
    programs = build("fuzz", clang, [f"{target}_fuzzer" for target in targets])
    outcomes = []
    for target in targets:
        corpus = work / "corpus" / target
        corpus.mkdir(parents=True, exist_ok=True)
        extra = [f"-dict={FUZZ / 'options.dict'}"] if target == "options" else []
        folders = [corpus, FUZZ / "seeds" / target, FUZZ / "regressions" / target]
        command = [programs / f"{target}_fuzzer", *(f for f in folders if f.is_dir()), *extra]
        outcomes.append(fuzz(target, [*command, f"-max_len={NATIVE_BYTES}"], work, seconds))
        _say(outcomes[-1])
    if not lines:
        return outcomes
    measured = build("coverage", clang, [f"{target}_replay" for target in targets])
    return [
        dataclasses.replace(each, lines=line_coverage(each.target, measured, clang, work))
        for each in outcomes
    ]


def fuzz_readers(targets: Sequence[str], work: Path, seconds: float) -> list[Outcome]:
    if importlib.util.find_spec("atheris") is None:
        note = "left out: atheris is not installed"
        return [Outcome(target, 0, 0.0, 0.0, 0, None, (), note) for target in targets]
    outcomes = []
    for target in targets:
        script = [sys.executable, "-W", "ignore", FUZZ / "reader_fuzzer.py", target]
        command = [*script, work / "corpus" / target, f"-max_len={READER_BYTES}"]
        outcomes.append(fuzz(target, command, work, seconds))
        _say(outcomes[-1])
    return outcomes


def _say(outcome: Outcome) -> None:
    lines = "" if outcome.lines is None else f", {outcome.lines:.1f} % of the lines"
    took = f"{outcome.seconds:.0f} s ({outcome.cpu_seconds:.0f} of a core)"
    state = outcome.note or f"{outcome.runs} runs in {took}"
    reached = f", {outcome.branches} branches{lines}" if outcome.runs else ""
    print(f"{outcome.target:>13}: {state}{reached}, {len(outcome.findings)} findings", flush=True)
    for path in outcome.findings:
        print(f"{'':>15}{path}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0] if __doc__ else "")
    parser.add_argument("minutes", type=float, help="for each target; 0.2 are 12 seconds")
    parser.add_argument("targets", nargs="*", help=f"of {', '.join(NATIVE + READERS)}; all if none")
    parser.add_argument("--json", type=Path, help="file to write the report to")
    parser.add_argument("--no-lines", action="store_true", help="do not measure line coverage")
    parser.add_argument("--work", type=Path, default=ROOT / "build" / "fuzzing")
    arguments = parser.parse_args()
    chosen = arguments.targets or [*NATIVE, *READERS]
    unknown = sorted(set(chosen) - {*NATIVE, *READERS})
    if unknown:
        parser.error(f"no target is called {unknown[0]!r}")
    work = arguments.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    seconds = 60 * arguments.minutes
    native = [target for target in NATIVE if target in chosen]
    readers = [target for target in READERS if target in chosen]
    outcomes = fuzz_native(native, work, seconds, not arguments.no_lines)
    outcomes += fuzz_readers(readers, work, seconds)
    print()
    for outcome in outcomes:
        _say(outcome)
    if arguments.json:
        report: dict[str, Any] = {"minutes": arguments.minutes}
        report["targets"] = [dataclasses.asdict(outcome) for outcome in outcomes]
        arguments.json.write_text(json.dumps(report, indent=2) + "\n")
    return 1 if any(outcome.findings for outcome in outcomes) else 0


if __name__ == "__main__":
    sys.exit(main())
