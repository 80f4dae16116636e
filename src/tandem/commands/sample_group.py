"""Sampling shared by the processes of a job of torchrun or SLURM, on one machine or several with one file system.

Process 0 owns the folder and keeps the record. Inputs go round the processes, and the others post what came of theirs.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tandem.inference.sample_shares import Identity, Outcome, Sample, as_json
from tandem.training.process_group import ProcessGroup


@dataclass(frozen=True)
class GroupShares:
    """How the processes of a group share inputs; see `tandem.inference.sample_shares.Shares`.

    Attributes:
        group: The processes.
        sample: What samples in this one.
    """

    group: ProcessGroup
    sample: Sample

    def outcomes(self, known: Sequence[Identity | None]) -> Iterator[tuple[int, Outcome]]:
        """In process 0: sample its own inputs, and take what the others post."""
        self.group.broadcast(known)
        left = {rank: self._of(rank, len(known)) for rank in range(1, self.group.size)}
        for index in self._of(0, len(known)):
            yield index, self.sample(index, known[index])
            for indices in left.values():
                while indices and self.group.is_posted(str(indices[0])):
                    yield self._taken(indices.pop(0))
        for indices in left.values():
            yield from map(self._taken, indices)

    def help(self) -> None:
        """In the others: sample their inputs once process 0 has begun."""
        known = self.group.broadcast(None)
        for index in self._of(self.group.rank, len(known)):
            self.group.post(str(index), as_json(self.sample(index, known[index])))

    def _of(self, rank: int, count: int) -> list[int]:
        return list(range(rank, count, self.group.size))

    def _taken(self, index: int) -> tuple[int, Outcome]:
        return index, Outcome(**self.group.take(str(index)))
