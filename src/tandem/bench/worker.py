"""A variant of the training step in a process of its own: ``python -m tandem.bench.worker VARIANT DEVICE OPTIONS``.

On a CPU how a process treats its memory is a part of what is compared, and its peak never falls, so that each variant
has a process; they still run in turn. The options are those of the run as JSON. For every line that the process reads
it does a step and writes a line; at the end of its input it writes its peak memory.
"""

import gc
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Protocol

import torch

from tandem.bench.timing import wait_for
from tandem.bench.train_step import Variant, make_step, variants_of, warmup_steps
from tandem.config.run import RunConfig, from_flat, to_flat
from tandem.threads import choose_threads
from tandem.training.device import configure_backends, peak_memory_mb


class Running(Protocol):
    """A variant that is ready to do steps."""

    def __call__(self) -> None:
        """Do a step."""
        ...

    def peak_memory_mb(self) -> float | None:
        """The most that its steps have held, in MiB; None where the system does not say. No step can follow."""
        ...


@contextmanager
def running_variants(config: RunConfig, device: torch.device) -> Iterator[dict[Variant, Running]]:
    """All variants of the step of `config`: on a GPU in this process, elsewhere in one each.

    Raises:
        subprocess.CalledProcessError: A process has failed.
    """
    with ExitStack() as stack:
        if device.type == "cuda":
            configure_backends(device, deterministic=False)
            yield {variant: _Here(variant, config, device) for variant in variants_of(config)}
            return
        yield {v: stack.enter_context(_elsewhere(v, config, device)) for v in variants_of(config)}


class _Here:
    def __init__(self, variant: Variant, config: RunConfig, device: torch.device) -> None:
        self._make = lambda: make_step(variant, config, device)
        self._step = self._make()
        self._device, self._warmup = device, warmup_steps(config, device)

    def __call__(self) -> None:
        self._step()

    def peak_memory_mb(self) -> float | None:
        """Of the step made again, above what the other variants hold."""
        del self._step
        gc.collect()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(self._device)
        others = torch.cuda.memory_allocated(self._device)
        step = self._make()
        for _ in range(self._warmup + 1):
            step()
        peak = peak_memory_mb(self._device)
        return None if peak is None else peak - others / 2**20


class _Elsewhere:
    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def __call__(self) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write("step\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            self._fail()
        self._answer()

    def peak_memory_mb(self) -> float | None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        return self._answer()

    def _answer(self) -> float | None:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._fail()
        return json.loads(line)

    def _fail(self) -> None:
        raise subprocess.CalledProcessError(self._process.wait(), self._process.args)


@contextmanager
def _elsewhere(variant: Variant, config: RunConfig, device: torch.device) -> Iterator[_Elsewhere]:
    command = [sys.executable, "-m", "tandem.bench.worker", variant, str(device), json.dumps(to_flat(config))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield _Elsewhere(process)
        finally:
            process.kill()


def main(arguments: list[str]) -> None:
    """Do the steps that are asked for."""
    name, device_name, options = arguments
    device, config = torch.device(device_name), from_flat(json.loads(options))
    choose_threads(config.training.threads)
    variant: Variant = "published" if name == "published" else "tandem"
    if variant == "tandem":
        configure_backends(device, deterministic=False)
    step = make_step(variant, config, device)
    for _ in sys.stdin:
        step()
        wait_for(device)
        sys.stdout.write("null\n")
        sys.stdout.flush()
    sys.stdout.write(json.dumps(peak_memory_mb(device)) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
