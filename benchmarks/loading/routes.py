"""How fast the loader gives pairs by each of its ways, and for how long training steps wait for it."""

import itertools
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch

from tandem.bench.timing import Timing, wait_for
from tandem.config.run import RunConfig
from tandem.data.datasets import PairedDataset, UnpairedDataset
from tandem.data.decoded import DecodedImages
from tandem.data.loader import Batch, BatchLoader, SampleSource, make_loader
from tandem.data.prefetch import DevicePrefetcher
from tandem.data.resident import ResidentDataset, fill
from tandem.training.feed import to_device, workers_of
from tandem.training.inputs import make_dataset
from tandem.training.setup import make_state
from tandem.training.stepper import Stepper

PAIRS_PER_ROUND = 128
WARMUP_BATCHES = 4
WARMUP_STEPS = 2

OnRound = Callable[[int, int], None]


@dataclass(frozen=True)
class Route:
    """One way from the files to the step: what samples come from, and how many processes load them."""

    source: SampleSource
    num_workers: int


@dataclass(frozen=True)
class Waiting:
    """Training steps whose batches come by one route.

    Attributes:
        steps: Seconds of a step, waiting included: one mean for each round.
        shares: Of that time, for which the host waited for batches, in [0, 1], for each round.
    """

    steps: Timing
    shares: Timing


def make_routes(config: RunConfig, train: PairedDataset | UnpairedDataset, device: torch.device) -> dict[str, Route]:
    """The routes by name: from the files; decoded in shared memory; likewise without workers; decoded on the device.

    Args:
        config: All options.
        train: Samples that stay decoded, with room for all of them; filled here.
        device: Where training runs.
    """
    workers = workers_of(config)
    assert isinstance(train.decoded, DecodedImages)
    fill(train, train.decoded)
    routes = {"files": Route(make_dataset(config, train.split), workers), "memory": Route(train, workers)}
    if workers:
        routes["memory, no workers"] = Route(train, 0)
    return routes | {"device": Route(ResidentDataset(train, device), 0)}


def time_routes(
    routes: Mapping[str, Route], config: RunConfig, device: torch.device, *, rounds: int, on_round: OnRound
) -> dict[str, Timing]:
    """Seconds for a pair by each route, in turn; a loader of its own and a warm-up for each round.

    Args:
        routes: By name.
        config: All options.
        device: Where batches are brought.
        rounds: Rounds that count.
        on_round: Called with (rounds done, all rounds).
    """
    batch_size = config.training.batch_size
    number = max(PAIRS_PER_ROUND // batch_size, WARMUP_BATCHES)
    seconds: dict[str, list[float]] = {name: [] for name in routes}
    for index in range(rounds):
        start = index * (number + WARMUP_BATCHES) * batch_size
        for name, route in routes.items():
            with _opened(route, config, device, start=start) as batches:
                for _ in range(WARMUP_BATCHES):
                    next(batches)
                wait_for(device)
                begun = time.perf_counter()
                for _ in range(number):
                    next(batches)
                wait_for(device)
                seconds[name].append((time.perf_counter() - begun) / (number * batch_size))
        on_round(index + 1, rounds)
    return {name: Timing(tuple(values)) for name, values in seconds.items()}


def time_processor(
    routes: Mapping[str, Route], config: RunConfig, device: torch.device, *, rounds: int
) -> dict[str, Timing]:
    """Seconds of processor time for a pair by each route, in this process and one thread: what a busy machine keeps.

    Args:
        routes: By name.
        config: All options.
        device: Where batches are brought.
        rounds: Rounds that count.
    """
    batch_size, threads = config.training.batch_size, torch.get_num_threads()
    number = max(PAIRS_PER_ROUND // batch_size, WARMUP_BATCHES)
    seconds: dict[str, list[float]] = {name: [] for name in routes}
    torch.set_num_threads(1)  # as in the loader's processes
    try:
        for name, route in routes.items():
            with _opened(replace(route, num_workers=0), config, device, start=0) as batches:
                for index in range(1 + rounds):
                    begun = time.process_time()
                    for _ in range(number):
                        next(batches)
                    if index:
                        seconds[name].append((time.process_time() - begun) / (number * batch_size))
    finally:
        torch.set_num_threads(threads)
    return {name: Timing(tuple(values)) for name, values in seconds.items()}


def time_training(
    routes: Mapping[str, Route],
    config: RunConfig,
    device: torch.device,
    *,
    rounds: int,
    steps: int,
    on_round: OnRound,
) -> tuple[Timing, dict[str, Waiting]]:
    """Train by each route in turn, some steps a round after a warm-up.

    Args:
        routes: By name.
        config: All options.
        device: Where training runs.
        rounds: Rounds that count.
        steps: Steps of a route in a round.
        on_round: Called with (rounds done, all rounds).

    Returns:
        Seconds of a step that is always given the same batch, so that it waits for nothing; and by route.
    """
    batch_size = config.training.batch_size
    epoch_images = len(routes["files"].source)
    state = make_state(config, device)
    stepper = Stepper(config, state, device=device, epoch_images=epoch_images, total_steps=1_000_000)
    alone: list[float] = []
    by_route: dict[str, list[tuple[float, float]]] = {name: [] for name in routes}
    for index in range(rounds):
        start = index * (WARMUP_STEPS + steps) * batch_size
        batch: Batch | None = None
        for name, route in routes.items():
            with _opened(route, config, device, start=start) as batches:
                for batch in itertools.islice(batches, WARMUP_STEPS):
                    stepper.step([batch])
                by_route[name].append(_timed_steps(stepper, batches, device, steps))
        assert batch is not None
        alone.append(_timed_steps(stepper, itertools.repeat(batch), device, steps)[0])
        on_round(index + 1, rounds)
    found = {
        name: Waiting(Timing(tuple(x for x, _ in rounds)), Timing(tuple(y for _, y in rounds)))
        for name, rounds in by_route.items()
    }
    return Timing(tuple(alone)), found


def _timed_steps(stepper: Stepper, batches: Iterator[Batch], device: torch.device, number: int) -> tuple[float, float]:
    """Seconds of a step, and the share of them for which the host waited for batches."""
    stepper.settle()
    wait_for(device)
    waited, begun = 0.0, time.perf_counter()
    for _ in range(number):
        asked = time.perf_counter()
        batch = next(batches)
        waited += time.perf_counter() - asked
        stepper.step([batch])
    wait_for(device)
    took = time.perf_counter() - begun
    return took / number, waited / took


@contextmanager
def _opened(
    route: Route, config: RunConfig, device: torch.device, *, start: int
) -> Iterator[BatchLoader | DevicePrefetcher]:
    loader = make_loader(
        route.source,
        start=start,
        batch_size=config.training.batch_size,
        num_workers=route.num_workers,
        pin_memory=device.type == "cuda",
    )
    with to_device(loader, device) as batches:
        yield batches
