"""Cost of the training step against image size and batch size, beside what the machine gives at best.

On a GPU all cells are measured in one process. On the CPU each has a process of its own (this module, run with the
options as JSON), because the peak memory of a process never falls, and because an allocation that fails there may end
the process.
"""

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from benchmarks.cost.counting import Work, count_work, peak_bandwidth, peak_flops
from tandem.bench.timing import wait_for
from tandem.bench.train_step import make_step, warmup_steps
from tandem.config.run import METHODS, RunConfig, from_flat, to_flat
from tandem.training.device import configure_backends, peak_memory_mb

ROOT = Path(__file__).parents[2]
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
NO_MEMORY = ("can't allocate memory", "not enough memory", "out of memory", "bad_alloc", "could not create")
ROOM = 0.9
"""Part of the free memory that a cell may take on the CPU: the system needs some too."""


@dataclass(frozen=True)
class Cell:
    """What a size and a batch cost.

    Attributes:
        seconds: Median of a step; None where it does not fit the memory.
        low: Lower quartile.
        high: Upper quartile.
        rounds: How many counted.
        memory_mb: Most memory that was held, in MiB; None where the system does not say.
        flops: Floating-point operations of a step.
        bytes: Bytes that a step moves, an upper estimate; see `benchmarks.cost.counting`.
        kernels: Operators of a step that move anything.
        problem: Why there is no time.
    """

    size: int
    batch_size: int
    seconds: float | None = None
    low: float | None = None
    high: float | None = None
    rounds: int = 0
    memory_mb: float | None = None
    flops: int | None = None
    bytes: int | None = None
    kernels: int | None = None
    problem: str = ""


@dataclass(frozen=True)
class Peak:
    """What the machine gives at best: operations a second, bytes a second."""

    flops: float
    bandwidth: float


def measure_peak(device: torch.device, precision: str) -> Peak:
    """Measure a large matrix product of the type of `precision`, and a large copy; the best of some rounds each."""

    def best(run: Callable[[], object]) -> float:
        run()
        return min(_seconds(run, device) for _ in range(10))

    return Peak(peak_flops(device, DTYPES[precision], best), peak_bandwidth(device, best))


def measure_cells(
    configs: Sequence[RunConfig], device: torch.device, *, rounds: int, limit_seconds: float
) -> Iterator[Cell]:
    """Measure one cell after the other, smaller batches of a size first.

    Args:
        configs: One for each cell, in the order of sizes and then of batches.
        device: Where.
        rounds: Rounds that count, at most.
        limit_seconds: No further round of a cell begins after this time.

    Yields:
        A cell for each of `configs`. After one that does not fit, larger batches of its size are not tried.
    """
    full: set[int] = set()
    works: dict[int, Work] = {}
    for config in configs:
        size, batch_size = config.data.crop_size[0], config.training.batch_size
        if size in full:
            yield Cell(size, batch_size, problem="a smaller batch does not fit the memory")
            continue
        if device.type == "cpu":
            cell = _in_a_process(config, rounds=rounds, limit_seconds=limit_seconds)
        else:
            cell = measure_cell(config, device, rounds=rounds, limit_seconds=limit_seconds, works=works)
        if cell.problem:
            full.add(size)
        yield cell


def measure_cell(
    config: RunConfig, device: torch.device, *, rounds: int, limit_seconds: float, works: dict[int, Work]
) -> Cell:
    """Measure a cell in this process; where the memory does not suffice the cell says so.

    Args:
        config: Of the cell.
        device: Where.
        rounds: Rounds that count, at most.
        limit_seconds: No further round begins after this time.
        works: What has been counted so far, by size, of a batch of one image; a new size is added.
    """
    size, batch_size = config.data.crop_size[0], config.training.batch_size
    try:
        if size not in works:
            works[size] = _work_per_image(config, device)
        if device.type == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(device)
        begun = time.perf_counter()
        step = make_step("tandem", config, device)
        for _ in range(warmup_steps(config, device)):
            if time.perf_counter() - begun < limit_seconds:
                step()
        seconds = [_seconds(step, device)]
        while len(seconds) < rounds and time.perf_counter() - begun < limit_seconds:
            seconds.append(_seconds(step, device))
        memory = peak_memory_mb(device)
    except (RuntimeError, MemoryError) as error:
        if not _is_about_memory(error):
            raise
        return Cell(size, batch_size, problem="does not fit the memory")
    low, high = (min(seconds), max(seconds)) if len(seconds) < 4 else _quartiles(seconds)
    measured = {"seconds": statistics.median(seconds), "low": low, "high": high, "rounds": len(seconds)}
    return Cell(size, batch_size, memory_mb=memory, **measured, **asdict(works[size].times(batch_size)))


def _work_per_image(config: RunConfig, device: torch.device) -> Work:
    """Counted on a plain step of the smallest batch, because what is counted grows with the batch."""
    flat = to_flat(config)
    smallest = smallest_batch(flat["method"])
    step = make_step("tandem", from_flat(flat | {"batch_size": smallest, "acceleration": "none"}), device)
    step()  # the first one also makes what the optimisers keep
    return count_work(step).times(1 / smallest)


def smallest_batch(method: str) -> int:
    """The smallest batch that a method trains with; its batches are multiples of it."""
    return METHODS[method].parts


def _quartiles(seconds: Sequence[float]) -> tuple[float, float]:
    low, _, high = statistics.quantiles(seconds, n=4, method="inclusive")
    return low, high


def _seconds(run: Callable[[], object], device: torch.device) -> float:
    wait_for(device)
    begun = time.perf_counter()
    run()
    wait_for(device)
    return time.perf_counter() - begun


def _is_about_memory(error: Exception) -> bool:
    return isinstance(error, MemoryError) or any(words in str(error).lower() for words in NO_MEMORY)


def _in_a_process(config: RunConfig, *, rounds: int, limit_seconds: float) -> Cell:
    options = json.dumps(to_flat(config))
    command = [sys.executable, "-m", "benchmarks.cost.cells", options, str(rounds), str(limit_seconds)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return Cell(**json.loads(done.stdout.splitlines()[-1]))
    if done.returncode < 0 or any(words in done.stderr.lower() for words in NO_MEMORY):
        size, batch_size = config.data.crop_size[0], config.training.batch_size
        return Cell(size, batch_size, problem="does not fit the memory")
    raise subprocess.CalledProcessError(done.returncode, command, done.stdout, done.stderr)


def free_memory() -> int | None:
    """Bytes that this process may still take, where the system says so: those free, and those of its control group."""
    info = Path("/proc/meminfo")
    if not info.exists():
        return None
    line = next(line for line in info.read_text(encoding="ascii").splitlines() if line.startswith("MemAvailable:"))
    free = int(line.split()[1]) * 2**10
    group, used = (Path("/sys/fs/cgroup") / name for name in ("memory.max", "memory.current"))
    if group.exists() and used.exists() and (most := group.read_text(encoding="ascii").strip()).isdigit():
        free = min(free, int(most) - int(used.read_text(encoding="ascii")))
    return free


def _bound_memory() -> None:
    """Let allocations fail before the system ends processes to get memory, perhaps others than this one."""
    if os.name == "posix" and (free := free_memory()) is not None:
        import resource  # noqa: PLC0415  (not on Windows)

        resource.setrlimit(resource.RLIMIT_DATA, (int(ROOM * free), int(ROOM * free)))


def main(arguments: list[str]) -> None:
    """Measure one cell on the CPU and print it as JSON."""
    options, rounds, limit_seconds = arguments
    device = torch.device("cpu")
    _bound_memory()
    configure_backends(device, deterministic=False)
    config = from_flat(json.loads(options))
    cell = measure_cell(config, device, rounds=int(rounds), limit_seconds=float(limit_seconds), works={})
    sys.stdout.write(json.dumps(asdict(cell)) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
