"""Contrast of outputs beside that of real images: 0 where they are of one colour, about 1 where they look real."""

from typing import ClassVar

from torch import Tensor

from tandem.data import contrast as measures
from tandem.evaluation.kinds.ratio import RatioMetric
from tandem.evaluation.metric import Number


class Contrast(RatioMetric):
    """See `tandem.data.contrast.contrast`."""

    name: ClassVar = "contrast"
    title: ClassVar = "Contrast beside that of real outputs"
    numbers: ClassVar = (Number("contrast", "neither", least=measures.LEAST_CONTRAST),)

    @staticmethod
    def of(images: Tensor) -> Tensor:
        """See `RatioMetric`."""
        return measures.contrast(images)
