"""How the batch of a step is shared out over processes and passes, so that all of it counts once."""

from collections.abc import Iterator
from dataclasses import dataclass

from tandem.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Shares:
    """A batch split into equal shares, and those of them that one process computes, one after the other.

    Attributes:
        count: Shares of the whole batch: processes times passes.
        first: The first share of this process.
        number: Shares of this process: its passes.
        parts: Pieces of equal size that the method uses differently, as BicycleGAN does with the halves of a batch.
            Every share has its piece of each, so that the mean over all shares is the mean over the whole batch.
    """

    count: int = 1
    first: int = 0
    number: int = 1
    parts: int = 1

    @classmethod
    def of_process(cls, rank: int, world_size: int, *, passes: int = 1, parts: int = 1) -> "Shares":
        """The shares of process `rank` of `world_size`, where each computes its samples in `passes`."""
        return cls(count=world_size * passes, first=rank * passes, number=passes, parts=parts)

    def require_equal(self, batch_size: int) -> None:
        """Raise `ConfigError` where a batch of `batch_size` cannot be split like this."""
        if batch_size % (self.count * self.parts):
            raise ConfigError(
                f"--batch-size {batch_size} cannot be split equally: {self.count // self.number} process(es) with "
                f"{self.number} pass(es) each (--accumulate) and a method that uses a batch in {self.parts} part(s) "
                f"need a multiple of {self.count * self.parts}."
            )

    def positions(self, start: int, batch_size: int) -> Iterator[list[int]]:
        """The positions of each own share, batch after batch, without end; the first batch begins at `start`."""
        size = batch_size // self.parts // self.count
        while True:
            for share in range(self.first, self.first + self.number):
                begins = [start + part * (batch_size // self.parts) + share * size for part in range(self.parts)]
                yield [begin + offset for begin in begins for offset in range(size)]
            start += batch_size
