"""Which inputs are worth looking at: the best, the worst, the most and the least diverse."""

from collections.abc import Mapping

import numpy as np

NUM_SHOWN = 4
_QUALITY = (("best-of-n", 1), ("lpips", 1), ("ssim", -1), ("l1", 1))
_DIVERSITY = ("lpips-diversity", "l1-diversity")


def rank_inputs(per_input: Mapping[str, np.ndarray]) -> dict[str, tuple[int, ...]]:
    """Choose inputs by the most telling numbers that there are.

    Args:
        per_input: By metric, ``(N,)``; NaN where an input has no number.

    Returns:
        By title, indices of inputs, the first one first. Empty if nothing was measured input by input.
    """
    ranking: dict[str, tuple[int, ...]] = {}
    quality = next(((name, sign) for name, sign in _QUALITY if name in per_input), None)
    if quality is not None:
        name, sign = quality
        ranking[f"Best inputs, by {name}"] = _lowest(sign * per_input[name])
        ranking[f"Worst inputs, by {name}"] = _lowest(-sign * per_input[name])
    diversity = next((name for name in _DIVERSITY if name in per_input), None)
    if diversity is not None:
        ranking[f"Most diverse inputs, by {diversity}"] = _lowest(-per_input[diversity])
        ranking[f"Least diverse inputs, by {diversity}"] = _lowest(per_input[diversity])
    return ranking


def _lowest(values: np.ndarray) -> tuple[int, ...]:
    order = np.argsort(values, kind="stable")  # NaN comes last
    return tuple(int(index) for index in order[:NUM_SHOWN] if not np.isnan(values[index]))
