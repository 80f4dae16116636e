"""Evaluating each direction of a model: the metrics that a direction cannot have are left out of it alone."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import torch

from tandem.errors import MetricError
from tandem.evaluation.metric import MetricSet, Setup
from tandem.evaluation.metrics import STANDARD_METRICS
from tandem.evaluation.networks.loader import NetworkLoader
from tandem.evaluation.options import EvaluationOptions
from tandem.evaluation.plan import planned_by_name
from tandem.evaluation.run import Evaluation, Progress, evaluate_together
from tandem.evaluation.subject import Subject
from tandem.report.scores import LeftOutMetric
from tandem.training.process_group import ProcessGroup


def evaluate_directions(
    subjects: Sequence[Subject],
    options: EvaluationOptions,
    *,
    process_group: ProcessGroup,
    known: MetricSet = STANDARD_METRICS,
    cache: Path | None = None,
    on_progress: Progress | None = None,
) -> list[tuple[Evaluation, Subject]]:
    """Compute metrics of each direction.

    A metric that was asked for by name must be possible in one direction; in the other one it is left out, with the
    reason. A direction without any metric is left out itself.

    Args:
        subjects: One for each direction, or a single one.
        options: How.
        process_group: See `tandem.evaluation.run.evaluate_together`, also for what follows and for errors.
        known: Likewise.
        cache: Likewise.
        on_progress: Likewise.

    Returns:
        Each direction's evaluation and subject; empty in processes other than the main one.
    """
    found = []
    wanted = _wanted(subjects, options, known, process_group.device)
    for subject, (kept, left_out) in zip(subjects, wanted, strict=True):
        if not kept.metrics and options.metrics:
            continue
        evaluation = evaluate_together(
            subject, kept, process_group=process_group, known=known, cache=cache, on_progress=on_progress
        )
        if evaluation is None:
            continue
        report = evaluation.report
        report = dataclasses.replace(report, left_out=(*report.left_out, *left_out))
        found.append((dataclasses.replace(evaluation, report=report), subject))
    return found


def _wanted(
    subjects: Sequence[Subject], options: EvaluationOptions, known: MetricSet, device: torch.device
) -> list[tuple[EvaluationOptions, list[LeftOutMetric]]]:
    """Of each direction the options with the metrics that it can have, and those that were asked for in vain."""
    if options.metrics is None or len(subjects) == 1:
        return [(options, []) for _ in subjects]
    networks = NetworkLoader(options, device=device, may_download=options.may_download)
    errors: list[dict[str, MetricError]] = []
    for subject in subjects:
        errors.append({})
        for name in options.metrics:
            try:
                planned_by_name(name, Setup(subject, options, lambda: networks), known)
            except MetricError as error:
                errors[-1][name] = error
    for name in options.metrics:
        if all(name in one for one in errors):
            raise errors[0][name]
    return [
        (
            dataclasses.replace(options, metrics=tuple(name for name in options.metrics if name not in one)),
            [LeftOutMetric(metric=name, reason=error.reason) for name, error in one.items()],
        )
        for one in errors
    ]
