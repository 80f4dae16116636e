"""What a model can do, as far as the words of pages depend on it.

No page says what belongs to another method: a latent where there is none, samples where an input has one output, an
encoder or a second discriminator that was not trained.
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Nature:
    """What the words of a page follow.

    Attributes:
        latent: Whether a latent z decides which output comes out.
        noise: Whether dropout does.
        networks: Names of all networks that are trained; empty where they are not known.
    """

    latent: bool = False
    noise: bool = False
    networks: Sequence[str] = ()

    @property
    def several(self) -> bool:
        """Whether one input has several outputs, which are called samples then."""
        return self.latent or self.noise

    @property
    def outputs(self) -> str:
        """What comes out of the model for some inputs."""
        return "samples" if self.several else "outputs"

    @property
    def held(self) -> str:
        """What stays the same in the pictures of all snapshots."""
        if self.latent:
            return "The same inputs and the same z"
        return "The same inputs and the same dropout" if self.noise else "The same inputs"

    @property
    def generator_side(self) -> str:
        """Heading of what is minimised by all networks but the discriminators."""
        generators = [name for name in self.networks if name.startswith("gen")]
        words = ["Generators" if len(generators) > 1 else "Generator"]
        words += [name for name in ("encoder", "projector") if name in self.networks]
        return " and ".join(words)

    @property
    def discriminator_side(self) -> str:
        """Heading of the discriminators' losses."""
        return "Discriminator" if sum(name.startswith("disc") for name in self.networks) == 1 else "Discriminators"
