"""Which latent a frame is translated with: one for the whole video, or a walk round some of them."""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from tandem.errors import ConfigError
from tandem.inference.latents import interpolate_spherical
from tandem.prior.distributions import Prior


@dataclass(frozen=True)
class VideoLatents:
    """The latent at every time of a video.

    With a period the latent goes round the given ones at constant angular speed from each to the next: at time t it is
    between ``z[k]`` and ``z[k + 1]``, the one after the last being the first again, where k is the whole part of
    ``K · (t / period mod 1)`` and the share of the way its fraction.

    Attributes:
        z: ``(K, latent_dim)``, float32; K is 1 without a period, at least 2 with one.
        period: Seconds of one round; None: the latent stays.
        prior: What the model draws its latents from; None: N(0, I).

    Raises:
        ConfigError: Number of latents and period do not fit, or a value is not finite.
    """

    z: np.ndarray
    period: Fraction | None = None
    prior: Prior | None = None

    def __post_init__(self) -> None:
        if not np.isfinite(self.z).all():
            raise ConfigError("the latents hold values that are not finite.")
        if self.period is None and len(self.z) != 1:
            raise ConfigError(
                f"{len(self.z)} latents were given for a video, which is translated with one: give one, or --walk "
                "SECONDS to walk round all of them."
            )
        if self.period is not None and (self.period <= 0 or len(self.z) < 2):
            raise ConfigError(
                f"a walk needs a period above 0 s and at least two latents, not {float(self.period):g} s and "
                f"{len(self.z)}."
            )

    def at(self, seconds: Fraction) -> np.ndarray:
        """The latent at a time since the first frame, ``(latent_dim,)``."""
        if self.period is None:
            return self.z[0]
        position = len(self.z) * (seconds / self.period % 1)
        index = int(position)
        start, end = self.z[index], self.z[(index + 1) % len(self.z)]
        return interpolate_spherical(start, end, np.array([float(position - index)]), prior=self.prior)[0]
