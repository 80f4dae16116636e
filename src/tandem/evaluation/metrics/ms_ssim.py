"""MS-SSIM: the structural similarity of a sample to its ground truth over five scales.

Paper: *Multiscale Structural Similarity* (10.1109/ACSSC.2003.1292216). Window and constants are those of SSIM.
"""

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from tandem.errors import DataError
from tandem.evaluation.kinds.paired import PairedMetric, unit_pair
from tandem.evaluation.metric import Needs, Number
from tandem.evaluation.metrics.ssim import Border, similarity_terms

MS_SSIM_MIN_SIDE = 176
"""MS-SSIM halves the image four times (odd sides lose a row), and the window must still fit."""

_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)


def ms_ssim(a: Tensor, b: Tensor, *, border: Border = "reflect") -> Tensor:
    """Structural similarity over five scales; 1 for equal images; negative terms count as 0.

    Contrast is always averaged without the border. With ``reflect`` the similarity of the last scale is averaged over
    the whole map, and all terms over the channels before they are raised to their weights, as torchmetrics does; with
    ``valid`` the border is left out there too, and channels are averaged last, as pytorch-msssim does (which pads odd
    sides).

    Args:
        a: ``(N, C, H, W)``, uint8, or float in [-1, 1]; sides of at least `MS_SSIM_MIN_SIDE` px.
        b: Likewise.
        border: What happens at the border; see `tandem.evaluation.metrics.ssim`.

    Returns:
        ``(N,)``, float64, in [0, 1].

    Raises:
        DataError: The images cannot be compared, or have a side below `MS_SSIM_MIN_SIDE`.

    Examples:
        >>> import torch
        >>> images = torch.linspace(-1, 1, 176 * 176).reshape(1, 1, 176, 176)
        >>> ms_ssim(images, images)
        tensor([1.], dtype=torch.float64)
    """
    x, y = unit_pair(a, b)
    if min(x.shape[2:]) < MS_SSIM_MIN_SIDE:
        raise DataError(
            f"MS-SSIM needs sides of at least {MS_SSIM_MIN_SIDE} px; the images have {tuple(x.shape[2:])}. Leave it "
            "out, or compare larger images."
        )
    dims = (1, 2, 3) if border == "reflect" else (2, 3)
    terms = []
    for _ in _WEIGHTS[:-1]:
        terms.append(similarity_terms(x, y, "valid")[1].mean(dims))
        x, y = F.avg_pool2d(x, 2), F.avg_pool2d(y, 2)
    luminance, contrast = similarity_terms(x, y, border)
    terms.append((luminance * contrast).mean(dims))
    product = torch.stack([term.relu() ** weight for term, weight in zip(terms, _WEIGHTS, strict=True)]).prod(0)
    return product if border == "reflect" else product.mean(1)


class MSSSIM(PairedMetric):
    """See `ms_ssim`."""

    name: ClassVar = "ms-ssim"
    title: ClassVar = "MS-SSIM"
    numbers: ClassVar = (Number("ms-ssim", "higher"), Number("ms-ssim-best", "higher", of_several=True))
    needs: ClassVar = Needs(ground_truth=True, side=MS_SSIM_MIN_SIDE, brightness=True)
    remarks: ClassVar = {"border": "reflect"}
    between = staticmethod(ms_ssim)
