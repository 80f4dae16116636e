"""How the batch of a step is split into micro-batches over processes, so that all of it counts once."""

from collections.abc import Iterator
from dataclasses import dataclass

from tandem.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class MicroBatches:
    """A batch split into equal micro-batches, and those of them that one process computes, one after the other.

    Attributes:
        count: Of the whole batch: processes times micro-batches of each.
        first: The first one of this process.
        number: Of this process (``--accumulate``).
        parts: Pieces of equal size that the method uses differently, as BicycleGAN does with the halves of a batch.
            Every micro-batch has its piece of each, so that the mean over all of them is the mean over the whole batch.
    """

    count: int = 1
    first: int = 0
    number: int = 1
    parts: int = 1

    @classmethod
    def of_process(cls, rank: int, world_size: int, *, per_process: int = 1, parts: int = 1) -> "MicroBatches":
        """The micro-batches of process `rank` of `world_size`, where each computes `per_process` of them."""
        return cls(count=world_size * per_process, first=rank * per_process, number=per_process, parts=parts)

    def require_equal(self, batch_size: int) -> None:
        """Raise `ConfigError` where a batch of `batch_size` cannot be split like this."""
        if batch_size % (self.count * self.parts):
            raise ConfigError(
                f"--batch-size {batch_size} cannot be split equally: {self.count // self.number} process(es) with "
                f"{self.number} micro-batch(es) each (--accumulate) and a method that uses a batch in {self.parts} "
                f"part(s) need a multiple of {self.count * self.parts}."
            )

    def positions(self, start: int, batch_size: int) -> Iterator[list[int]]:
        """The positions of each own micro-batch, batch after batch, without end; the first batch begins at `start`."""
        size = batch_size // self.parts // self.count
        while True:
            for index in range(self.first, self.first + self.number):
                begins = [start + part * (batch_size // self.parts) + index * size for part in range(self.parts)]
                yield [begin + offset for begin in begins for offset in range(size)]
            start += batch_size
