"""Which inputs are worth looking at: the best, the worst, the most and the least diverse."""

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from tandem.evaluation.metric import Metric

NUM_SHOWN = 4


def rank_inputs(planned: Sequence[Metric], per_input: Mapping[str, np.ndarray]) -> dict[str, tuple[int, ...]]:
    """Choose inputs by the most telling metrics that there are.

    Args:
        planned: The metrics.
        per_input: By the name of a metric, ``(N,)``; NaN where an input has no number.

    Returns:
        By title, indices of inputs, the first one first. Empty if nothing was measured input by input.
    """
    ranking: dict[str, tuple[int, ...]] = {}
    if quality := _most_telling(planned, "quality"):
        sign = 1 if quality.numbers[0].better == "lower" else -1
        ranking[f"Best inputs, by {quality.name}"] = _lowest(sign * per_input[quality.name])
        ranking[f"Worst inputs, by {quality.name}"] = _lowest(-sign * per_input[quality.name])
    if diversity := _most_telling(planned, "diversity"):
        ranking[f"Most diverse inputs, by {diversity.name}"] = _lowest(-per_input[diversity.name])
        ranking[f"Least diverse inputs, by {diversity.name}"] = _lowest(per_input[diversity.name])
    return ranking


def _most_telling(planned: Sequence[Metric], shows: Literal["quality", "diversity"]) -> Metric | None:
    ranked = [
        (metric.ranking.priority, metric) for metric in planned if metric.ranking and metric.ranking.shows == shows
    ]
    return max(ranked, key=lambda one: one[0])[1] if ranked else None


def _lowest(values: np.ndarray) -> tuple[int, ...]:
    order = np.argsort(values, kind="stable")  # NaN comes last
    return tuple(int(index) for index in order[:NUM_SHOWN] if not np.isnan(values[index]))
