"""Evaluating each direction of a model: the metrics that a direction cannot have are left out of it alone."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import torch

from tandem.errors import ConfigError
from tandem.evaluation.options import EvaluationOptions
from tandem.evaluation.plan import plan
from tandem.evaluation.run import Evaluation, Progress, evaluate_together
from tandem.evaluation.situation import Situation
from tandem.evaluation.tools import Tools
from tandem.report.scores import LeftOut
from tandem.training.process_group import ProcessGroup


def evaluate_ways(
    situations: Sequence[Situation],
    options: EvaluationOptions,
    *,
    process_group: ProcessGroup,
    cache: Path | None = None,
    on_progress: Progress | None = None,
) -> list[tuple[Evaluation, Situation]]:
    """Compute metrics of each direction.

    A metric that was asked for by name must be possible in one direction; in the other one it is left out, with the
    reason. A direction without any metric is left out itself.

    Returns:
        Each direction's evaluation and situation; empty in processes other than the main one.

    Args:
        situations: One for each direction, or a single one.
        options: How.
        process_group: See `tandem.evaluation.run.evaluate_together`, also for what follows and for errors.
        cache: Likewise.
        on_progress: Likewise.
    """
    found = []
    for situation, (wanted, left_out) in zip(
        situations, _wanted(situations, options, process_group.device), strict=True
    ):
        if not wanted.metrics and options.metrics:
            continue
        evaluation = evaluate_together(
            situation, wanted, process_group=process_group, cache=cache, on_progress=on_progress
        )
        if evaluation is None:
            continue
        report = evaluation.report
        report = dataclasses.replace(report, left_out=(*report.left_out, *left_out))
        found.append((dataclasses.replace(evaluation, report=report), situation))
    return found


def _wanted(
    situations: Sequence[Situation], options: EvaluationOptions, device: torch.device
) -> list[tuple[EvaluationOptions, list[LeftOut]]]:
    """Of each direction the options with the metrics that it can have, and those that were asked for in vain."""
    if options.metrics is None or len(situations) == 1:
        return [(options, []) for _ in situations]
    tools = Tools(options, device=device, may_download=options.may_download)
    errors: list[dict[str, ConfigError]] = []
    for situation in situations:
        errors.append({})
        for metric in options.metrics:
            try:
                plan(situation, dataclasses.replace(options, metrics=(metric,)), lambda _: tools)
            except ConfigError as error:
                errors[-1][metric] = error
    for metric in options.metrics:
        if all(metric in one for one in errors):
            raise errors[0][metric]
    return [
        (
            dataclasses.replace(options, metrics=tuple(name for name in options.metrics if name not in one)),
            [
                LeftOut(metric=name, reason=str(error).removeprefix(f"--metrics {name}: ").rstrip("."))
                for name, error in one.items()
            ],
        )
        for one in errors
    ]
