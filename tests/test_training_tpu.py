# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""What is known of TPUs and read from compiled programs, without a compiler for them."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from training.config import Config, config_names, load_config
from training.tpu.failure import explain
from training.tpu.hlo_text import program_cost
from training.tpu.target import GENERATIONS, TOPOLOGIES, Target, find_target

ROOT = Path(__file__).parent.parent

PROGRAM = """HloModule jit_train_step, is_scheduled=true

%add.1 (a.1: f32[], b.1: f32[]) -> f32[] {
  ROOT %sum.1 = f32[] add(%a.1, %b.1)
}

%fused.7 (p.7: bf16[8,4]) -> bf16[8,4] {
  ROOT %m.7 = bf16[8,4]{1,0:T(8,128)(2,1)} multiply(%p.7, %p.7), backend_config={"estimated_cycles":"7777"}
}

%branch_a (p.8: f32[]) -> f32[] {
  ROOT %n.8 = f32[]{:T(128)} negate(%p.8), backend_config={"window_config":{"estimated_cycles":"30"}}
}

%branch_b (p.9: f32[]) -> f32[] {
  ROOT %n.9 = f32[]{:T(128)} negate(%p.9), backend_config={"window_config":{"estimated_cycles":"50"}}
}

%body.3 (t.3: (s32[], f32[16])) -> (s32[], f32[16]) {
  %g.3 = f32[16]{0:T(128)} all-reduce(%x.3), channel_id=2, to_apply=%add.1
  ROOT %t.4 = (s32[]{:T(128)}, f32[16]{0:T(128)}) fusion(%g.3), kind=kLoop, calls=%fused.7, backend_config={"window_config":{"estimated_cycles":"10"}}
}

%condition.3 (t.5: (s32[], f32[16])) -> pred[] {
  ROOT %less.3 = pred[]{:T(512)} compare(%i.3, %n.3), direction=LT, backend_config={"window_config":{"estimated_cycles":"1"}}
}

ENTRY %main.1_spmd (param.0: bf16[8,4], param.1: f32[]) -> (f32[], bf16[8,4]) {
  %param.0 = bf16[8,4]{1,0:T(8,128)(2,1)} parameter(0), sharding={replicated}
  %fusion.1 = bf16[8,4]{1,0:T(8,128)(2,1)S(1)} fusion(%param.0), kind=kLoop, calls=%fused.7, metadata={op_name="jit(train_step)/all-reduce(fake"}, backend_config={"window_config":{"estimated_cycles":"1000"}}
  %all-reduce.1 = (f32[2,8]{0,1:T(2,128)S(1)}, /*index=1*/bf16[3]{0:T(256)}) all-reduce(%a, %b), channel_id=1, to_apply=%add.1, backend_config={"flag_configs":[]}
  %gte.1 = f32[2,8]{0,1:T(2,128)} get-tuple-element(%all-reduce.1), index=0
  %gather-start.1 = (pred[2]{0}, pred[16]{0}) all-gather-start(%c), channel_id=4, dimensions={0}
  %gather-done.1 = pred[16]{0} all-gather-done(%gather-start.1)
  %while.1 = (s32[]{:T(128)}, f32[16]{0:T(128)}) while(%init.1), condition=%condition.3, body=%body.3, backend_config={"known_trip_count":{"n":"3"}}
  %conditional.1 = f32[]{:T(128)} conditional(%q, %r, %s), branch_computations={%branch_a, %branch_b}
  ROOT %tuple.1 = (f32[]{:T(128)}, bf16[8,4]{1,0:T(8,128)(2,1)}) tuple(%conditional.1, %fusion.1)
}
"""  # noqa: E501


# ---------------------------------------------------------------------------------------- programs


def test_the_entry_counts_with_its_loops_and_its_dearest_branch() -> None:
    cost = program_cost(PROGRAM)
    assert cost.cycles == 1000 + 3 * (10 + 1) + 50
    assert cost.unknown_loops == 0


def test_collectives_by_kind_and_bytes() -> None:
    cost = program_cost(PROGRAM)
    assert dict(cost.collectives) == {"all-reduce": 1 + 3, "all-gather": 1}
    assert cost.collective_bytes["all-reduce"] == 2 * 8 * 4 + 3 * 2 + 3 * 16 * 4
    assert cost.collective_bytes["all-gather"] == 16


def test_a_loop_of_unknown_length_is_counted_once_and_told() -> None:
    text = PROGRAM.replace(', backend_config={"known_trip_count":{"n":"3"}}', "")
    cost = program_cost(text)
    assert cost.cycles == 1000 + 10 + 1 + 50
    assert cost.unknown_loops == 1


def test_a_text_that_is_no_program() -> None:
    with pytest.raises(ValueError, match="no ENTRY"):
        program_cost("HloModule empty\n")


# ----------------------------------------------------------------------------------------- targets


@pytest.mark.parametrize(
    ("name", "topology", "chips", "devices"),
    [
        ("v2-8", "v2:2x2", 4, 8),
        ("v3-8", "v3:2x2", 4, 8),
        ("v4-8", "v4:2x2x1", 4, 4),
        ("v5e-8", "v5e:2x4", 8, 8),
        ("V6E-8", "v6e:2x4", 8, 8),
        ("v5e:4x4", "v5e:4x4", 16, 16),
        ("tpu7x:2x2x1", "tpu7x:2x2x1", 4, 8),
    ],
)
def test_names_of_targets(name: str, topology: str, chips: int, devices: int) -> None:
    target = find_target(name)
    assert (target.name, target.topology) == (name, topology)
    assert (target.chips, target.devices) == (chips, devices)


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("v5-8", "v5[ep]-8"),
        ("v5e:2by4", "v5e:2x4"),
        ("v1:2x2", "v[23]:2x2"),
        ("v5e:0x4", "v5e:2x4"),
    ],
)
def test_an_unknown_target_names_the_nearest(name: str, near: str) -> None:
    with pytest.raises(ValueError, match=f"there is no TPU '{name}'; did you mean {near}"):
        find_target(name)


def test_every_name_has_its_generation() -> None:
    for topology in TOPOLOGIES.values():
        target = Target("x", topology)
        assert target.generation in GENERATIONS.values()
        assert target.generation.hbm_gib > 0


# ---------------------------------------------------------------------------------------- failures


def test_too_little_memory() -> None:
    error = RuntimeError(
        "RESOURCE_EXHAUSTED: XLA:TPU compile permanent error. Ran out of memory in memory space "
        "hbm. Used 10.50G of 7.48G hbm. Exceeded hbm capacity by 3.02G.\n  1. Size: 1.20G\n"
        '     Operator: op_name="jit(train_step)/jvp(detector)/conv_0/conv_general_dilated"'
    )
    failure = explain(error, lowered=True)
    assert failure.kind == "out of memory"
    assert failure.needed_bytes == round(10.5 * 2**30)
    assert failure.op.endswith("conv_0/conv_general_dilated")
    assert "batch_size" in failure.hint


def test_an_op_without_a_rule_is_named() -> None:
    error = NotImplementedError(
        "MLIR translation rule for primitive 'pure_callback' not found for platform tpu"
    )
    failure = explain(error, lowered=False)
    assert (failure.kind, failure.op) == ("not lowered", "pure_callback")
    assert "keras.ops" in failure.hint


def test_the_code_that_called_the_op_is_shown() -> None:
    def step() -> Any:
        return json.loads("{")

    try:
        step()
    except ValueError as error:
        failure = explain(error, lowered=False)
    # json is no library of ours: the innermost frame counts.
    assert "line" in failure.where
    assert failure.kind == "not lowered"


# ------------------------------------------------------------------------------------------ phases


def _phase_names(config: Config, *, costliest: bool) -> list[str]:
    from training.tpu.compiled_step import distinct_phases

    return [phase.name for phase in distinct_phases(config, costliest=costliest)]


def test_phases_that_compile_to_different_steps() -> None:
    pytest.importorskip("keras")
    config = load_config("ssd_mobilenet_v1_quantized_300")
    assert _phase_names(config, costliest=False) == [
        "float",
        "quantized",
        "quantized, batch norm frozen",
    ]
    assert _phase_names(config, costliest=True) == ["quantized"]
    # Fake quantisation begins when batch norm is frozen already: neither is a part of the other.
    config = load_config("pets_breeds")
    assert _phase_names(config, costliest=True) == ["float", "quantized, batch norm frozen"]


def test_hours_of_phases_and_of_the_costliest() -> None:
    pytest.importorskip("keras")
    from training.tpu.compiled_step import StepReport
    from training.tpu.hlo_text import Cost
    from training.tpu_check import document, hours_by_phase, readable

    config = load_config("ssd_mobilenet_v1_quantized_300", ["steps=3600", "quantize_from=3000"])
    config = config.replace(freeze_batch_norm_from=3300)
    target = find_target("v2-8")

    def report(phase: str, seconds: float) -> StepReport:
        cost = Cost(cycles=int(seconds * 700e6))
        return StepReport(phase, target, 128, 1.0, peak_bytes=1 << 30, flops=1e9, cost=cost)

    names = ("float", "quantized", "quantized, batch norm frozen")
    reports = [report(name, seconds) for name, seconds in zip(names, (1.0, 4.0, 2.0), strict=True)]
    assert hours_by_phase(config, reports) == pytest.approx((3000 + 300 * 4 + 300 * 2) / 3600)
    assert hours_by_phase(config, reports[1:]) is None
    text = readable("a", config, reports)
    assert "3,600 steps of the costliest phase (quantized): 4.00 h" in text
    assert "each phase for its own steps: 1.33 h" in text
    (entry,) = document("a", config, reports)["targets"]
    assert entry["hours"] == pytest.approx(4.0)
    assert entry["images_per_second"] == pytest.approx(32)


# ------------------------------------------------------------------------------------------- table


def test_the_table_has_a_row_for_each_pair(tmp_path: Path) -> None:
    results = tmp_path / "results.jsonl"
    fits = {
        "phase": "float",
        "compiles_and_fits": True,
        "hbm_bytes": 16 << 30,
        "peak_bytes": 4 << 30,
        "flops": 5e12,
        "step_seconds": 0.25,
        "images_per_second": 256.0,
        "collectives": {"all-reduce": {"count": 3, "bytes": 2_000_000}},
    }
    entry = {"target": "v5e-8", "fits": True, "costliest_phase": "float", "hours": 1.5}
    head = {"row": "a", "batch_size": 64, "image_size": 320}
    rows = [
        {**head, "target": {**entry, "images_per_second": 256.0, "phases": [fits]}},
        {
            **head,
            "target": {
                "target": "v2-8",
                "fits": False,
                "phases": [{"compiles_and_fits": False, "failure": {"kind": "out of memory"}}],
            },
        },
    ]
    results.write_text("".join(json.dumps(row) + "\n" for row in rows))
    rates = "--rates=300:1000,640:100"
    prices = "--prices=v2-8:4.5,v5e-8:9.6"
    ended = _run("training.tpu_table", str(results), "--print-only", rates, prices)
    assert ended.returncode == 1
    first, second = ended.stdout.splitlines()[2:]
    assert first.startswith("| `a` | 64 | v2-8 | no: out of memory |")
    assert second == (
        "| `a` | 64 | v5e-8 | yes | 4.00 of 16.00 | 5 | 250 | 256 | 1.50 h | 14.40 | 3 | 2 | 3 |"
    )


# -------------------------------------------------------------------------------- the command line


def _run(module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return _python("-m", module, *arguments)


def _python(*arguments: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(ROOT), *sys.path])
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
    )


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["bccd"], "--topology"),
        (["bcd", "--topology", "v5e-8"], "did you mean bccd?"),
        (["bccd", "--topology", "v5f-8"], "did you mean v5"),
        (["bccd", "--topology", "v5e-8", "stepss=3"], "did you mean steps?"),
    ],
)
def test_a_wrong_command_line(arguments: list[str], complaint: str) -> None:
    ended = _run("training.tpu_check", *arguments)
    assert ended.returncode == 2
    assert complaint in ended.stderr
    assert "Traceback" not in ended.stderr


def test_every_config_divides_over_the_targets() -> None:
    for name in config_names():
        for target in ("v2-8", "v5e-8"):
            assert load_config(name).batch_size % find_target(target).devices == 0


# ------------------------------------------------------------------------------- with the compiler

SMALL = (
    "ssd_mobilenet_v1_300",
    "image_size=64",
    "depth_multiplier=0.25",
    "batch_size=16",
    "quantize_from=5",
    "mixed_precision=true",
)


@pytest.fixture
def compiler() -> None:
    # Not imported: JAX is for the processes that these tests start.
    if not all(importlib.util.find_spec(name) for name in ("jax", "libtpu")):
        pytest.skip('jax[tpu] is not installed: pip install ".[tpu]"')


@pytest.mark.usefixtures("compiler")
def test_a_small_step_compiles_for_a_tpu() -> None:
    ended = _run(
        "training.tpu_check", *SMALL, "--topology", "v5e-8", "--costliest", "--json", "--classes=3"
    )
    assert ended.returncode == 0, ended.stderr
    document = json.loads(ended.stdout)
    (target,) = document["targets"]
    assert target["fits"]
    assert target["costliest_phase"] == "quantized"
    (phase,) = target["phases"]
    assert 0 < phase["peak_bytes"] < phase["hbm_bytes"]
    assert phase["cycles"] > 10_000
    assert phase["flops"] > 1e6
    # At least the gradients of all weights are summed over the devices.
    assert phase["collectives"]["all-reduce"]["bytes"] > 100_000
    assert target["hours_by_phase"] is None  # The float phase was left out.
    assert target["hours"] == pytest.approx(20_000 * phase["step_seconds"] / 3600)


@pytest.mark.usefixtures("compiler")
def test_a_step_that_does_not_lower_names_the_op(tmp_path: Path) -> None:
    script = tmp_path / "broken.py"
    script.write_text(
        "import sys\n"
        "from training.tpu.compiled_step import prepare_environment\n"
        "prepare_environment()\n"
        "from keras import ops\n"
        "from training import losses, tpu_check\n"
        "def broken(predictions, targets):\n"
        "    return ops.nonzero(targets)[0]\n"
        "losses.smooth_l1 = broken\n"
        "sys.exit(tpu_check.main(sys.argv[1:]))\n"
    )
    ended = _python(str(script), *SMALL, "--topology", "v5e-8", "--costliest")
    assert ended.returncode == 1, ended.stderr
    assert "not lowered at nonzero" in ended.stdout
    assert "line 7: return ops.nonzero(targets)[0]" in ended.stdout
    assert "make it static" in ended.stdout
