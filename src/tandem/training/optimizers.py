"""Adam and the learning-rate schedules as closed forms of the progress."""

import math
from collections.abc import Iterable
from typing import Literal

import torch
from torch import nn

Schedule = Literal["constant", "linear", "cosine"]


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


def learning_rate_factor(schedule: Schedule, *, epoch: int, constant_epochs: int, decay_epochs: int) -> float:
    """The factor on the base learning rate in `epoch`, counted from 0.

    ``linear`` is the published one: 1 − max(0, epoch + 1 − constant) / (decay + 1). ``cosine`` falls from 1 to 0 over
    the decay by ½(1 + cos(π t)), with t the same fraction. Both are 0 after the last epoch of the decay.
    """
    if schedule == "constant":
        return 1.0
    progress = min(1.0, max(0, epoch + 1 - constant_epochs) / (decay_epochs + 1))
    if schedule == "linear":
        return 1.0 - progress
    return 0.5 * (1.0 + math.cos(math.pi * progress))
