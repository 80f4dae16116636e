"""The posteriors of real images: latents drawn from them, and how much of z they use."""

from dataclasses import dataclass

import numpy as np

from tandem.rng import numpy_generator

NUM_POINTS = 4000
"""Latents that are drawn from all posteriors together, about."""
MOST_EACH = 16
"""Latents that are drawn from one posterior, at most."""
ACTIVE_ABOVE = 0.01
"""A variance of mu over the images from which a dimension counts as active (Burda et al., arXiv 1509.00519)."""


@dataclass(frozen=True, eq=False)
class Posteriors:
    """What an encoder says of some images: N(mu, exp(logvar)) for each.

    Attributes:
        mu: ``(N, D)``, float64.
        logvar: Likewise.
    """

    mu: np.ndarray
    logvar: np.ndarray

    @property
    def is_finite(self) -> bool:
        """Whether all numbers are."""
        with np.errstate(over="ignore"):
            return bool(np.isfinite(self.mu).all() and np.isfinite(np.exp(0.5 * self.logvar)).all())

    def draw(self, *, seed: int) -> np.ndarray:
        """Latents of the posteriors, as many of each: ``(N, M, D)``, float64."""
        number, dim = self.mu.shape
        each = min(MOST_EACH, max(1, NUM_POINTS // number))
        noise = numpy_generator(seed, "prior/posteriors").standard_normal((number, each, dim))
        return self.mu[:, None] + np.exp(0.5 * self.logvar)[:, None] * noise

    @property
    def active_dimensions(self) -> int:
        """Dimensions in which mu has a variance above `ACTIVE_ABOVE` over the images."""
        return int((self.mu.var(0) > ACTIVE_ABOVE).sum())
