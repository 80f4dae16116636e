"""Adam and the learning-rate schedules as closed forms of the progress."""

import math
from collections.abc import Iterable
from typing import Literal

import torch
from torch import nn

Schedule = Literal["constant", "linear", "cosine", "half_linear"]


def make_adam(parameters: Iterable[nn.Parameter], *, lr: float, betas: tuple[float, float]) -> torch.optim.Adam:
    """Adam (1412.6980), in PyTorch's fused form: one pass over the weights instead of a dozen.

    On CUDA its rate is a tensor there, so that captured steps see a new one.
    """
    trained = list(parameters)
    device = trained[0].device
    on_cuda = device.type == "cuda"
    rate = torch.tensor(lr, device=device) if on_cuda else lr
    return torch.optim.Adam(trained, lr=rate, betas=betas, fused=True, capturable=on_cuda)


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Set the rate of all parameters."""
    for group in optimizer.param_groups:
        if isinstance(group["lr"], torch.Tensor):
            group["lr"].fill_(rate)
        else:
            group["lr"] = rate


def learning_rate_factor(
    schedule: Schedule, *, epoch: int, constant_epochs: int, decay_epochs: int, progress: float
) -> float:
    """The factor on the base learning rate.

    ``linear`` is the published one: 1 − max(0, epoch + 1 − constant) / (decay + 1). ``cosine`` falls from 1 to 0 over
    the decay by ½(1 + cos(π t)), with t the same fraction. Both are 0 after the last epoch of the decay.
    ``half_linear`` is min(1, 2·(1 − progress)).

    Args:
        schedule: Which.
        epoch: Counted from 0.
        constant_epochs: Epochs at the base rate.
        decay_epochs: Epochs of the decay.
        progress: The share of the run that is done, [0, 1].
    """
    if schedule == "constant":
        return 1.0
    if schedule == "half_linear":
        return min(1.0, 2 * (1 - progress))
    decayed = min(1.0, max(0, epoch + 1 - constant_epochs) / (decay_epochs + 1))
    if schedule == "linear":
        return 1.0 - decayed
    return 0.5 * (1.0 + math.cos(math.pi * decayed))
