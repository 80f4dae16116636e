"""Detail of outputs, how much neighbouring pixels differ, beside that of real images: 0 where all is smooth."""

from typing import ClassVar

from torch import Tensor

from tandem.data import contrast as measures
from tandem.evaluation.kinds.ratio import RatioMetric
from tandem.evaluation.metric import Needs, Number


class Detail(RatioMetric):
    """See `tandem.data.contrast.detail`."""

    name: ClassVar = "detail"
    title: ClassVar = "Detail beside that of real outputs: how much neighbouring pixels differ at 64 px"
    numbers: ClassVar = (Number("detail", "neither", least=measures.LEAST_DETAIL),)
    needs: ClassVar = Needs(side=2)

    @staticmethod
    def of(images: Tensor) -> Tensor:
        """See `RatioMetric`."""
        return measures.detail(images)
