"""How much a client may ask of the service."""

from dataclasses import dataclass

from tandem.config.options import Options, option

MEGA = 1_000_000
OUTPUTS_PER_INPUT = 8
"""The outputs of a request may have so many times the pixels of the largest input."""
PICTURE_CHANNELS = 4
"""Channels that an image may have, whatever the model takes; more only where the model takes as many."""


@dataclass(frozen=True, kw_only=True)
class Limits(Options):
    """How much a client may ask of the service."""

    max_megabytes: float = option(20.0, "largest request, in MB of 1,000,000 bytes", above=0, at_most=1000)
    max_megapixels: float = option(
        4.0, "largest image, in millions of pixels; larger ones are refused undecoded", above=0, at_most=100
    )
    max_samples: int = option(32, "most samples of one request", at_least=1, at_most=1000)
    max_waiting: int = option(64, "most requests at once; further ones are answered with 429", at_least=1)
    time_limit: float = option(60.0, "seconds after which a request is given up", above=0)

    @property
    def max_bytes(self) -> int:
        """Of a request's body."""
        return round(self.max_megabytes * MEGA)

    @property
    def max_pixels(self) -> int:
        """Of an input, and of an output's size."""
        return max(1, round(self.max_megapixels * MEGA))

    @property
    def max_output_pixels(self) -> int:
        """Of all outputs of a request together."""
        return OUTPUTS_PER_INPUT * self.max_pixels

    @property
    def max_output_values(self) -> int:
        """Likewise, of pixels times channels."""
        return PICTURE_CHANNELS * self.max_output_pixels
