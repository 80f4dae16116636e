"""What a process costs: CPU seconds, time and memory, also of a training that was interrupted and goes on."""

import json
import os
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tandem.config.parse import parse_dataclass
from tandem.files import atomic_write_text

COST_NAME = "cost.jsonl"


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What a training has cost up to a step.

    Attributes:
        step: Optimiser steps done.
        cpu_seconds: Of the process and of those that load its images.
        seconds: Of the clock.
        memory_mb: The most that the process held, in MiB: on the GPU there, otherwise its resident memory; None where
            the system does not say.
        finished: Whether it is the cost of the whole run.
    """

    step: int
    cpu_seconds: float
    seconds: float
    memory_mb: float | None
    finished: bool = False


@dataclass(frozen=True, kw_only=True)
class SampleCost:
    """What a sample of a model costs, in a process that does nothing else.

    Attributes:
        cpu_seconds: The median over samples.
        seconds: Likewise, of the clock.
        memory_mb: The most that the process held, in MiB; None where the system does not say.
        count: How many samples were timed.
        weights_sha256: Of the model.
    """

    cpu_seconds: float
    seconds: float
    memory_mb: float | None
    count: int
    weights_sha256: str


def cpu_seconds() -> float:
    """CPU seconds of this process so far, with those of the processes that it has started.

    Of processes that have ended the system counts what they took once they are waited for; of others it is read where
    the system shows it (Linux).
    """
    times = os.times()
    return time.process_time() + times.children_user + times.children_system + _of_living_children()


def _of_living_children() -> float:
    processes = Path("/proc")
    if not (processes / "self" / "stat").is_file():
        return 0.0
    own, found = os.getpid(), 0
    for path in processes.glob("[0-9]*/stat"):
        try:
            # The name in brackets may hold anything; after it come the state, the parent and, from the 12th on, times.
            fields = path.read_text(errors="replace").rpartition(")")[2].split()
        except OSError:
            continue  # it has ended
        if int(fields[1]) == own:
            found += sum(map(int, fields[11:15]))
    return found / os.sysconf("SC_CLK_TCK")


class CostLog:
    """The costs of a training, one line for each line of its log; a training that goes on adds to what it cost before.

    What was done after the checkpoint at which it goes on is done again, and counts once.

    Args:
        path: The file.
        resumed_step: The checkpoint's; 0 for a new training.
        begun: When the process began, by `time.monotonic`.
    """

    def __init__(self, path: Path, *, resumed_step: int, begun: float) -> None:
        self._path, self._begun = path, begun
        self._lines = [one for one in read_costs(path) if one.step <= resumed_step]
        self._before = self._lines[-1] if self._lines else Cost(step=0, cpu_seconds=0.0, seconds=0.0, memory_mb=None)

    def add(self, step: int, *, memory_mb: float | None, finished: bool = False) -> None:
        """Write down what the training has cost by now, in the place of what it had before the rest of this step."""
        before = self._before
        known = [one for one in (before.memory_mb, memory_mb) if one is not None]
        self._lines = [one for one in self._lines if one.step < step]
        self._lines.append(
            Cost(
                step=step,
                cpu_seconds=before.cpu_seconds + cpu_seconds(),
                seconds=before.seconds + time.monotonic() - self._begun,
                memory_mb=max(known, default=None),
                finished=finished,
            )
        )
        atomic_write_text(self._path, "".join(json.dumps(asdict(one)) + "\n" for one in self._lines))


def read_costs(path: Path) -> list[Cost]:
    """The costs of a training, in the order of its steps; empty where none were written.

    Raises:
        ValueError: A line is damaged.
    """
    if not path.is_file():
        return []
    lines = path.read_text(encoding="utf-8").splitlines()
    return [parse_dataclass(Cost, json.loads(line), path.name) for line in lines]


def whole_cost(costs: Sequence[Cost], steps: int) -> Cost | None:
    """The cost of a whole run of so many steps; None where it is not finished."""
    return next((one for one in reversed(costs) if one.finished and one.step == steps), None)
