"""How steps are run: kernel by kernel, with compiled networks, or captured as CUDA graphs.

All ways compute the same step; what they cannot do they leave to the plain way, and say so once.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor
from torch.optim import Optimizer

from tandem.config.training import Acceleration
from tandem.networks.synchronised import is_synchronised
from tandem.objectives.objective import Objective, StepTensors, Terms
from tandem.training.graphs import CaptureError, GraphedSteps, obstacle
from tandem.training.step import AllReduce, StepOptions, WatchingAllReduce, step_body, train_step

log = logging.getLogger(__name__)

RunStep = Callable[[Sequence[StepTensors]], Terms]


def make_run_step(
    objective: Objective,
    optimizers: Mapping[str, Optimizer],
    options: StepOptions,
    *,
    device: torch.device,
    acceleration: Acceleration,
    twice_differentiated: bool,
    all_reduce: AllReduce | None = None,
    overlap: bool = False,
) -> RunStep:
    """Choose how steps are run.

    Args:
        objective: The method, its networks on `device`; they are compiled here if that was asked for.
        optimizers: One per network.
        options: See `StepOptions`.
        device: Where the networks compute.
        acceleration: ``auto`` captures on a CUDA device; ``compile`` compiles the networks too; ``none`` does neither.
        twice_differentiated: Whether a loss differentiates a gradient (WGAN-GP), which compiled networks cannot do.
        all_reduce: See `train_step`. A `WatchingAllReduce` watches the backwards of steps that are not captured.
        overlap: Capture no steps, so that it can.
    """
    watched = replace(options, watch=all_reduce.watch) if isinstance(all_reduce, WatchingAllReduce) else options

    def plain(batches: Sequence[StepTensors]) -> Terms:
        return train_step(objective, optimizers, *batches, options=watched, all_reduce=all_reduce)

    if acceleration == "compile":
        reason = _why_not_compile(device, twice_differentiated=twice_differentiated)
        if reason is None:
            # A step goes through some graphs twice (`retain_graph`), so compiled code must not reuse what they hold.
            from torch._functorch import config as functorch  # noqa: PLC0415  (only here, and it takes time)

            functorch.donated_buffer = False
            for network in objective.networks.values():
                network.compile()
        else:
            log.warning("networks are not compiled: %s", reason)
    if acceleration == "none" or device.type != "cuda":
        if acceleration == "graphs":
            log.warning("steps are not captured as CUDA graphs: the device is %s", device)
        return plain
    if overlap and all_reduce is not None:
        log.warning("steps are not captured as CUDA graphs: --overlap on sends gradients while a backward runs")
        return plain
    if is_synchronised(objective.networks) or any(pool.is_shared for pool in objective.pools.values()):
        log.warning(
            "steps are not captured as CUDA graphs: batch norm or image pools ask the other processes within one"
        )
        return plain
    body = partial(step_body, objective, optimizers, options=options)
    return _Captured(objective, plain, GraphedSteps(body, objective, device=device, all_reduce=all_reduce))


class _Captured:
    """Captured steps, or plain ones after the first obstacle."""

    def __init__(self, objective: Objective, plain: RunStep, graphed: GraphedSteps) -> None:
        self._objective, self._plain, self._graphed = objective, plain, graphed
        self._reason: str | None = None

    def __call__(self, batches: Sequence[StepTensors]) -> Terms:
        if self._reason is None:
            self._reason = obstacle(self._objective, batches)
            if self._reason is None:
                try:
                    return self._graphed(batches)
                except CaptureError as error:
                    self._reason = str(error)
            log.warning("steps are not captured as CUDA graphs: %s", self._reason.splitlines()[0])
        return self._plain(batches)


def _why_not_compile(device: torch.device, *, twice_differentiated: bool) -> str | None:
    if twice_differentiated:
        return "the gradient penalty differentiates a gradient, which compiled code cannot do"

    def probe(x: Tensor) -> Tensor:
        return torch.nn.functional.leaky_relu(x * x + 1, 0.2).sum()

    try:
        torch.compile(probe)(torch.ones(64, device=device))
    except Exception as error:  # a compiler is missing, or this system is not supported: anything may be raised
        return f"torch.compile does not work here ({type(error).__name__}: {str(error).splitlines()[0]})"
    return None
