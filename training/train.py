# SPDX-FileCopyrightText: 2026 The detops authors
# SPDX-License-Identifier: Apache-2.0
"""Trains a detector.

    python -m training.train CONFIG [key=value ...] --out RUN_DIR

CONFIG is the name of a file in training/configs, or the path of such a file. The same command goes
on where a stopped run was. RUN_DIR gets best.weights.h5 and last.weights.h5, config.json,
labels.txt, metrics.jsonl, checkpoints/, tensorboard/, report.json and curves.png. It may be on a
bucket, gs://BUCKET/RUN, which is then brought up to date with each checkpoint. Of several hosts
(distribute=hosts) each runs the same command; docs/tpu.md tells how.

Exit codes: 0 trained, 1 a problem while it ran or another host is lost, 2 a wrong command line,
config or data set; after a checkpoint 130 Ctrl-C, 143 SIGTERM, 129 a terminal that was closed.
"""

from __future__ import annotations

import argparse
import math
import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from training import command, distribution, evaluation, schedule
from training.config import Config, load_config
from training.progress import readable_time, tell
from training.report import machine, metrics_record, versions, write_report
from training.run import Run
from training.run_folder import RunFolder, run_folder
from training.schedule import Phase
from training.training_model import TERMS, TrainingModel, averaged_weights
from training.weights_file import is_weights_file, save_weights

_CALIBRATION_IMAGES = 32
_SHOWN_IMAGES = 4


class Stopped(Exception):
    """A signal ended the run after a checkpoint."""

    def __init__(self, number: int, step: int) -> None:
        super().__init__(f"stopped after step {step}, which is saved")
        self.number = number


# ------------------------------------------------------------------------------------------- data


def open_data(config: Config) -> tuple[Any, Any]:
    """Training source, and validation source or None, with the same classes in the same order.

    Raises:
      ValueError, OSError: no training data is given, or it cannot be read.
    """
    from training.data import open_source
    from training.data.share import WHOLE

    if not config.train_data:
        raise ValueError("train_data is empty, expected a folder or file of annotations")
    if config.own_shards and config.data_service:
        raise ValueError("own_shards and data_service are both given, expected one of them")
    training = open_source(
        config.train_data,
        images=config.train_images,
        only=config.train_list,
        labels=config.labels,
        label_from=config.label_from,
        single_class=config.single_class,
        share=distribution.share() if config.own_shards else WHOLE,
    )
    if not config.validation_data:
        return training, None
    validation = open_source(
        config.validation_data,
        images=config.validation_images,
        only=config.validation_list,
        labels=training.labels,
        label_from=config.label_from,
        single_class=config.single_class,
    )
    return training, validation


def batches(config: Config, source: Any, step: int) -> Any:
    """An endless tf.data.Dataset whose first batch is that of `step` (from 0) of any run.

    Of several hosts each has its own rows.
    """
    from training.data import training_batches

    return training_batches(
        source,
        image_size=config.image_size,
        batch_size=config.batch_size,
        max_boxes=config.max_boxes,
        seed=config.seed,
        start_step=step,
        share=distribution.share(),
        flip=config.flip,
        random_crop=config.random_crop,
        photometric=config.photometric,
        zoom_out=config.zoom_out,
        cache_folder=config.cache_folder,
        data_service=config.data_service,
    )


# ------------------------------------------------------------------------------------------ model


def build_model(config: Config, num_classes: int) -> Any:
    """A `training.models.Detector` with random weights."""
    from training.models import build_detector

    return build_detector(
        architecture=config.architecture,
        num_classes=num_classes,
        image_size=config.image_size,
        depth_multiplier=config.depth_multiplier,
        per_channel=config.per_channel,
        weight_decay=config.weight_decay,
        batch_norm_momentum=config.batch_norm_momentum,
        synchronized_batch_norm=config.synchronized_batch_norm,
        anchor_scales=config.anchor_sizes(),
    )


def warm_start(config: Config, detector: Any, source: Any) -> str:
    """Loads `config.warm_start` into a detector and says what it found.

    Raises:
      ValueError, OSError: the file holds no weights that fit.
    """
    try:
        from training.data import evaluation_batches
        from training.warm_start import load
    except ImportError as error:
        raise ValueError(f"warm_start cannot be used: {error}") from error
    # Weights that had batch norm folded into them get its statistics from a few images.
    few = evaluation_batches(
        source, image_size=config.image_size, batch_size=min(_CALIBRATION_IMAGES, len(source))
    )
    images, _ = next(iter(few))
    # With shards of their own hosts would measure other statistics, and train other networks.
    images = distribution.from_first_host(np.asarray(images))
    return str(load(detector, config.warm_start, images))


# ------------------------------------------------------------------------------------------- step


def compile_phase(detector: Any, optimizer: Any, config: Config, phase: Phase) -> TrainingModel:
    """Switches the detector and gives a model whose step is traced anew. The optimizer goes on."""
    detector.set_mode("quantized" if phase.quantized else "float")
    detector.set_batch_norm_frozen(phase.batch_norm_frozen)
    model = TrainingModel(detector, config)
    if keras.backend.backend() == "jax":
        compiled = True
    else:
        # TPUStrategy compiles by itself.
        compiled = config.jit_compile and config.distribute != "tpu"
    model.compile(optimizer=optimizer, jit_compile=compiled)
    return model


# ------------------------------------------------------------------------------------- evaluation


def evaluate(run: Run, phase: Phase, validation: Any) -> None:
    """Scores the detector as it is now, and keeps its weights if none of its mode were better."""
    began = time.monotonic()
    shown: list[Any] = []

    def show(images: Any, found: Any) -> None:
        for row in range(min(len(images), _SHOWN_IMAGES - len(shown))):
            shown.append(evaluation.drawn(images[row], found, row, run.labels))

    with averaged_weights(run.detector, run.optimizer):
        metrics = evaluation.evaluate(
            run.detector,
            validation,
            batch_size=run.config.batch_size,
            options=evaluation.scoring_options(len(run.labels), run.config.nms_iou_threshold),
            on_batch=show,
        )
        record = {"step": run.done, "quantized": phase.quantized, **metrics_record(metrics)}
        path = run.folder / weights_name(run.config, phase)
        # Where the best of before are gone or damaged, those of now are the best there are.
        if is_best(record, run.evaluations) or not is_weights_file(path):
            _save_weights(run.detector, path)
    run.evaluations.append(record)
    run.log.evaluation(run.done, metrics.numbers(), time.monotonic() - began)
    run.log.images(run.done, np.stack(shown))


def is_best(record: dict[str, Any], before: Sequence[dict[str, Any]]) -> bool:
    """Whether no earlier scoring of the same mode has a higher AP.

    The ranges of a float phase are not yet those that its weights would be quantised with, so its
    score says nothing about the file that will be exported.
    """
    rivals = [r["ap"] or 0.0 for r in before if r["quantized"] == record["quantized"]]
    return all((record["ap"] or 0.0) > ap for ap in rivals)


def weights_name(config: Config, phase: Phase) -> str:
    """best.weights.h5 holds what is exported; the float phase of a quantised run has its own."""
    float_part = config.quantize_from >= 0 and not phase.quantized
    return "best_float.weights.h5" if float_part else "best.weights.h5"


def _save_weights(detector: Any, path: Path) -> None:
    if distribution.host() == 0:
        save_weights(detector, path)


# ------------------------------------------------------------------------------------------- loop


class _Signals:
    """Remembers the first SIGINT, SIGTERM or SIGHUP; a second one ends the process as usual."""

    def __init__(self) -> None:
        self.received: int | None = None
        self.ending: int | None = None
        """What all hosts agreed to stop for."""
        self._before: dict[int, Any] = {}

    def __enter__(self) -> _Signals:
        # Python delivers signals to the main thread only.
        if threading.current_thread() is threading.main_thread():
            numbers = [signal.SIGINT, signal.SIGTERM]
            # What nohup has had ignored stays so; Windows has no SIGHUP.
            if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
                numbers.append(signal.SIGHUP)
            for number in numbers:
                self._before[number] = signal.signal(number, self._receive)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    def agreed(self) -> int | None:
        """The signal for which all hosts stop after this step; each has to ask after each.

        A preemption reaches the hosts at different moments, and a step needs them all.
        """
        self.ending = max(distribution.from_all_hosts(self.received or 0)) or None
        return self.ending

    def _receive(self, number: int, frame: Any) -> None:
        del frame
        self.received = number
        self.__exit__()
        tell("\nstopping after this step; again to stop at once", sys.stderr)


class _AfterEachStep(keras.callbacks.Callback):  # type: ignore[misc]
    """Logs, scores and saves as the config says, within Keras's loop over one phase."""

    def __init__(self, run: Run, phase: Phase, validation: Any, signals: _Signals) -> None:
        super().__init__()
        self._run, self._phase, self._validation = run, phase, validation
        self._signals = signals
        self._rate = schedule.learning_rate(run.config)
        self._first = True
        self._began = 0.0

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        self._began = time.monotonic()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        run, config = self._run, self._run.config
        terms = {name: float(logs[name]) for name in TERMS}
        seconds = time.monotonic() - self._began
        step = run.done + 1
        wrong = [f"{name} is {value}" for name, value in terms.items() if not math.isfinite(value)]
        if wrong:
            raise FloatingPointError(f"step {step}: {', '.join(wrong)}{_last_saved(run)}")
        rate = float(self._rate(run.done))
        run.done, run.last_losses = step, terms
        run.log.step(step, terms, rate, None if self._first else seconds)
        self._first = False
        at_end = step == self._phase.end
        if self._validation is not None and (
            at_end or (config.evaluate_every and step % config.evaluate_every == 0)
        ):
            self._finish_step()
            evaluate(run, self._phase, self._validation)
        stopped = self._signals.agreed() is not None
        if at_end or stopped or step % config.checkpoint_every == 0:
            self._finish_step()
            run.save()
        if stopped:
            self.model.stop_training = True

    def _finish_step(self) -> None:
        # Under JAX the access alone writes the step's results into the variables.
        _ = self.model


def _last_saved(run: Run) -> str:
    saved = sorted((run.folder / "checkpoints").glob("step_*.npz"))
    if not saved:
        return "; nothing was saved before"
    return f"; the last checkpoint is {run.kept.place}/checkpoints/{saved[-1].name}"


def train(config: Config, out: Path | str) -> dict[str, Any]:
    """Trains, or goes on training, until `config.steps` are done.

    With `distribute=none` it runs under the tf.distribute strategy or keras.distribution of the
    caller, if there is one.

    Args:
      out: a folder, or the URL of one on a bucket.

    Returns:
      What report.json holds.

    Raises:
      ValueError, OSError: config, data and folder do not fit together.
      FloatingPointError: a loss is not finite; the message names step and term.
      distribution.HostLost: another host is gone.
      Stopped: SIGINT, SIGTERM or SIGHUP came; a checkpoint has been written.
    """
    with (
        distribution.distributed(config),
        run_folder(out, writes=distribution.host() == 0) as folder,
    ):
        return _train(config, folder)


def _train(config: Config, folder: RunFolder) -> dict[str, Any]:
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16" if config.mixed_precision else "float32")
    keras.utils.set_random_seed(config.seed)
    if config.deterministic and keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.experimental.enable_op_determinism()
    try:
        source, validation = open_data(config)
        detector = build_model(config, len(source.labels))
        run = Run(folder, config, detector, source.labels, source.digest())
        try:
            if config.warm_start and not run.done:
                run.log.note(warm_start(config, run.detector, source))
            return _run_phases(run, source, validation)
        finally:
            run.log.close()
    finally:
        keras.config.set_dtype_policy(policy)


def _run_phases(run: Run, source: Any, validation: Any) -> dict[str, Any]:
    from training.data.device_prefetch import on_devices

    config, phases = run.config, schedule.phases(run.config)
    if validation is not None and len(validation.problems):
        problems = validation.problems.texts()
        run.log.note(f"validation: {len(problems)} problems, the first one: {problems[0]}")
    run.log.note(
        f"{len(source)} images, {len(source.problems)} problems, {len(run.labels)} classes, "
        f"{sum(int(np.prod(v.shape)) for v in run.detector.trainable_variables):,} weights"
    )
    with _Signals() as signals:
        for phase in phases:
            if run.done >= phase.end:
                continue
            run.log.note(f"steps {run.done + 1} to {phase.end}: {phase.name}")
            model = compile_phase(run.detector, run.optimizer, config, phase)
            model.fit(
                on_devices(
                    distribution.for_fit(batches(config, source, run.done), config.batch_size)
                ),
                steps_per_epoch=phase.end - run.done,
                callbacks=[_AfterEachStep(run, phase, validation, signals)],
                shuffle=False,
                verbose=0,
            )
            if signals.ending is not None:
                raise Stopped(signals.ending, run.done)
    with averaged_weights(run.detector, run.optimizer):
        _save_weights(run.detector, run.folder / "last.weights.h5")
        if validation is None:
            _save_weights(run.detector, run.folder / "best.weights.h5")
    best = run.folder / "best.weights.h5"
    if not is_weights_file(best):
        run.log.note(
            f"{best} is gone or damaged, and the best step is no longer known: last.weights.h5 has "
            "the weights of the last one"
        )
    report = _report(run)
    if distribution.host() == 0:
        write_report(run.folder, report, phases)
        run.kept.send()
    run.log.note(f"done in {readable_time(run.seconds)}: {run.kept.place}")
    return report


def _report(run: Run) -> dict[str, Any]:
    final = [r for r in run.evaluations if r["quantized"] == (run.config.quantize_from >= 0)]
    rate = run.log.timed_steps * run.config.batch_size / max(run.log.step_seconds, 1e-9)
    return {
        "config": run.config.as_dict(),
        "versions": versions(),
        "machine": machine(),
        "labels": run.labels,
        "steps": run.done,
        "wall_seconds": run.seconds,
        "images_per_second": rate if run.log.timed_steps else None,
        "losses": {"loss": sum(run.last_losses.values()), **run.last_losses},
        "last": final[-1] if final else None,
        "best": max(final, key=lambda r: r["ap"] or 0.0) if final else None,
        "evaluations": run.evaluations,
    }


# ----------------------------------------------------------------------------------- command line


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line and returns its exit code."""
    return command.run("training.train", lambda: _main(arguments))


def _main(arguments: Sequence[str] | None) -> int:
    parser = command.Parser(
        prog="python -m training.train",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("config", metavar="CONFIG")
    parser.add_argument("overrides", nargs="*", metavar="key=value")
    parser.add_argument("-o", "--out", required=True, metavar="RUN_DIR")
    args = parser.parse_intermixed_args(arguments)
    try:
        train(load_config(args.config, args.overrides), args.out)
    except Stopped as stop:
        print(f"{stop}; the same command goes on from there", file=sys.stderr)
        return 128 + stop.number
    except distribution.HostLost as error:
        command.fail("training.train", error, command.FAILED)
        # The engine would wait for the lost host at exit, and then abort.
        os._exit(command.FAILED)
    return 0


if __name__ == "__main__":
    sys.exit(main())
