"""Options of methods with a latent: what it is drawn from when a model samples; see `tandem.prior`."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from tandem.config.options import option

PriorName = Literal["normal", "gaussian", "mixture"]
Components = Literal["auto"] | int
MAX_COMPONENTS = 256
MAX_PRIOR_NUMBERS = 2**22
"""Most numbers that the factors of a mixture hold together."""


def most_components(latent_dim: int) -> int:
    """The largest number of Gaussians of this many dimensions; 0 where there is room for none."""
    return min(MAX_COMPONENTS, MAX_PRIOR_NUMBERS // max(1, latent_dim) ** 2)


def components_problems(prior: PriorName, components: Components, latent_dim: int) -> Iterator[str]:
    """Say why a prior of latents of this length cannot have these components."""
    most = most_components(latent_dim)
    if prior != "mixture" and components != "auto":
        yield f"--prior-components {components} has no effect without --prior mixture"
    elif prior != "normal" and not most:
        yield f"--prior {prior} does not go with --latent-dim {latent_dim}: its covariance would be too large"
    elif components != "auto" and components > most:
        yield f"--prior-components must be at most {most} with --latent-dim {latent_dim}, not {components}"


@dataclass(frozen=True, kw_only=True)
class LatentPriorOptions:
    """What a model samples its latents from; the methods change the default. No step of training depends on it."""

    prior: PriorName = option(
        "normal",
        "what z is drawn from when the model samples: N(0, I), or a Gaussian or a mixture of Gaussians fitted to the "
        "latents of training images",
    )
    prior_components: Components = option(
        "auto",
        "Gaussians of --prior mixture; auto is the number under which latents of held-out training images are the most "
        "likely",
        at_least=1,
        at_most=MAX_COMPONENTS,
    )
    prior_images: int = option(
        2000, "training images whose latents the prior is fitted to and measured on, at most", at_least=1
    )

    @property
    def trains_on_draws(self) -> bool:
        """Whether the generator is trained with draws from N(0, I) too, not with latents of images alone."""
        return False

    def prior_problems(self, latent_dim: int, *, has_encoder: bool) -> Iterator[str]:
        """Say why there can be no such prior."""
        if self.prior != "normal" and not has_encoder:
            yield (
                f"--prior {self.prior} is fitted to the latents that an encoder finds in training images, and with "
                "these losses no encoder is trained: leave it at normal"
            )
        yield from components_problems(self.prior, self.prior_components, latent_dim)
