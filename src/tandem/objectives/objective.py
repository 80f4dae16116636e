"""The contract between a method and the training step.

An objective holds its networks and says, as data, in which order they are updated and what each update minimises.
It knows no optimiser, device, file or log.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from tandem import rng
from tandem.networks.layers import Init, initialise
from tandem.objectives.feature_loss import FeatureLoss
from tandem.objectives.pool import ImagePool

StepTensors = Mapping[str, Tensor]
"""Images ``a``, ``b`` ``(N, C, H, W)`` in [-1, 1] and what `Objective.draw` drew for the step, by name."""

Terms = dict[str, Tensor]
"""Named losses, scalars, already weighted: their sum is what a phase minimises."""


@dataclass(frozen=True)
class Phase:
    """One update of a step.

    Attributes:
        name: For logs and messages.
        networks: Names of the networks that this phase trains; no other one gets a gradient from its loss.
        loss: From the batch and the fakes of the step to named terms.
        through_fakes: Whether the gradient passes through the fakes; otherwise the loss uses them detached.
        uses_pools: Whether the loss exchanges fakes with the pools.
        joins_late: Whether it is part of the steps only once the method has `Objective.joined`. The trainer decides
            when from the term ``l1``, which another phase must have.
        keeps_rate: Whether the learning rate of its networks stays what it is after the warm-up, whatever the schedule.
    """

    name: str
    networks: tuple[str, ...]
    loss: Callable[[StepTensors, Any], Terms]
    through_fakes: bool = False
    uses_pools: bool = False
    joins_late: bool = False
    keeps_rate: bool = False


class Objective(Protocol):
    """A method: its networks, its phases in update order, its fakes."""

    networks: nn.ModuleDict
    phases: tuple[Phase, ...]
    inference_networks: tuple[str, ...]
    """Names of the networks that a model bundle needs; EMA follows these."""
    samples_with_noise: bool
    """Whether models sample in the state of training: dropout on, batch norm with the image's own statistics."""
    differentiates_gradients: bool
    """Whether a loss is made of gradients (WGAN-GP): the step differentiates twice, which compiled code cannot do."""
    pools: Mapping[str, ImagePool]
    """What the method remembers besides weights, by name; part of the training state, the same in all processes."""
    features: FeatureLoss | None
    """Compares images in the maps of a network that nobody trains; None where no loss does. No part of state or bundle:
    the state has the SHA-256 of its file."""
    joined: bool
    """Whether phases that join late are part of the steps; what they add to other losses follows it too."""
    micro_batches: int
    """Equal micro-batches that a step's batch is split into, of which the losses see one: 1, or what the trainer sets.
    Terms are means over samples, so that the mean over them is the term of the whole batch; sums have to count them."""

    def initialise(self, seed: int) -> None:
        """Draw all weights."""
        ...

    def draw(self, seed: int, positions: Sequence[int]) -> dict[str, Tensor]:
        """Draw the random numbers of one step for the samples at `positions`, on the CPU.

        Floating-point tensors go to the device with the images. Integers, such as the seed of a draw whose size is
        known only later, stay where the host can read them without waiting.
        """
        ...

    def fakes(self, batch: StepTensors) -> Any:
        """Compute once per step, or micro-batch, what the phases share, before the first update.

        Returns:
            A dataclass. Its tensors are given detached to phases that are not `Phase.through_fakes` where a batch has
            several micro-batches; its dictionaries hold what one phase computes for another, and may come empty.
        """
        ...


def phases_of(objective: Objective) -> list[Phase]:
    """The phases of the next step, in their order."""
    return [phase for phase in objective.phases if objective.joined or not phase.joins_late]


def initialise_networks(networks: nn.ModuleDict, scheme: Init, *, gain: float, seed: int) -> None:
    """Draw the weights of all `networks`, each from a stream of its own."""
    for name, network in networks.items():
        generator = torch.Generator().manual_seed(rng.derive_seed(seed, f"initialise/{name}"))
        initialise(network, scheme, gain=gain, generator=generator)


def samples_with_dropout(objective: Objective) -> bool:
    """Whether the models of a method draw dropout when they sample, so that one input has several outputs."""
    layers = (layer for name in objective.inference_networks for layer in objective.networks[name].modules())
    return objective.samples_with_noise and any(isinstance(layer, nn.Dropout) for layer in layers)


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
