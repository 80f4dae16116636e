"""What a bundle says of how sure its model is: the entry ``calibration`` of ``model.json``, which may be missing.

``tandem calibrate`` measures it on held-out pairs. It holds for the weights that it names and no others.
"""

import re
from dataclasses import dataclass

from tandem.config.data import Direction
from tandem.data.fit import Fit

MAX_SAMPLES = 1000
MAX_SCALE = 256.0
"""No score is higher: the truth is at most 255 levels off, and the spread that it is divided by is at least 1 level."""

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """How far the truth is from a model's samples, measured on held-out pairs.

    Half an interval is `scale` times the spread of a pixel's samples (`tandem.inference.spread`), on the scale 0..1.

    Attributes:
        level: What share of an image's values their intervals hold, on average over images.
        scale: What the spread is multiplied by.
        num_samples: Samples of each input.
        seed: What the samples were drawn by.
        fit: How inputs came to the size that the network takes.
        direction: Of the translation.
        tolerance: How far the truth may be from the mean of the samples, as a mean over the channels, on the scale
            0..1, for the mean to count as right.
        fdr: What share of the pixels of an image that are flagged may be right all the same, on average over images.
        threshold: Pixels are flagged where half of their interval is wider, on the scale 0..1; None where no pixel may
            be flagged at that rate.
        num_images: Pairs that it was measured on.
        data_sha256: Of the content of their files.
        date: Of the calibration, as ``YYYY-MM-DD``.
        weights_sha256: Of the file of weights that it holds for.
    """

    level: float
    scale: float
    num_samples: int
    seed: int
    fit: Fit
    direction: Direction
    tolerance: float
    fdr: float
    threshold: float | None
    num_images: int
    data_sha256: str
    date: str
    weights_sha256: str

    def __post_init__(self) -> None:
        # A manifest may come from a stranger: as many samples are drawn as it says, and intervals are as wide.
        for name in ("level", "tolerance", "fdr"):
            if not 0 < getattr(self, name) < 1:
                raise ValueError(f"{name} must be above 0 and below 1, not {getattr(self, name)}")
        if not 0 < self.scale <= MAX_SCALE:
            raise ValueError(f"scale must be above 0 and at most {MAX_SCALE:g}, not {self.scale}")
        if not 2 <= self.num_samples <= MAX_SAMPLES:
            raise ValueError(f"num_samples must be from 2 to {MAX_SAMPLES}, not {self.num_samples}")
        if self.threshold is not None and not 0 <= self.threshold <= MAX_SCALE:
            raise ValueError(f"threshold must be from 0 to {MAX_SCALE:g}, not {self.threshold}")
        if self.num_images < 1:
            raise ValueError(f"num_images must be at least 1, not {self.num_images}")
        if not _DATE.fullmatch(self.date):
            raise ValueError(f"date must be YYYY-MM-DD, not {self.date!r:.40}")
        for name in ("data_sha256", "weights_sha256"):
            if not _SHA256.fullmatch(getattr(self, name)):
                raise ValueError(f"{name} must be 64 hexadecimal digits, not {getattr(self, name)!r:.80}")
