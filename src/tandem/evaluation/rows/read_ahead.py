"""What keeps a network busy: how many threads read files ahead of it, and its results, which are fetched late."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from tandem.threads import usable_cores

_MOST_WORKERS = 8


def suitable_workers(device: torch.device) -> int:
    """How many threads should read for networks on a device: one beside the CPU's own, several for a GPU."""
    return 1 if device.type == "cpu" else min(_MOST_WORKERS, usable_cores())


class LateRows(Sequence[np.ndarray]):
    """Rows that a GPU is still at; whoever looks at one waits for all.

    Args:
        count: How many there are.
        arrive: Waits, and gives them.
    """

    def __init__(self, count: int, arrive: Callable[[], Sequence[np.ndarray]]) -> None:
        self._count, self._arrive = count, arrive
        self._rows: Sequence[np.ndarray] | None = None

    def __len__(self) -> int:
        """How many rows there are; does not wait."""
        return self._count

    def __getitem__(self, index: Any) -> Any:
        """A row, or some of them."""
        if self._rows is None:
            self._rows = self._arrive()
        return self._rows[index]
