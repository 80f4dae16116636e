"""What a calibrated model promises, measured on other images: what its intervals hold, and how often a flag is wrong.

Both are had with the number of samples that the calibration was made with, whatever the other metrics take.
"""

from typing import Any, ClassVar

import numpy as np

from tandem.checkpoint.calibration import Calibration
from tandem.errors import DataError
from tandem.evaluation.cases import Loaded
from tandem.evaluation.estimates import mean_estimate
from tandem.evaluation.metric import Found, Metric, Needs, Number, Setup, UnmetNeedError
from tandem.evaluation.rows.measurement import EachCase
from tandem.inference.spread import SampleMoments, calibrated_spread, scores
from tandem.report.scores import MetricResult, Score

_COVERAGE = Number("calibrated-coverage", "neither")
_WIDTH = Number("calibrated-width", "lower")
_FDR = Number("flagged-fdr", "lower")
_FLAGGED = Number("flagged-share", "neither")
_MISSED = Number("unflagged-wrong", "lower")


def covered_share(low: np.ndarray, high: np.ndarray, ground_truth: np.ndarray) -> float:
    """What share of an image's values lies in their intervals.

    Args:
        low: Lower ends, ``(H, W, C)``, on the scale 0..1; see `tandem.inference.spread.Spread`.
        high: Upper ends, likewise.
        ground_truth: ``(H, W, C)``, uint8.

    Returns:
        From 0 to 1.

    Raises:
        DataError: The shapes differ.

    Examples:
        >>> import numpy as np
        >>> ground_truth = np.array([[[0], [51], [255]]], np.uint8)
        >>> covered_share(np.full((1, 3, 1), 0.1), np.full((1, 3, 1), 1.0), ground_truth)
        0.6666666666666666
    """
    if not low.shape == high.shape == ground_truth.shape:
        raise DataError(
            f"intervals of the shapes {low.shape} and {high.shape} do not go with a ground truth of "
            f"{ground_truth.shape}: give those of one image."
        )
    values = ground_truth / 255
    return float(((low <= values) & (values <= high)).mean())


class _CalibratedMetric(Metric):
    """A metric of calibrated models."""

    numbers: ClassVar = ()
    needs: ClassVar = Needs(ground_truth=True, brightness=True)

    @classmethod
    def check(cls, setup: Setup) -> None:
        """See `Metric`."""
        calibration = _calibration_of(setup)
        if calibration is None:
            raise UnmetNeedError("it needs a calibrated model: 'tandem calibrate MODEL DATA' makes one of this")
        model = setup.subject.model
        assert model is not None
        if (model.fit, model.direction) != (calibration.fit, calibration.direction):
            raise UnmetNeedError(
                f"the model was calibrated with {setup.options.flag('fit')} {calibration.fit} in the direction "
                f"{calibration.direction}, not with {model.fit} in the direction {model.direction}"
            )
        super().check(setup)

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        calibration = _calibration_of(setup)
        assert calibration is not None
        self._calibration = calibration

    def _result(self, scores_found: tuple[Score, ...], num_inputs: int) -> MetricResult:
        made = self._calibration
        subject = self.setup.subject
        warnings: tuple[str, ...] = ()
        if subject.hashes_of_content()["inputs_sha256"] == made.data_sha256:
            warnings = (
                "these are the images that the model was calibrated on: what its intervals and flags promise holds on "
                "them by construction.",
            )
        return MetricResult(
            metric=self.name,
            title=self.title,
            scores=scores_found,
            depends_on={"inputs": num_inputs, "seed": self.seed, **_facts(made)},
            warnings=warnings,
        )


class CalibratedCoverage(_CalibratedMetric):
    """How much of the ground truth the intervals of a calibrated model hold, and how wide they are."""

    name: ClassVar = "calibrated-coverage"
    title: ClassVar = "Calibrated intervals"

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self._rows = _CoverageRows(self._calibration)
        self.on_cases = (self._rows,)

    def summarise(self, found: Found) -> MetricResult:
        """See `Metric`."""
        covered, halves = found.cases[self._rows.spec].T
        note = f"of the values; calibrated for {100 * self._calibration.level:.6g} %"
        scores_found = (
            _COVERAGE.score(mean_estimate(covered, seed=self.seed), note),
            _WIDTH.score(mean_estimate(halves, seed=self.seed), "half an interval, on the scale 0..1"),
        )
        return self._result(scores_found, len(covered))

    def per_input(self, found: Found) -> np.ndarray:
        """See `Metric`: the share of the values that are held."""
        return found.cases[self._rows.spec][:, 0]


class FlaggedFdr(_CalibratedMetric):
    """How many pixels a calibrated model flags as guessed, and how many of them are right all the same."""

    name: ClassVar = "flagged-fdr"
    title: ClassVar = "Pixels that are flagged as guessed"

    @classmethod
    def check(cls, setup: Setup) -> None:
        """See `Metric`."""
        super().check(setup)
        calibration = _calibration_of(setup)
        assert calibration is not None
        if calibration.threshold is None:
            raise UnmetNeedError(
                "the calibration of the model flags no pixels: 'tandem calibrate' with a lower --tolerance, a higher "
                "--fdr or more pairs may do"
            )

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self._rows = _FlagRows(self._calibration)
        self.on_cases = (self._rows,)

    def summarise(self, found: Found) -> MetricResult:
        """See `Metric`."""
        made = self._calibration
        right, flagged, wrong = found.cases[self._rows.spec].T
        within = f"within {made.tolerance:.6g}"
        notes = (
            f"of an image's flagged pixels, right {within}; calibrated for {100 * made.fdr:.6g} %",
            "of the pixels",
            f"of an image's other pixels, not right {within}",
        )
        scores_found = tuple(
            each.score(mean_estimate(values, seed=self.seed), note)
            for each, values, note in zip((_FDR, _FLAGGED, _MISSED), (right, flagged, wrong), notes, strict=True)
        )
        return self._result(scores_found, len(right))

    def per_input(self, found: Found) -> np.ndarray:
        """See `Metric`: the share of the flagged pixels that are right."""
        return found.cases[self._rows.spec][:, 0]


class _CoverageRows(EachCase):
    """The share of the values that are held and the mean of half an interval, cut at black and white, ``(2,)``."""

    def __init__(self, calibration: Calibration) -> None:
        super().__init__("calibrated-coverage", num_samples=calibration.num_samples, depends_on=_facts(calibration))
        self._calibration = calibration

    def row(self, loaded: Loaded) -> np.ndarray:
        """See `EachCase`."""
        spread = calibrated_spread(_moments(loaded, self.num_samples), self._calibration)
        halves = (spread.high.astype(np.float64) - spread.low) / 2
        return np.array([covered_share(spread.low, spread.high, loaded.ground_truth), halves.mean()])


class _FlagRows(EachCase):
    """Shares, ``(3,)``: of the flagged pixels that are right, of all that are flagged, of the others that are wrong.

    Of no pixels each share is 0.
    """

    def __init__(self, calibration: Calibration) -> None:
        super().__init__("flagged-fdr", num_samples=calibration.num_samples, depends_on=_facts(calibration))
        self._calibration = calibration

    def row(self, loaded: Loaded) -> np.ndarray:
        """See `EachCase`."""
        moments = _moments(loaded, self.num_samples)
        flagged = calibrated_spread(moments, self._calibration).flagged
        errors = np.concatenate([error for _, error, _ in scores(moments, loaded.ground_truth)])
        right = errors <= 255 * self._calibration.tolerance
        return np.array(
            [
                (flagged & right).sum() / max(flagged.sum(), 1),
                flagged.mean(),
                (~flagged & ~right).sum() / max((~flagged).sum(), 1),
            ]
        )


def _moments(loaded: Loaded, num_samples: int) -> SampleMoments:
    moments = SampleMoments()
    moments.add(loaded.samples(num_samples))
    return moments


def _calibration_of(setup: Setup) -> Calibration | None:
    model = setup.subject.model
    return None if model is None else model.translator.manifest.calibration


def _facts(made: Calibration) -> dict[str, Any]:
    """What the numbers depend on of a calibration."""
    names = ("level", "scale", "num_samples", "tolerance", "fdr", "threshold", "num_images")
    return {"samples" if name == "num_samples" else name: getattr(made, name) for name in names}
