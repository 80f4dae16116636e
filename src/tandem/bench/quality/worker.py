"""The process of a job: ``python -m tandem.bench.quality.worker``; see `tandem.bench.quality.jobs`."""

import json
import logging
import os
import signal
import statistics
import sys
import threading
import time
from dataclasses import asdict
from pathlib import Path

from tandem.bench.quality.costs import COST_NAME, CostLog, SampleCost, cpu_seconds
from tandem.bench.quality.held_out import measured_splits
from tandem.bench.quality.jobs import (
    EvaluationJob,
    Job,
    Measuring,
    RealJob,
    SamplingJob,
    TimingJob,
    TrainingJob,
    evaluation_options,
)
from tandem.bench.quality.plan import StepTimes
from tandem.checkpoint.store import CheckpointStore
from tandem.config.parse import parse_value
from tandem.config.run import from_flat
from tandem.data.splits import Split
from tandem.errors import ConfigError, TandemError
from tandem.evaluation.cases import FileHashes
from tandem.evaluation.directions import evaluate_directions
from tandem.evaluation.folder import write_evaluation
from tandem.evaluation.metric import MetricSet
from tandem.evaluation.metrics import FID, KID, PRDC, STANDARD_METRICS, Frechet
from tandem.evaluation.networks.loader import NetworkLoader
from tandem.evaluation.plan import plan
from tandem.evaluation.subject import Subject, file_cases, model_subject
from tandem.evaluation.validation import make_validator
from tandem.files import atomic_write_text
from tandem.inference.jobs import split_jobs
from tandem.inference.translator import load
from tandem.interrupts import raise_for_signal
from tandem.names import shown
from tandem.networks.device import choose_device
from tandem.report.progress import evaluation_progress
from tandem.report.records import Record
from tandem.rng import numpy_generator
from tandem.terminal import MessageFormatter, prepare_streams
from tandem.threads import choose_threads
from tandem.training.device import peak_memory_mb
from tandem.training.process_group import ProcessGroup
from tandem.training.run_folder import RunFolder
from tandem.training.trainer import train

DONE_NAME = "bench.json"
TIMED_SAMPLES = 8
SIGNAL_STATUS = 128
INTERRUPTED = 130
ON_SETS = MetricSet((FID, KID, PRDC, Frechet))
"""Metrics that compare images as sets, so that real images can be compared too."""

log = logging.getLogger(__name__)


def main() -> int:
    """Do the job on standard input."""
    prepare_streams()
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(MessageFormatter("%(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    order = json.loads(sys.stdin.readline())
    job = parse_value(Job, order["job"], "job")
    begun = time.monotonic() - (time.time() - order["begun"])
    signal.signal(signal.SIGTERM, _interrupt)
    threading.Thread(target=_stop_without_bench, daemon=True).start()
    try:
        return perform(job, begun)
    except TandemError as error:
        sys.stderr.write(shown(str(error)) + "\n")
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED


def _interrupt(*_: object) -> None:
    raise_for_signal(KeyboardInterrupt())


def _stop_without_bench() -> None:
    """Wait for the end of standard input, which comes when the bench is gone."""
    # sys.stdin.read() would hold a lock for which a process that the loader forks meanwhile waits for ever.
    while os.read(sys.stdin.fileno(), 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def perform(job: Job, begun: float) -> int:
    """Do a job in this process.

    Args:
        job: The job.
        begun: When the process began, by `time.monotonic`.

    Returns:
        The exit status.

    Raises:
        TandemError: The job cannot be done.
    """
    match job:
        case TimingJob():
            return _time(job, begun)
        case TrainingJob():
            return _train(job, begun)
        case EvaluationJob():
            _evaluate(job)
        case RealJob():
            _evaluate_real(job)
        case SamplingJob():
            _sample(job)
    return 0


def _time(job: TimingJob, begun: float) -> int:
    """Train a few steps; the second half of them counts, and what comes after the last is a snapshot."""
    config = from_flat(job.options)
    on_gpu = choose_device(config.training.device).type != "cpu"

    def now() -> float:
        return time.monotonic() - begun if on_gpu else cpu_seconds()

    seen: dict[int, float] = {}
    result = train(config, job.data, job.folder, callback=lambda record: seen.setdefault(record.step, now()) and None)
    if result.stopped_by is not None:
        return SIGNAL_STATUS + result.stopped_by
    end = now()
    *_, before, last = sorted(seen)
    step = max(1e-9, (seen[last] - seen[before]) / (last - before))
    times = StepTimes(start=max(0.0, seen[1] - step), step=step, snapshot=max(0.0, end - seen[last]))
    atomic_write_text(Path(job.result), json.dumps(asdict(times)) + "\n")
    return 0


def _train(job: TrainingJob, begun: float) -> int:
    config, run = from_flat(job.options), RunFolder(Path(job.folder))
    device = choose_device(config.training.device)
    steps = CheckpointStore(run.checkpoints).steps() if run.checkpoints.is_dir() else []
    costs = CostLog(run.root / COST_NAME, resumed_step=steps[-1] if steps else 0, begun=begun)

    def take_note(record: Record) -> None:
        costs.add(record.step, memory_mb=peak_memory_mb(device))

    result = train(config, job.data, run.root, make_validator=make_validator, callback=take_note)
    ended = result.stopped_by is None
    costs.add(result.step, memory_mb=peak_memory_mb(device), finished=ended)
    return 0 if result.stopped_by is None else SIGNAL_STATUS + result.stopped_by


def _evaluate(job: EvaluationJob) -> None:
    measuring, options = job.measuring, evaluation_options(job.measuring)
    choose_threads(measuring.threads)
    translator = load(job.model, device=measuring.device)
    subject = model_subject(
        translator,
        Path(job.model),
        Path(measuring.data),
        options,
        split=measuring.split,
        direction=measuring.direction,
        layout=measuring.layout,
    )
    _report(subject, job, _wanted(STANDARD_METRICS, measuring))


def _evaluate_real(job: RealJob) -> None:
    measuring = job.measuring
    choose_threads(measuring.threads)
    splits = measured_splits(measuring)
    held_out, train_split = splits[measuring.split], splits["train"]
    subject = real_subject(train_split, held_out, job)
    known = _wanted(ON_SETS, measuring)
    device = choose_device(measuring.device)
    options = evaluation_options(measuring)
    try:
        plan(subject, options, known, lambda _: NetworkLoader(options, device=device, may_download=False))
    except ConfigError as error:
        log.info("there is no row of real images: %s", error)
        _done(job, measured=False)
        return
    _report(subject, job, known)


def real_subject(train_split: Split, held_out: Split, job: RealJob) -> Subject:
    """Real training outputs in the place of samples: as many as there are held-out inputs, where there are so many."""
    direction = job.measuring.direction
    images, reals = train_split.outputs(direction), held_out.outputs(direction)
    drawn = numpy_generator(job.seed, "bench/real").permutation(len(images))[: len(held_out.inputs(direction))]
    hashes = FileHashes()
    cases = file_cases([images[index] for index in sorted(drawn.tolist())], hashes, channels=job.channels)
    real_cases = file_cases(reals, hashes, channels=job.channels)
    return Subject(
        cases=cases,
        reals=real_cases,
        train=[],
        hashes=hashes,
        num_samples=1,
        no_ground_truth="real images belong to no input",
        model=None,
        demo_folder=None,
        description={"kind": "images", "path": "real training images"},
        data={
            "path": job.measuring.data,
            "split": held_out.name,
            "paired": False,
            "num_inputs": len(cases),
            "num_real": len(real_cases),
        },
    )


def _wanted(known: MetricSet, measuring: Measuring) -> MetricSet:
    """The metrics that were named; all if none were. A model's row has what it can have of them."""
    names = measuring.metrics
    return known if names is None else MetricSet([metric for metric in known if metric.name in names])


def _report(subject: Subject, job: EvaluationJob | RealJob, known: MetricSet) -> None:
    group = ProcessGroup(device=choose_device(job.measuring.device))
    with evaluation_progress() as progress:
        found = evaluate_directions(
            [subject],
            evaluation_options(job.measuring),
            process_group=group,
            known=known,
            cache=Path(job.measuring.cache),
            on_progress=progress.callback,
        )
    write_evaluation(found, Path(job.folder))
    _done(job, measured=True)


def _done(job: EvaluationJob | RealJob, *, measured: bool) -> None:
    text = json.dumps({"key": job.key, "measured": measured}) + "\n"
    atomic_write_text(Path(job.folder) / DONE_NAME, text)


def _sample(job: SamplingJob) -> None:
    """Time single samples of the first inputs, after one that does not count."""
    measuring = job.measuring
    choose_threads(measuring.threads)
    translator = load(job.model, device=measuring.device, max_batch=1)
    split = measured_splits(measuring)[measuring.split]
    inputs = [one.read(translator)[0] for one in split_jobs(split, [measuring.direction])[:TIMED_SAMPLES]]
    stochastic = translator.is_stochastic

    def sample(image: object, seed: int) -> tuple[float, float]:
        cpu, clock = time.process_time(), time.perf_counter()
        translator(image, 1 if stochastic else None, seed=seed, direction=measuring.direction, output="array")
        return time.process_time() - cpu, time.perf_counter() - clock

    sample(inputs[0], 0)
    times = [sample(inputs[index % len(inputs)], index) for index in range(TIMED_SAMPLES)]
    weights = translator.manifest.weights
    assert weights is not None
    cost = SampleCost(
        cpu_seconds=statistics.median(cpu for cpu, _ in times),
        seconds=statistics.median(clock for _, clock in times),
        memory_mb=peak_memory_mb(choose_device(measuring.device)),
        count=len(times),
        weights_sha256=weights.sha256,
    )
    atomic_write_text(Path(job.result), json.dumps(asdict(cost)) + "\n")


if __name__ == "__main__":
    sys.exit(main())
