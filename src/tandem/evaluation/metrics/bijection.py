"""How well encoder and generator invert each other: z → image → z, and image → z → image.

Paper: *Toward Multimodal Image-to-Image Translation* (1711.11586), which trains for both directions. The first asks
whether the image shows the latents: with mu = 0 for every image the mean absolute error of z ~ N(0, I) is 0.798
(`NORMAL_GUESS_ERROR`) and R² is 0. The second asks whether the latents hold the style of a real image.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from torch import Tensor

from tandem.errors import DataError
from tandem.evaluation.cases import Loaded, ModelCase
from tandem.evaluation.estimates import Estimate, mean_estimate
from tandem.evaluation.kinds.perceptual import distances_to
from tandem.evaluation.metric import Found, Metric, Number, Setup, UnmetNeedError
from tandem.evaluation.metrics.l1 import l1
from tandem.evaluation.networks.lpips import LPIPS
from tandem.evaluation.rows.measurement import EachCase, to_batch
from tandem.report.scores import MetricResult


@dataclass(frozen=True)
class LatentRoundTrip:
    """z → image → z.

    Attributes:
        error: Mean |mu - z|, with the inputs as units.
        r_squared: For each latent dimension, the share of its variance that comes back: 1 at best; 0 and below is none.
        errors: ``(N, M)``, mean over the dimensions.
    """

    error: Estimate
    r_squared: np.ndarray
    errors: np.ndarray


@dataclass(frozen=True)
class ImageRoundTrip:
    """image → z → image.

    Attributes:
        l1: Mean absolute difference on the scale 0..1.
        lpips: Perceptual distance; `None` if no LPIPS was given.
        rows: ``(N, 1 or 2)``, of each image.
    """

    l1: Estimate
    lpips: Estimate | None
    rows: np.ndarray


def latent_round_trip(latents: np.ndarray, recovered: np.ndarray, *, seed: int = 0) -> LatentRoundTrip:
    """Compare latents with those that an encoder finds in the images generated from them.

    Args:
        latents: ``(N, M, d)``: M for each of N inputs, drawn from the prior.
        recovered: The mu that came back, likewise.
        seed: Of the bootstrap.

    Raises:
        DataError: The shapes differ.

    Examples:
        >>> import numpy as np
        >>> z = np.array([[[1.0], [-1.0]], [[2.0], [-2.0]]])
        >>> found = latent_round_trip(z, z - 0.5)
        >>> found.error.value, found.r_squared
        (0.5, array([0.9]))
    """
    z, mu = np.asarray(latents, dtype=np.float64), np.asarray(recovered, dtype=np.float64)
    if z.shape != mu.shape:
        raise DataError(f"the encoder gave latents of the shape {mu.shape} for {z.shape}.")
    deviation = mu - z
    errors = np.abs(deviation).mean(axis=2)
    spread = np.square(z - z.mean(axis=(0, 1))).sum(axis=(0, 1))
    r_squared = 1 - np.square(deviation).sum(axis=(0, 1)) / spread
    return LatentRoundTrip(mean_estimate(errors, seed=seed), r_squared, errors)


def image_round_trip(
    reconstructions_and_images: Iterable[tuple[Tensor, Tensor]], *, distance: LPIPS | None = None, seed: int = 0
) -> ImageRoundTrip:
    """Compare real images with what is generated from their own input and their encoded style.

    Args:
        reconstructions_and_images: For each image its reconstruction and itself, ``(C, H, W)``.
        distance: LPIPS to compare with as well.
        seed: Of the bootstrap.

    Raises:
        DataError: There are no images, or sizes differ.
    """
    rows = []
    for reconstruction, image in reconstructions_and_images:
        row = [float(l1(reconstruction[None], image[None]))]
        if distance is not None:
            row.append(float(distances_to(distance, reconstruction[None], image)[0]))
        rows.append(row)
    if not rows:
        raise DataError("there are no images to reconstruct.")
    table = np.array(rows)
    lpips = None if distance is None else mean_estimate(table[:, 1], seed=seed)
    return ImageRoundTrip(mean_estimate(table[:, 0], seed=seed), lpips, table)


class Bijection(Metric):
    """Both round trips; image → z → image where there is a ground truth."""

    name: ClassVar = "bijection"
    title: ClassVar = "Round trips: z → image → z, image → z → image"
    numbers: ClassVar = (Number("z-error", "lower"), Number("reconstruction-l1", "lower"))

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        assert setup.subject.model is not None, "checked"
        self._chance = setup.subject.model.translator.prior.guess_error
        self._latents = _LatentRows("latents", num_samples=setup.subject.num_samples)
        self._images = _ReconstructionRows("reconstruction") if setup.subject.has_ground_truth else None
        self.on_cases = (self._latents,) if self._images is None else (self._latents, self._images)

    @classmethod
    def check(cls, setup: Setup) -> None:
        """See `Metric`."""
        super().check(setup)
        model = setup.subject.model
        if model is None or not model.translator.abilities.has_encoder:
            raise UnmetNeedError("it needs a model with an encoder")

    def summarise(self, found: Found) -> MetricResult:
        """See `Metric`."""
        rows = found.cases[self._latents.spec]
        latents = latent_round_trip(rows[:, 0], rows[:, 1], seed=self.seed)
        z_error, reconstruction = self.numbers
        note = f"an encoder that knows nothing: {self._chance:.3f}"
        scores = [z_error.score(latents.error, note)]
        if np.isfinite(latents.r_squared).all():
            r_squared = Number("z-r-squared", "higher")
            scores.append(r_squared.plain_score(float(latents.r_squared.mean()), len(rows), "mean over z"))
        if self._images is not None:
            images = found.cases[self._images.spec]
            scores.append(reconstruction.score(mean_estimate(images[:, 0], seed=self.seed)))
        depends: dict[str, Any] = {
            "inputs": len(rows),
            "samples": rows.shape[2],
            "r_squared": [float(one) if np.isfinite(one) else None for one in latents.r_squared],
            "seed": self.seed,
        }
        return MetricResult(
            metric=self.name, title=self.title, scores=tuple(scores), depends_on=depends, outcomes=("r_squared",)
        )


class _LatentRows(EachCase):
    """The latents that went in and those that the encoder finds in the samples, ``(2, M, d)``."""

    def row(self, loaded: Loaded) -> np.ndarray:
        """See `EachCase`."""
        case = loaded.case
        assert isinstance(case, ModelCase)
        translator = case.model.translator
        samples = loaded.samples(self.num_samples)
        seen = [loaded.input] * len(samples) if translator.abilities.encoder_sees_input else None
        mu, _ = translator.encode(samples, input_image=seen, fit=case.model.fit)
        return np.stack([translator.sample_z(self.num_samples, seed=case.seed), mu]).astype(np.float64)


class _ReconstructionRows(EachCase):
    """L1 of the ground truth to what is generated from its encoded style, ``(1,)``, on the scale 0..1."""

    def row(self, loaded: Loaded) -> np.ndarray:
        """See `EachCase`."""
        case = loaded.case
        assert isinstance(case, ModelCase)
        again = case.reconstruct(loaded)
        return l1(to_batch(again), to_batch(loaded.ground_truth[None])).cpu().numpy()
