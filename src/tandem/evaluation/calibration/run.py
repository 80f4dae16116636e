"""A calibration from the held-out pairs to what the bundle says: what may be used, measuring, choosing."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np

from tandem.checkpoint.calibration import Calibration
from tandem.config.data import LayoutChoice
from tandem.data.splits import Split
from tandem.errors import ConfigError, DataError
from tandem.evaluation.calibration.conformal import exact, images_needed, least_scale, least_threshold
from tandem.evaluation.calibration.options import CalibrationOptions
from tandem.evaluation.calibration.rows import SCALES, SPREADS, CalibrationRows, Histograms
from tandem.evaluation.options import EvaluationOptions
from tandem.evaluation.rows.gather import gather
from tandem.evaluation.subject import Subject, model_subject
from tandem.inference.jobs import Trained, choose_split
from tandem.inference.translator import Translator
from tandem.report.text import count, number
from tandem.rng import derive_seed

CALIBRATED_ORDER = ("val", "test", "train")
"""Which split of a dataset is taken unless one is named, so that `test` stays for the evaluation if it can.

A dataset without split folders is all `train`; whether the model has seen it is asked of its fingerprint.
"""
_BATCH = 4

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Calibrated:
    """A calibration, and what it is on the pairs that it was measured on.

    Attributes:
        calibration: What the bundle gets to say.
        coverage: Mean over the images of the share of values that their intervals hold.
        flagged: Mean over the images of the share of pixels that are flagged.
        right: Mean over the images of the share of flagged pixels that are right all the same.
        no_flags: Why no pixel may be flagged; empty where some may.
    """

    calibration: Calibration
    coverage: float
    flagged: float
    right: float
    no_flags: str

    def lines(self) -> list[str]:
        """What was found, in sentences."""
        made = self.calibration
        lines = [
            f"intervals: {number(made.scale)} times the spread of {made.num_samples} samples to each side of their "
            f"mean. They hold {100 * self.coverage:.1f} % of the values of {count(made.num_images)} images, for a "
            f"level of {100 * made.level:.6g} %"
        ]
        if made.threshold is None:
            return [*lines, f"flags: none, so that no pixel will be called guessed: {self.no_flags}"]
        return [
            *lines,
            f"flags: {100 * self.flagged:.1f} % of the pixels, where half an interval is wider than "
            f"{number(made.threshold)} (of 0 to 1). The mean is right within {number(made.tolerance)} in "
            f"{100 * self.right:.1f} % of an image's flagged pixels, for a limit of {100 * made.fdr:.6g} %",
        ]


def calibration_subject(
    translator: Translator,
    model: Path,
    data: Path,
    options: CalibrationOptions,
    *,
    split: str | None = None,
    layout: LayoutChoice = "auto",
) -> Subject:
    """The held-out pairs that a model is calibrated on.

    Args:
        translator: The model.
        model: Where it was loaded from.
        data: The dataset.
        options: How it is calibrated.
        split: By default val, else test, else a dataset without split folders.
        layout: How A and B lie in folders; see `tandem.data.discover`.

    Raises:
        ConfigError: The model gives one output for an input.
        DataError: There is no such split, it has no pairs, too few, or the model was trained on them.
    """
    if not translator.is_stochastic:
        raise ConfigError(
            f"this model ({translator.manifest.method}) gives one output for an input, so there is no spread to "
            "calibrate: take a model with a latent or with dropout (BicycleGAN, pix2pix)."
        )
    if translator.levels()[1].classes is not None:
        raise ConfigError("intervals are about brightness, and the outputs of this model are label maps.")
    trained = Trained.of(model, translator.manifest.training)
    folder = choose_split(data, split, layout=layout, order=CALIBRATED_ORDER, trained=trained)
    _refuse_training_split(translator, folder, data)
    measured = EvaluationOptions(
        num_samples=options.num_samples,
        # Latents of their own, so that those of an evaluation with the same seed are independent; options end at 53
        # bits.
        seed=derive_seed(options.seed, "calibrate") >> 10,
        fit=options.fit,
    )
    subject = model_subject(translator, model, data, measured, split=folder.name, layout=layout)
    if subject.no_ground_truth:
        raise DataError(f"{data} cannot calibrate a model: {subject.no_ground_truth}. Give pairs.")
    needed, found = images_needed(1 - exact(options.level)), len(subject.cases)
    if found < needed:
        raise DataError(
            f"{data} has {count(found)} pairs to calibrate on, and intervals of {100 * options.level:.6g} % need at "
            f"least {count(needed)}: with fewer they would be infinite. Give more held-out pairs, or a lower --level "
            f"(at most {found / (found + 1):.3g} with these)."
        )
    _refuse_training_images(subject, data)
    return subject


def calibrate(
    translator: Translator,
    subject: Subject,
    options: CalibrationOptions,
    *,
    cache: Path | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Calibrated:
    """Measure held-out pairs, and choose the scale of the intervals and the threshold of the flags.

    Args:
        translator: The model.
        subject: See `calibration_subject`.
        options: How.
        cache: The folder of what was measured before; an interrupted calibration goes on from there.
        on_progress: Called with the pairs done and those in all.

    Raises:
        DataError: An image cannot be read.
    """
    rows = CalibrationRows(num_samples=options.num_samples, tolerance=options.tolerance)
    found = gather(subject.cases, [rows], cache=cache, batch_size=_BATCH, on_progress=on_progress)
    histograms = Histograms.of(found[rows.spec])
    at = least_scale(histograms.missed, histograms.sizes, options.level)
    assert at is not None, "there are enough images, and no score is above the last scale"
    flag = least_threshold(histograms.flagged, histograms.right, options.fdr)
    scale = float(SCALES[at])
    manifest = translator.manifest
    assert manifest.weights is not None
    calibration = Calibration(
        level=options.level,
        scale=scale,
        num_samples=options.num_samples,
        seed=options.seed,
        fit=options.fit,
        direction=translator.directions[0],
        tolerance=options.tolerance,
        fdr=options.fdr,
        threshold=None if flag is None else scale * float(SPREADS[flag]) / 255,
        num_images=len(subject.cases),
        data_sha256=subject.hashes_of_content()["inputs_sha256"],
        date=date.today().isoformat(),
        weights_sha256=manifest.weights.sha256,
    )
    flagged, right = (
        np.zeros(len(subject.cases)) if flag is None else counts[:, flag]
        for counts in (histograms.flagged, histograms.right)
    )
    return Calibrated(
        calibration,
        coverage=1 - float((histograms.missed[:, at] / histograms.sizes).mean()),
        flagged=float((flagged / histograms.pixels).mean()),
        right=float((right / np.maximum(flagged, 1)).mean()),
        no_flags=_no_flags(len(subject.cases), options) if flag is None else "",
    )


def _no_flags(num_images: int, options: CalibrationOptions) -> str:
    needed = images_needed(exact(options.fdr))
    if num_images < needed:
        return (
            f"a limit of {100 * options.fdr:.6g} % needs at least {needed} images, not {num_images}. Give more "
            "held-out pairs, or a higher --fdr"
        )
    return (
        f"where the samples differ most, the mean is still right within {number(options.tolerance)} too often for a "
        f"limit of {100 * options.fdr:.6g} %. Give a lower --tolerance, or a higher --fdr"
    )


def _refuse_training_split(translator: Translator, folder: Split, data: Path) -> None:
    trained_on = translator.manifest.training.get("data_fingerprint")
    named = folder.name == "train" and not folder.is_flat
    if named or (trained_on is not None and folder.fingerprint() == trained_on):
        what = "its split train" if named else "what this model was trained on, by names and sizes of the files"
        raise DataError(
            f"{data}: the pairs to calibrate on would be {what}. On images that a model has seen its errors are "
            "smaller than on new ones, and intervals too narrow: give pairs that it was not trained on (a split val "
            "or test)."
        )


def _refuse_training_images(subject: Subject, data: Path) -> None:
    train = {case.key(1) for case in subject.train}
    same = sum(case.key(1) in train for case in subject.reals) if train else 0
    if same:
        raise DataError(
            f"{data}: {count(same)} of {count(len(subject.reals))} images to calibrate on are files of the training "
            "split too, on which the errors are smaller than on new images: take them out of one of the two."
        )
