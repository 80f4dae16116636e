"""PSNR: the peak signal-to-noise ratio of a sample to its ground truth."""

from typing import ClassVar

from torch import Tensor

from tandem.evaluation.kinds.paired import PairedMetric, unit_pair, valid_mean
from tandem.evaluation.metric import Needs, Number


def psnr(a: Tensor, b: Tensor, *, valid: Tensor | None = None) -> Tensor:
    """Peak signal-to-noise ratio in dB, ``-10 log10(mse)`` on the scale 0..1; infinite for equal images.

    The numbers are torchmetrics' but for its factor, which is in float32.

    Args:
        a: ``(N, C, H, W)``, uint8, or float in [-1, 1].
        b: Likewise.
        valid: ``(N, 1, H, W)``, bool: the pixels that count; None for all. Without any the number is NaN.

    Returns:
        ``(N,)``, float64, in dB.

    Raises:
        DataError: The images cannot be compared.

    Examples:
        >>> import torch
        >>> psnr(torch.full((1, 3, 8, 8), 0.8), torch.full((1, 3, 8, 8), 1.0))
        tensor([20.0000], dtype=torch.float64)
    """
    x, y = unit_pair(a, b)
    return -10 * valid_mean((x - y).square(), valid).log10()


class PSNR(PairedMetric):
    """See `psnr`."""

    name: ClassVar = "psnr"
    title: ClassVar = "PSNR (dB)"
    numbers: ClassVar = (Number("psnr", "higher"), Number("psnr-best", "higher", of_several=True))
    needs: ClassVar = Needs(ground_truth=True, brightness=True)
    counts_valid: ClassVar = True
    between = staticmethod(psnr)
