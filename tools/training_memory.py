"""Compute how much memory training takes, for the table of the README.

    python tools/training_memory.py

Two parts are counted, both for float32: what does not grow with the batch (weights, gradients, Adam's two moments,
the EMA), and the maps that autograd keeps for the backward, while one step runs on the CPU; they grow with the batch
and with the number of pixels. For the CUDA context with its libraries 1 GB is set aside, and for what kernels need for
themselves a fifth of the rest: on the CPU, where it has been measured (docs/performance.md), a step of BicycleGAN takes
140 MB for each image of 256 px, of which the maps are 113. So a table of this tool is computed, not measured.
"""

import argparse
from collections import Counter
from typing import Any

import torch
from torch import Tensor, nn

from tandem.bench.train_step import make_stepper, whole_step
from tandem.config.run import METHODS, from_flat

GB = 2**30
SIDE = 256
BATCHES = {"tandem": 8, "bicyclegan": 2, "pix2pix": 1, "cyclegan": 1, "cut": 1}
"""The usual batch of each method, which the steps are run with."""
SIZES = (256, 512)
CARDS = (8, 24)
CONTEXT_GB, KERNELS = 1.0, 0.2


class Keeping:
    """Counts the storages that autograd keeps, each once, however many keep it.

    Args:
        left_out: Addresses of storages that are there anyway: the weights.

    Attributes:
        now: Bytes that are kept.
        peak: The most that were.
    """

    def __init__(self, left_out: set[int]) -> None:
        self.now = self.peak = 0
        self._left_out = left_out
        self._counts: Counter[int] = Counter()

    def pack(self, tensor: Tensor) -> "_Kept":
        """What autograd keeps in the place of a tensor."""
        return _Kept(tensor, self)

    def add(self, storage: torch.UntypedStorage, count: int) -> None:
        """Take note that so many more keep a storage, or fewer."""
        key = storage.data_ptr()
        if key in self._left_out:
            return
        before = self._counts[key]
        self._counts[key] += count
        self.now += storage.nbytes() * ((before + count > 0) - (before > 0))
        self.peak = max(self.peak, self.now)


class _Kept:
    def __init__(self, tensor: Tensor, keeping: Keeping) -> None:
        self.tensor, self._keeping = tensor, keeping
        keeping.add(tensor.untyped_storage(), 1)

    def __del__(self) -> None:
        self._keeping.add(self.tensor.untyped_storage(), -1)


def training_bytes(method: str) -> tuple[int, float]:
    """What a step takes whatever its batch, and for each image of 256 px."""
    options: dict[str, Any] = {"method": method, "size": SIDE, "batch_size": BATCHES[method]} | whole_step(method)
    stepper, batches, state = make_stepper(from_flat(options), torch.device("cpu"))
    parameters = list(state.objective.networks.parameters())
    weights = sum(one.numel() * one.element_size() for one in parameters)
    average: nn.Module | None = None if state.ema is None else state.ema.networks
    fixed = 4 * weights + sum(one.numel() * one.element_size() for one in (average.parameters() if average else ()))
    keeping = Keeping({one.untyped_storage().data_ptr() for one in parameters})
    with torch.autograd.graph.saved_tensors_hooks(keeping.pack, lambda kept: kept.tensor):
        stepper.step(batches)
    return fixed, keeping.peak / BATCHES[method]


def largest_batch(fixed: int, image: float, *, card_gb: float, multiple: int) -> int:
    """How many images fit a card, a multiple of what the method's batches are made of."""
    room = (1 - KERNELS) * ((card_gb - CONTEXT_GB) * GB - fixed)
    return max(0, int(room / image) // multiple * multiple)


def main() -> None:
    """Print the table."""
    argparse.ArgumentParser(description="Compute how much memory training takes.").parse_args()
    print(f"| Method | Size | Weights, gradients, moments, EMA | Each image | {' | '.join(f'{c} GB' for c in CARDS)} |")
    print("|---|---|---|---|" + "---|" * len(CARDS))
    for method in BATCHES:
        fixed, image = training_bytes(method)
        for size in SIZES:
            each = image * (size / SIDE) ** 2
            fits = [largest_batch(fixed, each, card_gb=c, multiple=METHODS[method].parts) for c in CARDS]
            cells = [method, f"{size} px", f"{fixed / GB:.2f} GB", f"{each / GB:.2f} GB", *map(str, fits)]
            print("| " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
