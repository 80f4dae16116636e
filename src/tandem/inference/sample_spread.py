"""What a sampling writes of how sure the model is of an input: pictures, a file of numbers, and words."""

from dataclasses import dataclass

import numpy as np

from tandem.inference.runtime import OnTile
from tandem.inference.sampling import SamplingOptions
from tandem.inference.spread import Spread, SpreadBuilder
from tandem.inference.translator import Translator
from tandem.report.spread_pictures import WHITE_AT, guessed_picture, mean_picture, width_picture
from tandem.report.text import number


@dataclass(frozen=True)
class SpreadCells:
    """The spread of one input, to be shown.

    Attributes:
        spread: The numbers.
        cells: By the end of the name of its file, a picture ``(H, W, C)``, uint8.
        captions: Of each.
        legend: What the pictures show, and what the intervals promise.
    """

    spread: Spread
    cells: dict[str, np.ndarray]
    captions: dict[str, str]
    legend: str


def sample_spread(
    translator: Translator,
    image: np.ndarray,
    samples: np.ndarray,
    options: SamplingOptions,
    *,
    on_tile: OnTile | None = None,
) -> SpreadCells:
    """The spread of an input, of the samples that there are if they are enough.

    Args:
        translator: The model.
        image: The input, ``(H, W, C)`` uint8.
        samples: What was drawn of it already with the seed of `options`, ``(M, H, W, C)`` uint8.
        options: How it is sampled.
        on_tile: Called with the tiles done and those in all while an image is translated in tiles.
    """
    given = len(samples) if translator.manifest.calibration is None and len(samples) > 1 else None
    plan = translator.plan_spread(num_samples=given, fit=options.fit)
    if plan.num_samples <= len(samples):
        builder = SpreadBuilder(plan)
        builder.add(samples[: plan.num_samples])
        spread = builder.finish()
    else:
        spread = translator.spread(image, num_samples=given, seed=options.seed, fit=options.fit, on_tile=on_tile)
    cells = {
        "mean": mean_picture(spread.mean),
        "width": width_picture(spread.guessed),
        "guessed": guessed_picture(spread.mean, spread.flagged),
    }
    share = 100 * float(spread.flagged.mean())
    captions = {
        "mean": f"mean of {spread.num_samples} samples",
        "width": f"half of the {100 * spread.level:.6g} % intervals",
        "guessed": f"guessed: {share:.3g} % of the pixels",
    }
    return SpreadCells(spread, cells, captions, _legend(translator, spread))


def _legend(translator: Translator, spread: Spread) -> str:
    """What the pictures show and what is promised, in sentences."""
    level = f"{100 * spread.level:.6g} %"
    scale = (
        f"In the picture of the intervals black is 0, and white is {WHITE_AT:g} of the way from black to white, or "
        "more. Orange pixels are flagged as guessed"
    )
    made = translator.manifest.calibration
    if made is None or not spread.calibrated:
        return (
            f"The intervals hold {level} of the samples. The model is not calibrated, so they promise nothing of the "
            f"truth: 'tandem calibrate' makes intervals that do. {scale}: half of their interval is wider than "
            f"{number(spread.threshold or 0)}."
        )
    intervals = (
        f"The intervals are calibrated on {made.num_images} pairs: in new images of the same kind they hold {level} "
        "of the values, on average over images."
    )
    if made.threshold is None:
        return f"{intervals} {scale}; the calibration flags none."
    return (
        f"{intervals} {scale}: on average over images the mean is right, to within {number(made.tolerance)}, in at "
        f"most {100 * made.fdr:.6g} % of those of an image."
    )
