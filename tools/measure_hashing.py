"""``python tools/measure_hashing.py [FILE]``: CPU time of writing 1 GB of tensors with hashes and without, in turn.

Without a file they are written into memory, where hashing weighs most.
"""

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import save_file

from tandem import tensors
from tandem.tensors import TensorFile, open_tensors, write_tensors

TENSORS, VALUES, ROUNDS = 40, 6_500_000, 9


class NoHash:
    """Stands where a hash is made, and makes none."""

    def update(self, content: memoryview) -> None:
        """Look at nothing."""

    def hexdigest(self) -> str:
        """As many digits as there are otherwise."""
        return "0" * 32


def main(path: Path) -> None:
    torch.set_num_threads(1)
    state = {f"tensor{number:02}": torch.randn(VALUES) for number in range(TENSORS)}
    ways: dict[str, Callable[[], object]] = {
        "without a hash, whole tensors": lambda: _written(path, state, hashed=False, block=1 << 40),
        "hashed, whole tensors": lambda: _written(path, state, hashed=True, block=1 << 40),
        "hashed, in blocks": lambda: _written(path, state, hashed=True, block=tensors.BLOCK_BYTES),
        "safetensors": lambda: save_file(state, path),
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(ROUNDS):
        for name, write in ways.items():
            path.unlink(missing_ok=True)
            begun = time.process_time()
            write()
            if number:
                seconds[name].append(time.process_time() - begun)
    write_tensors(path, state, {})
    begun = time.process_time()
    with open_tensors(path) as file:
        TensorFile.verify(file)
    print(f"verified: {time.process_time() - begun:.3f} s")
    path.unlink()
    plain = next(iter(seconds.values()))
    for name, found in seconds.items():
        ratio = statistics.median(one / other for one, other in zip(found, plain, strict=True))
        print(f"{name}: {statistics.median(found):.3f} s, {ratio:.3f} of the first")


def _written(path: Path, state: dict[str, torch.Tensor], *, hashed: bool, block: int) -> None:
    real = tensors.xxhash.xxh3_128, tensors.BLOCK_BYTES
    tensors.BLOCK_BYTES = block
    if not hashed:
        tensors.xxhash.xxh3_128 = NoHash  # type: ignore[assignment,misc]
    try:
        write_tensors(path, state, {})
    finally:
        tensors.xxhash.xxh3_128, tensors.BLOCK_BYTES = real  # type: ignore[misc]


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path("/dev/shm/tandem-hashing"))
