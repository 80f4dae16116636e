"""Mode coverage: how much of the known distribution a model's samples show, as exact counts."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tandem.data.synthetic.modes import mode_weights
from tandem.errors import ConfigError
from tandem.rng import numpy_generator

_MONTE_CARLO_DRAWS = 4000


@dataclass(frozen=True)
class Coverage:
    """What M samples for each of N inputs show of K modes.

    Args:
        covered: Number of different modes among the samples of one input, averaged over the inputs.
        expected: The same for an ideal sampler: the sum over modes of 1 - (1 - p)^M.
        num_modes: K.
        num_samples: M.
        frequencies: K shares of all N*M samples.
        unassigned: The share of samples that show no mode; adds up to 1 with `frequencies`.
        frequency_distance: Total variation between the pooled frequencies and the true probabilities, in
            [0, 1]; "no mode" counts as a class of true probability 0.
        expected_frequency_distance: The same, averaged over ideal samplers of N*M draws (Monte Carlo).
    """

    covered: float
    expected: float
    num_modes: int
    num_samples: int
    frequencies: tuple[float, ...]
    unassigned: float
    frequency_distance: float
    expected_frequency_distance: float

    def describe(self) -> str:
        """One line for people."""
        line = (
            f"{self.covered:.1f} of {self.num_modes} modes among {self.num_samples} samples "
            f"(an ideal sampler: {self.expected:.1f}), frequencies off by {self.frequency_distance:.2f} "
            f"(an ideal sampler: {self.expected_frequency_distance:.2f})"
        )
        return f"{line}, {self.unassigned:.0%} of the samples show no mode" if self.unassigned else line


def expected_coverage(weights: np.ndarray, num_samples: int) -> float:
    """The number of different modes that `num_samples` independent draws show on average."""
    return float(np.sum(1 - (1 - weights) ** num_samples))


def coverage(predicted_modes: np.ndarray, *, weights: Sequence[float] | None = None) -> Coverage:
    """Measure the coverage of a model's samples.

    Args:
        predicted_modes: ``(N inputs, M samples)``, integers: what `classify_mode` says of each, -1 for none.
        weights: The true probabilities of the modes; None for those of `MODES`.

    Raises:
        ConfigError: If `predicted_modes` is not a matrix of integers from -1 to K - 1, or is empty, or the
            weights are not probabilities.
    """
    probabilities = mode_weights() if weights is None else np.asarray(weights, dtype=np.float64)
    predicted = np.asarray(predicted_modes)
    _check(predicted, probabilities)
    num_modes, num_samples = len(probabilities), predicted.shape[1]
    hits = (predicted[:, :, None] == np.arange(num_modes)).any(axis=1)  # (N, K)
    counts = np.bincount(predicted.ravel() + 1, minlength=num_modes + 1)
    shares = counts / counts.sum()
    return Coverage(
        covered=float(hits.sum(axis=1).mean()),
        expected=expected_coverage(probabilities, num_samples),
        num_modes=num_modes,
        num_samples=num_samples,
        frequencies=tuple(float(share) for share in shares[1:]),
        unassigned=float(shares[0]),
        frequency_distance=float(np.abs(shares - np.concatenate([[0.0], probabilities])).sum() / 2),
        expected_frequency_distance=_ideal_distance(probabilities, predicted.size),
    )


def _ideal_distance(probabilities: np.ndarray, draws: int) -> float:
    rng = numpy_generator(0, "synthetic/coverage", position=draws)
    shares = rng.multinomial(draws, probabilities / probabilities.sum(), size=_MONTE_CARLO_DRAWS) / draws
    return float(np.abs(shares - probabilities).sum(axis=1).mean() / 2)


def _check(predicted: np.ndarray, probabilities: np.ndarray) -> None:
    if (
        probabilities.ndim != 1
        or len(probabilities) == 0
        or not (probabilities >= 0).all()
        or abs(probabilities.sum() - 1) > 1e-6
    ):
        raise ConfigError(f"weights are {probabilities.tolist()}; expected probabilities that sum to 1.")
    if predicted.ndim != 2 or predicted.size == 0 or not np.issubdtype(predicted.dtype, np.integer):
        raise ConfigError(
            f"predicted_modes is {predicted.dtype} {predicted.shape}; expected integers (N inputs, "
            "M samples), at least one of each."
        )
    low, high = int(predicted.min()), int(predicted.max())
    if low < -1 or high >= len(probabilities):
        raise ConfigError(f"predicted_modes holds {low} to {high}; expected -1 (no mode) to {len(probabilities) - 1}.")
