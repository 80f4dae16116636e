"""Evaluating: measure what the planned metrics need, summarise, and say where the numbers mislead."""

import dataclasses
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tandem.evaluation.cases import Case
from tandem.evaluation.cautions import Thumbnails, cautions, near_duplicate_cautions
from tandem.evaluation.metric import Found, Metric, MetricSet, Rows
from tandem.evaluation.metrics import STANDARD_METRICS
from tandem.evaluation.networks.loader import NetworkLoader
from tandem.evaluation.options import EvaluationOptions
from tandem.evaluation.plan import distinct, plan
from tandem.evaluation.ranking import rank_inputs
from tandem.evaluation.real_pairs import real_pairs
from tandem.evaluation.rows.gather import gather
from tandem.evaluation.rows.measurement import Measurement
from tandem.evaluation.rows.read_ahead import suitable_workers
from tandem.evaluation.subject import Subject
from tandem.report.scores import EvaluationReport, LeftOutMetric
from tandem.training.process_group import ProcessGroup
from tandem.version import __version__

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how many images are done, and how many there are."""


@dataclass(frozen=True)
class Evaluation:
    """The outcome.

    Attributes:
        report: The numbers.
        ranking: For each way of ordering the inputs, which come first.
    """

    report: EvaluationReport
    ranking: Mapping[str, tuple[int, ...]]


def evaluate(
    subject: Subject,
    options: EvaluationOptions,
    *,
    device: torch.device,
    known: MetricSet = STANDARD_METRICS,
    cache: Path | None = None,
    on_progress: Progress | None = None,
) -> Evaluation:
    """`evaluate_together` in this process alone, with the networks on `device`."""
    group = ProcessGroup(device=device)
    found = evaluate_together(subject, options, process_group=group, known=known, cache=cache, on_progress=on_progress)
    assert found is not None
    return found


def evaluate_together(
    subject: Subject,
    options: EvaluationOptions,
    *,
    process_group: ProcessGroup,
    known: MetricSet = STANDARD_METRICS,
    cache: Path | None = None,
    on_progress: Progress | None = None,
) -> Evaluation | None:
    """Compute metrics; several processes share the measuring, and give what one alone gives.

    Args:
        subject: What is measured.
        options: How.
        process_group: Where the networks of the metrics run, and the processes that share the work; all must call this.
        known: The metrics that there are; ``STANDARD_METRICS.plus(MyMetric)`` adds one.
        cache: The folder of rows that are known already; an interrupted evaluation goes on from there.
        on_progress: See `Progress`.

    Returns:
        The outcome; None in all but the main process.

    Raises:
        ConfigError: A metric that was asked for cannot be computed, or the processes were asked for different things.
        WeightsError: Weights of a metric that was asked for are missing.
        DataError: An image cannot be read.
        PeerError: Another process is gone.
    """
    process_group.require_same("what is evaluated", _identity(subject, options, known))

    def make_networks(may_download: bool) -> NetworkLoader:
        return NetworkLoader(options, device=process_group.device, may_download=may_download)

    # One process downloads.
    planned, left_out = process_group.main_first(lambda: plan(subject, options, known, make_networks))
    rows = _measure(subject, options, planned, process_group=process_group, cache=cache, on_progress=on_progress)

    def sum_up() -> Evaluation:
        results = []
        for index, metric in enumerate(planned):
            results.append(metric.summarise(rows.found))
            if on_progress is not None:
                on_progress("metrics", index + 1, len(planned))
        per_input = {
            metric.name: values
            for metric in planned
            if (values := _per_input(metric, rows.found, len(subject.cases))) is not None
        }
        report = _report(subject, options, process_group.device, per_input, left_out)
        warnings = (*cautions(subject), *rows.warnings)
        report = dataclasses.replace(report, results=tuple(results), warnings=warnings)
        return Evaluation(report, rank_inputs(planned, per_input))

    return process_group.on_main(sum_up)


@dataclass(frozen=True)
class _Measured:
    """The rows that metrics are made from, and what can be said of the images by other rows."""

    found: Found
    warnings: Sequence[str]


def _measure(
    subject: Subject,
    options: EvaluationOptions,
    planned: Sequence[Metric],
    *,
    process_group: ProcessGroup,
    cache: Path | None,
    on_progress: Progress | None,
) -> _Measured:
    num_workers = suitable_workers(process_group.device) if options.num_workers is None else options.num_workers

    def progress_of(what: str) -> Callable[[int, int], None]:
        return lambda done, total: None if on_progress is None else on_progress(what, done, total)

    def measured(
        what: str,
        cases: Sequence[Case],
        measurements: Sequence[Measurement],
        only: Mapping[str, frozenset[int]] | None = None,
    ) -> Rows:
        return gather(
            cases,
            measurements,
            cache=cache,
            batch_size=options.batch_size,
            only=only,
            num_workers=num_workers,
            process_group=process_group,
            on_progress=progress_of(what),
        )

    thumbnails = [Thumbnails()] if subject.train else []
    on_reals = distinct(one for metric in planned for one in metric.on_reals)
    reals = measured("real images", subject.reals, [*on_reals, *thumbnails])
    on_train = distinct(one for metric in planned for one in metric.on_train)
    only_train = {one.spec: metric.only_train for metric in planned if metric.only_train for one in metric.on_train}
    seen = measured("training images", subject.train, [*thumbnails, *on_train], only_train)
    on_cases = distinct(one for metric in planned for one in metric.on_cases)
    cases = measured("generated images", subject.cases, on_cases, only_of(planned))
    on_pairs = distinct(one for metric in planned for one in metric.on_pairs)
    pairs = real_pairs(subject, seed=options.seed) if on_pairs else []
    found = Found(cases, reals, measured("real pairs", pairs, on_pairs), seen)
    warnings = [text for one in thumbnails for text in near_duplicate_cautions(reals[one.spec], seen[one.spec])]
    return _Measured(found, warnings)


def only_of(planned: Sequence[Metric]) -> dict[str, frozenset[int]]:
    """For measurements (by spec) of metrics that need not all cases, which ones."""
    return {one.spec: metric.only for metric in planned if metric.only is not None for one in metric.on_cases}


def _per_input(metric: Metric, found: Found, num_cases: int) -> np.ndarray | None:
    """One number of each case, NaN where it was not measured or is not finite."""
    measured = metric.per_input(found)
    if measured is None:
        return None
    values = np.full(num_cases, np.nan)
    values[range(num_cases) if metric.only is None else sorted(metric.only)] = measured
    values[~np.isfinite(values)] = np.nan
    return values


def _report(
    subject: Subject,
    options: EvaluationOptions,
    device: torch.device,
    per_input: Mapping[str, np.ndarray],
    left_out: Sequence[LeftOutMetric],
) -> EvaluationReport:
    """The report but for its results: what was measured and how."""
    return EvaluationReport(
        versions={
            "tandem": __version__,
            "torch": torch.__version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
        },
        subject=subject.description,
        data=subject.data | subject.hashes_of_content() | {"names": [case.name for case in subject.cases]},
        settings=_settings(options, subject, device),
        results=(),
        left_out=tuple(left_out),
        per_input={name: [None if np.isnan(v) else float(v) for v in values] for name, values in per_input.items()},
    )


def _identity(subject: Subject, options: EvaluationOptions, known: MetricSet) -> dict[str, Any]:
    """What the processes must agree on, as JSON; the content of the files is left to the cache's keys."""
    return {
        "version": __version__,
        "options": {name: str(value) for name, value in dataclasses.asdict(options).items()},
        "metrics": list(known.names),
        "weights": subject.description.get("weights_sha256"),
        "inputs": len(subject.cases),
        "real images": len(subject.reals),
        "training images": len(subject.train),
    }


def _settings(options: EvaluationOptions, subject: Subject, device: torch.device) -> dict[str, Any]:
    """Options that numbers depend on; networks and their hashes are said by each metric."""
    kept = ("seed", "fit", "batch_size", "resizer", "palette", "palette_distance")
    values = {name: value for name, value in dataclasses.asdict(options).items() if name in kept}
    if subject.model is not None:
        values["fit"] = subject.model.rule.key(options.fit)
    return values | {"num_samples": subject.num_samples, "device": device.type}
