"""The contract between a method and the training step.

An objective holds its networks and says, as data, in which order they are updated and what each update minimises.
It knows no optimiser, device, file or log.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor, nn

Batch = Mapping[str, Tensor]
"""Images ``a``, ``b`` ``(N, C, H, W)`` in [-1, 1] and the random numbers of the step, by name."""

Terms = dict[str, Tensor]
"""Named losses, scalars, already weighted: their sum is what a phase minimises."""


@dataclass(frozen=True)
class Phase:
    """One update of a step.

    Attributes:
        name: For logs and messages.
        networks: Names of the networks that this phase trains; no other one gets a gradient from its loss.
        loss: From the batch and the fakes of the step to named terms.
    """

    name: str
    networks: tuple[str, ...]
    loss: Callable[[Batch, Any], Terms]


class Objective(Protocol):
    """A method: its networks, its phases in update order, its fakes."""

    networks: nn.ModuleDict
    phases: tuple[Phase, ...]
    inference_networks: tuple[str, ...]
    """Names of the networks that a model bundle needs; EMA follows these."""

    def draw(self, seed: int, positions: Sequence[int]) -> dict[str, Tensor]:
        """Draw the random numbers of one step for the samples at `positions`, on the CPU."""
        ...

    def fakes(self, batch: Batch) -> Any:
        """Compute once per step what the phases share, before the first update."""
        ...


@contextmanager
def frozen(network: nn.Module) -> Iterator[None]:
    """Let gradients pass through `network` in forwards made inside, but not into its parameters."""
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    for parameter in trained:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in trained:
            parameter.requires_grad_(True)
