"""L1: the mean absolute difference of a sample and its ground truth."""

from typing import ClassVar

from torch import Tensor

from tandem.evaluation.kinds.paired import PairedMetric, unit_pair, valid_mean
from tandem.evaluation.metric import Number, Ranking


def l1(a: Tensor, b: Tensor, *, valid: Tensor | None = None) -> Tensor:
    """Mean absolute difference on the scale 0..1; 0 for equal images.

    Args:
        a: ``(N, C, H, W)``, uint8, or float in [-1, 1].
        b: Likewise.
        valid: ``(N, 1, H, W)``, bool: the pixels that count; None for all. Without any the number is NaN.

    Returns:
        ``(N,)``, float64, in [0, 1].

    Raises:
        DataError: The images cannot be compared.

    Examples:
        >>> import torch
        >>> black, grey = torch.full((2, 3, 8, 8), -1.0), torch.zeros(2, 3, 8, 8)
        >>> l1(black, grey)
        tensor([0.5000, 0.5000], dtype=torch.float64)
    """
    x, y = unit_pair(a, b)
    return valid_mean((x - y).abs(), valid)


class L1(PairedMetric):
    """See `l1`."""

    name: ClassVar = "l1"
    title: ClassVar = "L1 to the ground truth"
    numbers: ClassVar = (
        Number("l1", "lower", decides_paired=10),
        Number("l1-best", "lower", of_several=True, decides_paired=20),
    )
    is_cheap: ClassVar = True
    ranking: ClassVar = Ranking("quality", 10)
    counts_valid: ClassVar = True
    between = staticmethod(l1)
