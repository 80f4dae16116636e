"""One training step: for each phase one backward into its own networks, check, update.

The step does not know which method it runs. A method with other networks or another order says so in its phases.
A batch may come in several micro-batches, one after the other, whose gradients are averaged: less memory, the same
update.
"""

import dataclasses
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from tandem import rng
from tandem.objectives.objective import Objective, Phase, StepTensors, Terms, phases_of
from tandem.training.finite import FiniteGuard

AllReduce = Callable[[Sequence[Tensor]], None]
"""Replaces tensors, in place, by their mean over all processes."""


@runtime_checkable
class WatchingAllReduce(Protocol):
    """An `AllReduce` that is also told when gradients are about to come."""

    def __call__(self, tensors: Sequence[Tensor], /) -> None:
        """Replace tensors, in place, by their mean over all processes."""
        ...

    def watch(self, parameters: Sequence[Tensor], /) -> AbstractContextManager[None]:
        """Make the context of the backward that completes the gradients of `parameters`."""
        ...


@dataclass(frozen=True, kw_only=True)
class StepOptions:
    """How a step computes.

    Attributes:
        clip_grad_norm: Largest norm of each network's gradient; 0 leaves it as it is.
        autocast: Makes the context that forwards and losses run in.
        scaler: Scales the losses, for fp16: an update whose gradients overflow is left out, and the scale lowered.
        guard: Refuses what is not finite.
        watch: Makes the context of the last backward of a phase, from the parameters whose gradients it completes.
    """

    clip_grad_norm: float = 0.0
    autocast: Callable[[], AbstractContextManager[None]] = nullcontext
    scaler: torch.amp.GradScaler | None = None
    guard: FiniteGuard = dataclasses.field(default_factory=lambda: FiniteGuard(deferred=False))
    watch: Callable[[Sequence[Tensor]], AbstractContextManager[None]] = lambda _: nullcontext()


def train_step(
    objective: Objective,
    optimizers: Mapping[str, Optimizer],
    *batches: StepTensors,
    options: StepOptions | None = None,
    all_reduce: AllReduce | None = None,
) -> Terms:
    """Update every network once.

    Args:
        objective: The method.
        optimizers: One per network, by the network's name.
        batches: Images and random numbers of the step, on the networks' device; several are computed one after the
            other as equal micro-batches of one batch.
        options: See `StepOptions`.
        all_reduce: Called after each phase's backward with its gradients and its terms, to average them over processes.

    Returns:
        All named terms of the step, detached scalars.

    Raises:
        NonFiniteError: A term or a gradient is not finite; the phase's update has not happened. Not raised here where
            the guard is deferred.
    """
    body = step_body(objective, optimizers, batches, options or StepOptions())
    while True:
        try:
            tensors = next(body)
        except StopIteration as end:
            return end.value
        if all_reduce is not None:
            all_reduce(tensors)


def step_body(
    objective: Objective, optimizers: Mapping[str, Optimizer], batches: Sequence[StepTensors], options: StepOptions
) -> Generator[list[Tensor], None, Terms]:
    """A step that pauses once a phase, when its gradients and terms are there and not yet used.

    Yields:
        The gradients and the vector of terms of a phase; they may be changed in place.

    Returns:
        See `train_step`.
    """
    terms: Terms = {}
    guard, scaler = options.guard, options.scaler
    try:
        fakes = _Fakes(objective, batches, options.autocast)
        for phase in phases_of(objective):
            names, values = _backward(objective, phase, fakes, options)
            gradients = {name: _gradients(objective.networks[name]) for name in phase.networks}
            yield [*(gradient for group in gradients.values() for gradient in group), values]
            own = [optimizers[name] for name in phase.networks]
            if scaler is not None:
                for optimizer in own:
                    scaler.unscale_(optimizer)
            guard.look(phase.name, names, values, {} if scaler is not None else gradients)
            for name, optimizer in zip(phase.networks, own, strict=True):
                if options.clip_grad_norm > 0:
                    nn.utils.clip_grad_norm_(objective.networks[name].parameters(), options.clip_grad_norm)
                if scaler is not None:
                    scaler.step(optimizer)
                else:
                    guard.restrain(optimizer)
                    optimizer.step()
                optimizer.zero_grad(set_to_none=True)
            terms.update(zip(names, values.unbind(), strict=True))
        if scaler is not None:
            scaler.update()
        guard.end_step()
    finally:
        # After a refused phase too, so that whoever skips the batch can go on.
        objective.networks.zero_grad(set_to_none=True)
    return terms


def owned_once(objective: Objective) -> None:
    """Assert that every parameter is trained by exactly one phase."""
    owners = [name for phase in objective.phases for name in phase.networks]
    assert sorted(owners) == sorted(objective.networks), f"phases train {owners}, networks {list(objective.networks)}"


def _backward(
    objective: Objective, phase: Phase, fakes: "_Fakes", options: StepOptions
) -> tuple[tuple[str, ...], Tensor]:
    """Leave the phase's gradients in its networks; return names and values of its terms: means over micro-batches."""
    networks = [objective.networks[name] for name in phase.networks]
    trained = [parameter for network in networks for parameter in network.parameters() if parameter.requires_grad]
    count = len(fakes.batches)
    names: tuple[str, ...] = ()
    sums: list[Tensor] = []
    for number, batch in enumerate(fakes.batches):
        shared = fakes.of(number, phase)
        with options.autocast():
            losses = phase.loss(batch, shared)
        names, stacked = tuple(losses), torch.stack(list(losses.values()))
        total = stacked.sum() if count == 1 else stacked.sum() / count
        # Naming the inputs leaves the other networks without gradients, at no cost for them. Of a single micro-batch
        # the graph stays until the last phase, because one phase may build on what another has computed.
        keeps_graph = count == 1 and phase is not phases_of(objective)[-1]
        scaled = total if options.scaler is None else options.scaler.scale(total)
        with options.watch(trained) if number == count - 1 else nullcontext():
            scaled.backward(inputs=trained, retain_graph=keeps_graph)
        sums.append(stacked.detach())
    return names, sums[0] if count == 1 else torch.stack(sums).mean(0)


class _Fakes:
    """The fakes of every micro-batch. Of several only detached ones are kept, so that one graph exists at a time."""

    def __init__(
        self, objective: Objective, batches: Sequence[StepTensors], autocast: Callable[[], AbstractContextManager[None]]
    ) -> None:
        self.batches = batches
        self._objective, self._autocast = objective, autocast
        self._detached: dict[int, Any] = {}
        self._seed = torch.initial_seed()
        self._whole = (self._compute(0),) if len(batches) == 1 else ()

    def of(self, number: int, phase: Phase) -> Any:
        """The fakes of one micro-batch as the phase needs them."""
        if self._whole:
            return self._whole[0]
        if phase.through_fakes:
            # Computed again if a phase before has used them: no update has changed their networks since.
            fakes = self._compute(number)
            self._detached[number] = _detached(fakes)
            return fakes
        if number not in self._detached:
            with torch.no_grad(), _same_statistics(self._objective.networks):
                self._detached[number] = _detached(self._compute(number))
        return self._detached[number]

    def _compute(self, number: int) -> Any:
        if len(self.batches) > 1:  # the same dropout in both computations, another in every micro-batch
            torch.manual_seed(rng.derive_seed(self._seed, "pass", position=number))
        with self._autocast():
            return self._objective.fakes(self.batches[number])


def _detached(fakes: Any) -> Any:
    """A copy that holds tensors without their graph, and nothing that one phase computed for another."""
    changed: dict[str, Any] = {}
    for field in dataclasses.fields(fakes):
        value = getattr(fakes, field.name)
        if isinstance(value, Tensor):
            changed[field.name] = value.detach()
        elif isinstance(value, dict):
            changed[field.name] = {}
    return dataclasses.replace(fakes, **changed)


@contextmanager
def _same_statistics(networks: nn.Module) -> Iterator[None]:
    """Undo what forwards inside do to running statistics."""
    before = [buffer.clone() for buffer in networks.buffers()]
    yield
    for buffer, kept in zip(networks.buffers(), before, strict=True):
        buffer.copy_(kept)


def _gradients(network: nn.Module) -> list[Tensor]:
    return [parameter.grad for parameter in network.parameters() if parameter.grad is not None]
