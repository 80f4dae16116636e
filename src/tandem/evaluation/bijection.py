"""How well encoder and generator invert each other: z → image → z, and image → z → image.

Paper: *Toward Multimodal Image-to-Image Translation* (1711.11586), which trains for both directions. The first asks
whether the image shows the code: with mu = 0 for every image the mean absolute error of z ~ N(0, I) is 0.798 and
R² is 0. The second asks whether the code holds the style of a real image.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from tandem.errors import DataError
from tandem.evaluation import paired
from tandem.evaluation.diversity import distances_to
from tandem.evaluation.estimates import Estimate, mean_estimate
from tandem.evaluation.lpips import LPIPS

UNINFORMED_ERROR = float(np.sqrt(2 / np.pi))
"""Mean absolute error of an encoder that knows nothing of z ~ N(0, I)."""


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


def latent_round_trip(
    generate: Callable[[int, np.ndarray], Tensor],
    encode: Callable[[Tensor], np.ndarray],
    codes: np.ndarray,
    *,
    on_progress: Callable[[int, int], None] | None = None,
    seed: int = 0,
) -> LatentRoundTrip:
    """Generate with known codes and encode what comes out.

    Args:
        generate: Gives for input number i and codes ``(M, d)`` the images ``(M, C, H, W)``.
        encode: Gives for these the mu ``(M, d)``.
        codes: ``(N, M, d)``, drawn from N(0, I), others for every input.
        on_progress: Called with inputs done and inputs in all.
        seed: Of the bootstrap.

    Raises:
        DataError: The codes that come back have another shape.
    """
    recovered = np.empty(codes.shape)
    for index, z in enumerate(codes):
        mu = np.asarray(encode(generate(index, z)))
        if mu.shape != z.shape:
            raise DataError(f"the encoder gave codes of the shape {mu.shape} for {z.shape}.")
        recovered[index] = mu
        if on_progress is not None:
            on_progress(index + 1, len(codes))
    return latent_errors(codes, recovered, seed=seed)


def latent_errors(codes: np.ndarray, recovered: np.ndarray, *, seed: int = 0) -> LatentRoundTrip:
    """Compare codes ``(N, M, d)`` with those that came back."""
    z = np.asarray(codes, dtype=np.float64)
    deviation = np.asarray(recovered, dtype=np.float64) - z
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
        row = [float(paired.l1(reconstruction[None], image[None]))]
        if distance is not None:
            row.append(float(distances_to(distance, reconstruction[None], image)[0]))
        rows.append(row)
    if not rows:
        raise DataError("there are no images to reconstruct.")
    table = np.array(rows)
    lpips = None if distance is None else mean_estimate(table[:, 1], seed=seed)
    return ImageRoundTrip(mean_estimate(table[:, 0], seed=seed), lpips, table)
