"""Who samples which input: this process alone, or several of this machine, of which this one keeps the record.

What an input becomes follows from the input, the model and the options, so it does not matter which process samples
it. The record is written by one process alone, a line for each input that is finished: killed and started again, by one
process or many, a sampling goes on behind what the record has.
"""

import dataclasses
import multiprocessing
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any, Protocol

from tandem.errors import PeerError, TandemError

Identity = Mapping[str, Any]
"""What an input was when it was sampled, as its line of the record says it."""


@dataclass(frozen=True)
class Outcome:
    """What came of an input.

    Attributes:
        line: Its line of the record; None where it was finished before, or nothing came of it.
        problem: Why nothing came of it.
    """

    line: dict[str, Any] | None = None
    problem: str | None = None


Sample = Callable[[int, Identity | None], Outcome]
"""Samples an input by its number, unless it is what it was."""


class Shares(Protocol):
    """How inputs are shared among processes."""

    def outcomes(self, known: Sequence[Identity | None]) -> Iterator[tuple[int, Outcome]]:
        """Have all inputs sampled.

        Args:
            known: Of each input what the record knows of it.

        Returns:
            The number of each input and what came of it, in any order.

        Raises:
            PeerError: A process has ended before its time.
        """
        ...


@dataclass(frozen=True)
class Alone:
    """This process does all, in order."""

    sample: Sample

    def outcomes(self, known: Sequence[Identity | None]) -> Iterator[tuple[int, Outcome]]:
        """See `Shares`."""
        for index, identity in enumerate(known):
            yield index, self.sample(index, identity)


@dataclass(frozen=True)
class Processes:
    """Processes of this machine sample, one input at a time each; this one hands them out.

    Attributes:
        number: How many.
        prepare: Makes what samples, in each of them; it and what it holds can be pickled.
    """

    number: int
    prepare: Callable[[], Sample]

    def outcomes(self, known: Sequence[Identity | None]) -> Iterator[tuple[int, Outcome]]:
        """See `Shares`."""
        context = multiprocessing.get_context("spawn")
        ends: dict[Connection, Any] = {}
        try:
            for _ in range(min(self.number, len(known))):
                ours, theirs = context.Pipe()
                process = context.Process(target=_serve, args=(self.prepare, theirs), daemon=True)
                process.start()
                theirs.close()
                ends[ours] = process
            yield from _handed_out(ends, known)
        finally:
            for end, process in ends.items():
                end.close()
                process.terminate()
                process.join()


def _handed_out(ends: Mapping[Connection, Any], known: Sequence[Identity | None]) -> Iterator[tuple[int, Outcome]]:
    left, at_work = iter(enumerate(known)), len(ends)
    for end in ends:
        end.send(next(left))
    while at_work:
        for end in wait(list(ends)):
            assert isinstance(end, Connection)
            try:
                answer = end.recv()
            except (EOFError, OSError) as error:
                ends[end].join()
                raise PeerError(
                    f"a process that samples has ended (status {ends[end].exitcode}; -9 is what comes of short "
                    "memory). What is finished is kept: the same command goes on, with fewer --processes if need be."
                ) from error
            if isinstance(answer, str):
                raise TandemError(answer)
            yield answer
            task = next(left, None)
            if task is None:
                at_work -= 1
            else:
                end.send(task)


def _serve(prepare: Callable[[], Sample], end: Connection) -> None:
    """What each process does until the one that started it wants no more, or is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal sends it to all; the one that started this says when
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):
        try:
            sample = prepare()
            while True:
                index, identity = end.recv()
                end.send((index, sample(index, identity)))
        except TandemError as error:
            end.send(str(error))


def identity_of(line: Mapping[str, Any] | None) -> Identity | None:
    """What a line of the record says of its input."""
    return None if line is None else {key: line.get(key) for key in ("source", "direction")}


def as_json(outcome: Outcome) -> dict[str, Any]:
    """An outcome on its way to another machine."""
    return dataclasses.asdict(outcome)
