"""One training step: for each phase one backward into its own networks, check, update.

The step does not know which method it runs. A method with other networks or another order says so in its phases.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from tandem.errors import NonFiniteError
from tandem.objectives.phase import Batch, Objective, Phase, Terms


def train_step(
    objective: Objective,
    optimizers: Mapping[str, Optimizer],
    batch: Batch,
    *,
    clip_grad_norm: float = 0.0,
    autocast: Callable[[], AbstractContextManager[None]] = nullcontext,
    average_gradients: Callable[[Iterable[nn.Parameter]], None] | None = None,
) -> Terms:
    """Update every network once.

    Args:
        objective: The method.
        optimizers: One per network, by the network's name.
        batch: Images and random numbers of the step, on the networks' device.
        clip_grad_norm: Largest norm of each network's gradient; 0 leaves it as it is.
        autocast: Makes the context that forwards and losses run in.
        average_gradients: Called with a phase's parameters after its backward, to average over processes.

    Returns:
        All named terms of the step, detached scalars.

    Raises:
        NonFiniteError: A term or a gradient is not finite; the phase's update has not happened.
    """
    terms: Terms = {}
    last = objective.phases[-1]
    try:
        with autocast():
            fakes = objective.fakes(batch)
        for phase in objective.phases:
            trained = [parameter for name in phase.networks for parameter in objective.networks[name].parameters()]
            with autocast():
                losses = phase.loss(batch, fakes)
            # Naming the inputs leaves the other networks without gradients, at no cost for them. The graph stays until
            # the last phase, because one phase may build on what another has computed.
            torch.stack(list(losses.values())).sum().backward(inputs=trained, retain_graph=phase is not last)
            if average_gradients is not None:
                average_gradients(trained)
            _check_finite(phase, losses, objective.networks)
            for name in phase.networks:
                if clip_grad_norm > 0:
                    nn.utils.clip_grad_norm_(objective.networks[name].parameters(), clip_grad_norm)
                optimizers[name].step()
                optimizers[name].zero_grad(set_to_none=True)
            terms.update({name: loss.detach() for name, loss in losses.items()})
    finally:
        # After a refused phase too, so that whoever skips the batch can go on.
        objective.networks.zero_grad(set_to_none=True)
    return terms


def owned_once(objective: Objective) -> None:
    """Assert that every parameter is trained by exactly one phase."""
    owners = [name for phase in objective.phases for name in phase.networks]
    assert sorted(owners) == sorted(objective.networks), f"phases train {owners}, networks {list(objective.networks)}"


def _check_finite(phase: Phase, losses: Terms, networks: nn.ModuleDict) -> None:
    gradients = {name: _gradients(networks[name].parameters()) for name in phase.networks}
    flat = [gradient for group in gradients.values() for gradient in group]
    # On the CPU a dot product takes half the time of a norm; elsewhere one kernel for all gradients counts more.
    on_cpu = flat[0].device.type == "cpu"
    sums = [torch.dot(g.flatten(), g.flatten()) for g in flat] if on_cpu else torch._foreach_norm(flat)
    total = torch.stack([value.double() for value in sums] + [loss.detach().double() for loss in losses.values()]).sum()
    if bool(torch.isfinite(total)):
        return
    bad_terms = [name for name, loss in losses.items() if not bool(torch.isfinite(loss))]
    bad_networks = [
        name for name, group in gradients.items() if not all(bool(torch.isfinite(gradient).all()) for gradient in group)
    ]
    raise NonFiniteError(_describe(phase, losses, bad_terms, bad_networks))


def _describe(phase: Phase, losses: Terms, bad_terms: Sequence[str], bad_networks: Sequence[str]) -> str:
    values = ", ".join(f"{name} {loss.item():.4g}" for name, loss in losses.items())
    if bad_terms:
        several = len(bad_terms) > 1
        what = f"the loss term{'s' * several} {', '.join(bad_terms)} {'are' if several else 'is'} not finite"
    elif bad_networks:
        what = f"the gradient of {', '.join(bad_networks)} is not finite (all loss terms are)"
    else:
        what = "the gradient's norm overflows"
    return f"phase '{phase.name}': {what} ({values})"


def _gradients(parameters: Iterable[nn.Parameter]) -> list[Tensor]:
    return [parameter.grad for parameter in parameters if parameter.grad is not None]
