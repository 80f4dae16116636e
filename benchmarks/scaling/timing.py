"""How a training step scales over processes: what is measured of it, and a model that says what it costs.

The model of one step with P processes, each with its share of the batch:

    T(P) = compute + Σ_phases [ 2·(P − 1)/P · bytes / bandwidth + rounds(P) · latency ]

`compute` is one process's step with its share and nobody to talk to, `bytes` are the gradients of a phase, and an
all-reduce takes ``rounds(P) = 2·⌈log2 P⌉`` messages that cannot overlap. The bandwidth is that of the slowest link that
a ring over all processes crosses. Gradients that are sent early hide behind the phase's backward, but for the last
bucket; nothing else overlaps. Loading counts where it takes longer than the step.
"""

import math
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor

from tandem.bench.timing import wait_for
from tandem.config.run import RunConfig
from tandem.data.loader import Batch
from tandem.data.micro_batches import MicroBatches
from tandem.objectives.build import build_objective
from tandem.objectives.objective import Objective
from tandem.training.all_reduce import BUCKET_BYTES
from tandem.training.process_group import ProcessGroup, make_all_reduce
from tandem.training.setup import make_state
from tandem.training.step import AllReduce
from tandem.training.stepper import Stepper


@dataclass(frozen=True)
class Link:
    """What connects the processes.

    Attributes:
        bytes_per_second: Of one process's connection, each way.
        latency_seconds: From sending a message to having it.
    """

    bytes_per_second: float
    latency_seconds: float


def all_reduce_seconds(num_bytes: float, processes: int, link: Link) -> float:
    """What the mean of `num_bytes` over all processes costs: bandwidth-optimal, and logarithmic in the latency."""
    if processes == 1:
        return 0.0
    rounds = 2 * math.ceil(math.log2(processes))
    return 2 * (processes - 1) / processes * num_bytes / link.bytes_per_second + rounds * link.latency_seconds


def step_seconds(
    compute: float,
    phase_bytes: Sequence[float],
    processes: int,
    link: Link,
    *,
    backwards: Sequence[float] | None = None,
    loading: float = 0.0,
) -> float:
    """The model of the file's head.

    Args:
        compute: Seconds of a process's own part.
        phase_bytes: Of the gradients of each phase.
        processes: P.
        link: The slowest connection.
        backwards: Seconds of each phase's backward, where gradients are sent early; None where they are not.
        loading: Seconds in which a process's loader makes its part of a batch.
    """

    def waiting(num_bytes: float, hidden: float) -> float:
        last = all_reduce_seconds(min(num_bytes, BUCKET_BYTES), processes, link)
        return max(last, all_reduce_seconds(num_bytes, processes, link) - hidden)

    hidden = backwards or [0.0] * len(phase_bytes)
    return max(compute + sum(map(waiting, phase_bytes, hidden)), loading)


def phase_bytes_of(config: RunConfig) -> dict[str, int]:
    """Bytes of the gradients of each phase, float32, with its terms left out."""
    with torch.device("meta"):
        objective = build_objective(config)
    return {phase.name: _phase_bytes(objective, phase.networks) for phase in objective.phases}


def _phase_bytes(objective: Objective, networks: Sequence[str]) -> int:
    return sum(4 * p.numel() for name in networks for p in objective.networks[name].parameters())


@dataclass(frozen=True)
class TimedWork:
    """One thing to time.

    Attributes:
        run: Does it.
        by_main: The main process alone does it while the others rest.
    """

    run: Callable[[], object]
    by_main: bool = False


class BackwardClock:
    """Averages nothing and notes how long the backward of each phase takes."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._seconds: dict[tuple[int, ...], list[float]] = {}

    @contextmanager
    def watch(self, parameters: Sequence[Tensor]) -> Iterator[None]:
        """Time what is done inside."""
        wait_for(self._device)
        begun = time.perf_counter()
        yield
        wait_for(self._device)
        self._seconds.setdefault(tuple(map(id, parameters)), []).append(time.perf_counter() - begun)

    def __call__(self, tensors: Sequence[Tensor]) -> None:
        """Leave `tensors` as they are."""

    def medians(self) -> list[float]:
        """Seconds of each phase's backward, in the order of the phases."""
        return [statistics.median(seconds) for seconds in self._seconds.values()]


def make_variants(config: RunConfig, process_group: ProcessGroup, clock: BackwardClock) -> dict[str, TimedWork]:
    """The whole step in one process, a share alone, shares beside each other, shares together; the means alone.

    Args:
        config: All options.
        process_group: The processes.
        clock: Times the backwards of the shares beside each other.
    """
    whole = _stepper(config, ProcessGroup(device=process_group.device), all_reduce=None)
    share = _stepper(config, process_group, all_reduce=None)
    beside = _stepper(config, process_group, all_reduce=clock)
    together = _stepper(config, process_group, all_reduce=make_all_reduce(process_group, "off"), talks=True)
    early = _stepper(config, process_group, all_reduce=make_all_reduce(process_group, "on"), talks=True)
    gradients = [torch.zeros(count // 4, device=process_group.device) for count in phase_bytes_of(config).values()]

    def means() -> None:
        for gradient in gradients:
            process_group.all_reduce([gradient])

    small = torch.zeros(1, device=process_group.device)
    return {
        "whole": TimedWork(whole, by_main=True),
        "share": TimedWork(share, by_main=True),
        "beside": TimedWork(beside),
        "together": TimedWork(together),
        "early": TimedWork(early),
        "means": TimedWork(means),
        "message": TimedWork(lambda: process_group.all_reduce([small])),
    }


def _stepper(
    config: RunConfig, process_group: ProcessGroup, *, all_reduce: AllReduce | None, talks: bool = False
) -> Callable[[], None]:
    micro_batches = MicroBatches.of_process(process_group.rank, process_group.size, parts=config.objective.parts)
    micro_batches.require_equal(config.training.batch_size)
    state = make_state(config, process_group.device, micro_batches=micro_batches.count)
    if talks:
        process_group.join(state.objective)
    stepper = Stepper(
        config,
        state,
        device=process_group.device,
        epoch_images=config.training.batch_size,
        total_steps=1_000_000,
        all_reduce=all_reduce,
        rank=process_group.rank,
    )
    positions = next(micro_batches.positions(0, config.training.batch_size))
    generator = torch.Generator().manual_seed(process_group.rank)
    (height, width), channels = config.data.crop_size, (config.data.input_channels, config.data.output_channels)
    a, b = (torch.rand(len(positions), c, height, width, generator=generator) * 2 - 1 for c in channels)
    batch = Batch(a=a, b=b, names=[str(position) for position in positions], positions=positions)

    def step() -> None:
        stepper.step([batch])
        stepper.settle()

    return step


def time_together(
    variants: dict[str, TimedWork], process_group: ProcessGroup, *, rounds: int, warmup: int
) -> dict[str, list[float]]:
    """Run all variants once per round, in turn: for each the seconds of the slowest process, round by round."""
    seconds: dict[str, list[float]] = {name: [] for name in variants}
    for index in range(warmup + rounds):
        for name, variant in variants.items():
            took = _timed(variant, process_group)
            if index >= warmup:
                seconds[name].append(max(process_group.gather(took)))
    return seconds


def _timed(variant: TimedWork, process_group: ProcessGroup) -> float:
    begin: Tensor = torch.zeros(1)
    if process_group.size > 1:
        dist.all_reduce(begin)
    if variant.by_main and not process_group.is_main:
        return 0.0
    begun = time.perf_counter()
    variant.run()
    wait_for(process_group.device)
    return time.perf_counter() - begun
