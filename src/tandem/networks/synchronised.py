"""What processes that train together compute over the samples of all of them, as if these were one batch.

Everything here works in one process too, where it does nothing. Collectives must be called in the same order in all
processes; networks and losses are the same there, so this holds by itself.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn

from tandem.errors import PeerError

_SHOWN = 200
"""Characters of what the library says of a failed collective."""


@contextmanager
def naming_lost_peers() -> Iterator[None]:
    """Say what it means when a collective inside fails.

    Raises:
        PeerError: Another process is gone.
    """
    try:
        yield
    except RuntimeError as error:
        said = str(error).partition("\n")[0][:_SHOWN] or type(error).__name__
        raise PeerError(
            "lost contact with another process of this command: it has failed, was killed, or its machine cannot be "
            f"reached ({said}). The same command continues where it was stopped."
        ) from error


class _Sum(torch.autograd.Function):
    """The sum over all processes; its gradient is the sum of their gradients, of any order."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:
        del ctx
        total = tensor.contiguous().clone()
        with naming_lost_peers():
            dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        del ctx
        return _sum(gradients[0])


def _sum(tensor: Tensor) -> Tensor:
    total = _Sum.apply(tensor)
    assert isinstance(total, Tensor)
    return total


def row_of_each(row: Tensor, rank: int, size: int) -> Tensor:
    """Put the rows of all processes below each other, differentiably.

    Args:
        row: Of any shape, the same in all processes.
        rank: The number of this process.
        size: How many there are.

    Returns:
        ``(size, *row.shape)``, the same in all processes.
    """
    if size == 1:
        return row[None]
    # A sum of rows of which all but one are zero: one collective that every backend has, and exact.
    before, after = row.new_zeros((rank, *row.shape)), row.new_zeros((size - rank - 1, *row.shape))
    return _sum(torch.cat([before, row[None], after]))


class SynchronisedBatchNorm(nn.BatchNorm2d):
    """Batch norm over the batch of all processes together, which hold equally many values each.

    `nn.SyncBatchNorm` does so on GPUs only. In one process, and where models sample, this is `nn.BatchNorm2d`.

    Attributes:
        rank: The number of this process.
        size: How many train together; `synchronise_batch_norms` says so.
        follows: Whether training moves the running statistics; not where the layer is frozen.
        gather: `row_of_each`, kept out of compiled code.
    """

    rank = 0
    size = 1
    follows = True
    gather: Callable[[Tensor, int, int], Tensor] = staticmethod(row_of_each)

    def forward(self, input: Tensor) -> Tensor:
        """Map ``(N, channels, H, W)`` to the same shape and type, float."""
        in_training = self.training and self.track_running_stats
        if self.size == 1 and in_training and not self.follows:
            output = F.batch_norm(input, None, None, self.weight, self.bias, training=True, eps=self.eps)
            return _readable(output)
        if self.size == 1 or not in_training:
            return _readable(super().forward(input))
        x = input.float() if input.dtype in {torch.bfloat16, torch.float16} else input
        variance, mean = torch.var_mean(x, dim=(0, 2, 3), correction=0)
        each = self.gather(torch.stack([mean, variance]), self.rank, self.size)
        means, variances = each.unbind(1)
        # The variance of all is the mean of the variances and the variance of the means: nothing cancels out.
        group_variance, group_mean = torch.var_mean(means, dim=0, correction=0)
        group_variance = group_variance + variances.mean(0)
        if self.follows:
            self._follow(group_mean.detach(), group_variance.detach(), self.size * x.numel() // x.shape[1])
        scale = (group_variance + self.eps).rsqrt()
        if self.affine:
            scale = scale * self.weight
        shift = -group_mean * scale
        if self.affine:
            shift = shift + self.bias
        return torch.addcmul(shift[:, None, None], x, scale[:, None, None]).to(input.dtype)

    @torch.no_grad()
    def _follow(self, mean: Tensor, variance: Tensor, count: int) -> None:
        """Let the running statistics follow, as `nn.BatchNorm2d` does: with the unbiased variance."""
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        assert self.momentum is not None
        self.num_batches_tracked.add_(1)
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), self.momentum)
        unbiased = variance * (count / max(1, count - 1))
        self.running_var.lerp_(unbiased.to(self.running_var.dtype), self.momentum)


def _readable(output: Tensor) -> Tensor:
    """Let a norm's backward on the CPU read the gradient of a single image in its order.

    That of gathered features (PatchNCE) is channels-last with a stride of its own for the images, with which PyTorch's
    (2.13) reads the values in the wrong order. Every other gradient stays as it is.
    """
    if output.requires_grad and len(output) == 1 and output.device.type == "cpu" and not torch.compiler.is_compiling():
        output.register_hook(lambda gradient: gradient.contiguous() if gradient.stride(0) != gradient.numel() else None)
    return output


def synchronise_batch_norms(network: nn.Module, *, rank: int, size: int) -> None:
    """Have every batch norm of `network` use the statistics of all `size` processes in training."""
    # Not as a decorator: it imports Dynamo, which takes as long as PyTorch itself and which samples do without.
    gather = torch.compiler.disable()(row_of_each)
    for module in network.modules():
        if isinstance(module, SynchronisedBatchNorm):
            module.rank, module.size, module.gather = rank, size, gather


def is_synchronised(network: nn.Module) -> bool:
    """Whether a forward of `network` in training asks other processes."""
    return any(isinstance(module, SynchronisedBatchNorm) and module.size > 1 for module in network.modules())
