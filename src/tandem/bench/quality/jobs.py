"""Jobs of a bench, each in a process of its own, whose CPU time and memory are its own.

A job is an object of one of the classes below. It goes to the process as JSON on the first line of its standard input,
with the time at which the process was started. The input stays open: where it ends, the bench is gone, and the process
stops as if it had been asked to.
"""

import contextlib
import dataclasses
import json
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tandem.config.data import Direction, LayoutChoice
from tandem.config.validation import ValueRange
from tandem.evaluation.options import EvaluationOptions, Resizer
from tandem.training.signals import GracefulStop

WORKER = "tandem.bench.quality.worker"
_POLL_SECONDS = 0.2


@dataclass(frozen=True, kw_only=True)
class TimingJob:
    """Train the beginning of a run in a folder that is removed, and write down what its steps take.

    Attributes:
        options: Of the run, all of them, its short length included.
        data: The dataset.
        folder: Of the run.
        result: The file for the times.
    """

    kind: Literal["timing"] = "timing"
    options: Mapping[str, Any]
    data: str
    folder: str
    result: str


@dataclass(frozen=True, kw_only=True)
class TrainingJob:
    """Train a run, or go on with it.

    Attributes:
        options: Of the run, all of them.
        data: The dataset.
        folder: Of the run.
    """

    kind: Literal["training"] = "training"
    options: Mapping[str, Any]
    data: str
    folder: str


@dataclass(frozen=True, kw_only=True)
class Measuring:
    """How all models of a bench are measured; see `tandem.evaluation.options.EvaluationOptions`.

    Attributes:
        data: The dataset.
        split: Its held-out split.
        layout: How A and B lie in it.
        val_split: What is held out of its split train as val; None: nothing.
        cache: Of what was measured before, and of what was held out.
        direction: That of the translation.
        device: Where the networks run.
        threads: Threads of the CPU; None for one a core.
        metrics: The names; None for all that can be computed.
        num_samples: Samples of each input.
        features: Feature network.
        features_size: Side of its input.
        features_range: The values that it takes.
        trust_torchscript: Whether to run it if it is a program.
        weights: Folder of published weights.
        resizer: How images come to the size of the feature network.
    """

    data: str
    split: str
    layout: LayoutChoice
    val_split: float | None
    cache: str
    direction: Direction
    device: str
    threads: int | None
    metrics: tuple[str, ...] | None
    num_samples: int
    features: str | None
    features_size: int | None
    features_range: ValueRange
    trust_torchscript: bool
    weights: str | None
    resizer: Resizer


@dataclass(frozen=True, kw_only=True)
class EvaluationJob:
    """Measure a model.

    Attributes:
        model: Its folder.
        folder: Of the report.
        key: What is written down beside the report when it is whole.
        measuring: How.
    """

    kind: Literal["evaluation"] = "evaluation"
    model: str
    folder: str
    key: str
    measuring: Measuring


@dataclass(frozen=True, kw_only=True)
class RealJob:
    """Measure real training images as if a model had made them.

    Attributes:
        seed: Decides which ones.
        channels: Of the outputs.
        folder: See `EvaluationJob`, also for what follows.
        key: Likewise.
        measuring: Likewise.
    """

    kind: Literal["real"] = "real"
    seed: int
    channels: int
    folder: str
    key: str
    measuring: Measuring


@dataclass(frozen=True, kw_only=True)
class SamplingJob:
    """Time samples of a model.

    Attributes:
        model: Its folder.
        result: The file for the numbers.
        measuring: The dataset, and where it is.
    """

    kind: Literal["sampling"] = "sampling"
    model: str
    result: str
    measuring: Measuring


Job = TimingJob | TrainingJob | EvaluationJob | RealJob | SamplingJob


class StoppedError(Exception):
    """The user asked to stop, and the job has.

    Attributes:
        signal: The signal.
    """

    def __init__(self, number: signal.Signals) -> None:
        super().__init__(number.name)
        self.signal = number


def run_job(job: Job) -> int:
    """Run a job in a process of its own, and return its exit status.

    The first Ctrl-C or SIGTERM asks the process to stop, the second one ends it.

    Raises:
        StoppedError: The user asked to stop.
    """
    command = [sys.executable, "-m", WORKER]
    with GracefulStop() as stop:
        # In a session of its own, Ctrl-C reaches it through here alone, and once.
        process = subprocess.Popen(command, stdin=subprocess.PIPE, text=True, start_new_session=True)
        try:
            assert process.stdin is not None
            with contextlib.suppress(BrokenPipeError):
                order = {"begun": time.time(), "job": dataclasses.asdict(job)}
                process.stdin.write(json.dumps(order) + "\n")
                process.stdin.flush()
            status = _wait(process, stop)
        finally:
            process.kill()
            process.wait()
            if process.stdin is not None:
                with contextlib.suppress(BrokenPipeError):
                    process.stdin.close()
    if stop.signal is not None:
        raise StoppedError(stop.signal)
    return status


def _wait(process: "subprocess.Popen[str]", stop: GracefulStop) -> int:
    told = False
    while True:
        try:
            return process.wait(_POLL_SECONDS)
        except subprocess.TimeoutExpired:
            if stop.signal is not None and not told:
                process.send_signal(signal.SIGTERM)
                told = True


def evaluation_options(measuring: Measuring) -> EvaluationOptions:
    """What the evaluation is asked for, its metrics aside."""
    return EvaluationOptions(
        num_samples=measuring.num_samples,
        features=None if measuring.features is None else Path(measuring.features),
        features_size=measuring.features_size,
        features_range=measuring.features_range,
        trust_torchscript=measuring.trust_torchscript,
        weights=None if measuring.weights is None else Path(measuring.weights),
        resizer=measuring.resizer,
        may_download=False,
    )
