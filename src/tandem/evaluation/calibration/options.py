"""What a calibration can be asked for."""

from dataclasses import dataclass

from tandem.checkpoint.calibration import MAX_SAMPLES
from tandem.config.options import Options, option, same
from tandem.data.fit import Fit
from tandem.evaluation.options import EvaluationOptions
from tandem.inference.spread import DEFAULT_LEVEL, DEFAULT_SAMPLES, DEFAULT_TOLERANCE


@dataclass(frozen=True, kw_only=True)
class CalibrationOptions(Options):
    """What is promised of intervals and of flagged pixels, and how the samples are drawn."""

    level: float = option(
        DEFAULT_LEVEL, "share of an image's values that their intervals hold, on average over images", above=0, below=1
    )
    tolerance: float = option(
        DEFAULT_TOLERANCE,
        "the mean of the samples is right where the truth is at most this far off (0 to 1: black to white)",
        above=0,
        below=1,
    )
    fdr: float = option(
        0.1,
        "share of an image's flagged pixels that may be right all the same, on average over images",
        above=0,
        below=1,
    )
    num_samples: int = option(
        DEFAULT_SAMPLES,
        "samples of each input, here and whenever the calibration is used",
        at_least=2,
        at_most=MAX_SAMPLES,
    )
    seed: int = option(0, "decides the samples: the same seed gives the same calibration")
    fit: Fit = same(EvaluationOptions, "fit")
