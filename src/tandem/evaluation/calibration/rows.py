"""What is measured on one held-out pair: histograms of its scores, in which a scale and a threshold are looked up.

All scales and thresholds that may be chosen are fixed beforehand, so that choosing among them needs counts alone: an
image of any size becomes some thousand whole numbers.
"""

from dataclasses import dataclass

import numpy as np

from tandem.checkpoint.calibration import MAX_SCALE
from tandem.evaluation.cases import Loaded
from tandem.evaluation.rows.measurement import EachCase
from tandem.inference.spread import SampleMoments, are_enough, scores

_PER_OCTAVE = 128
SCALES = 2.0 ** (np.arange(-8 * _PER_OCTAVE, int(np.log2(MAX_SCALE)) * _PER_OCTAVE + 1) / _PER_OCTAVE)
"""The scales that an interval may have, 0.5 % apart, from 1/256 on; no score is above the last."""

SPREADS = (np.arange(400) + 0.3) / 2
"""The spreads above which pixels may be flagged, in levels, half a level apart.

None of them is the spread of samples that agree or of a few that differ by whole levels, which many pixels share.
"""


class CalibrationRows(EachCase):
    """The histograms of each pair, as one row of whole numbers; `Histograms` reads them.

    Args:
        num_samples: Of each input.
        tolerance: How far the truth may be from the mean, on the scale 0..1.
    """

    def __init__(self, *, num_samples: int, tolerance: float) -> None:
        super().__init__("calibration", num_samples=num_samples, depends_on={"tolerance": tolerance})
        self._tolerance = tolerance

    def row(self, loaded: Loaded) -> np.ndarray:
        """See `EachCase`; ``(J + 1 + 2 (K + 1),)``, int64."""
        moments = SampleMoments()
        moments.add(loaded.samples(self.num_samples))
        in_scale = np.zeros(len(SCALES) + 1, np.int64)
        in_spread, right = (np.zeros(len(SPREADS) + 1, np.int64) for _ in range(2))
        for score, error, spread in scores(moments, loaded.ground_truth):
            in_scale += _histogram(score, SCALES)
            in_spread += _histogram(spread, SPREADS)
            right += _histogram(spread[error <= 255 * self._tolerance], SPREADS)
        return np.concatenate([in_scale, in_spread, right])


def _histogram(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """How many values lie in each bin: up to the first edge, above it up to the second, …, above the last."""
    return np.bincount(np.searchsorted(edges, values.ravel(), side="left"), minlength=len(edges) + 1)


@dataclass(frozen=True)
class Histograms:
    """The rows of all pairs, as how much of each image lies above each edge.

    Attributes:
        missed: ``(N, J)``: values of each image outside intervals of each of `SCALES`.
        sizes: ``(N,)``: values of each image.
        flagged: ``(N, K)``: pixels with a spread above each of `SPREADS`; none where they are too few of an image.
        right: ``(N, K)``: those of them where the mean is right.
        pixels: ``(N,)``: pixels of each image.
    """

    missed: np.ndarray
    sizes: np.ndarray
    flagged: np.ndarray
    right: np.ndarray
    pixels: np.ndarray

    @staticmethod
    def of(rows: np.ndarray) -> "Histograms":
        """Read the rows of `CalibrationRows`, ``(N, …)``."""
        ends = np.cumsum([len(SCALES) + 1, len(SPREADS) + 1])
        in_scale, in_spread, right = np.split(rows, ends, axis=1)
        missed, flagged, still_right = (_above(counts) for counts in (in_scale, in_spread, right))
        pixels = in_spread.sum(axis=1)
        enough = are_enough(flagged, pixels[:, None])
        return Histograms(missed, in_scale.sum(axis=1), flagged * enough, still_right * enough, pixels)


def _above(counts: np.ndarray) -> np.ndarray:
    """Of histograms ``(N, J + 1)``, how much lies above each of the J edges."""
    return np.cumsum(counts[:, ::-1], axis=1)[:, ::-1][:, 1:]
