"""FID: the Fréchet distance in the features of the Inception network that the published numbers go by.

Paper: *GANs Trained by a Two Time-Scale Update Rule* (1706.08500). The distance itself is
`tandem.evaluation.metrics.frechet_distance`; `tandem.evaluation.networks.features` names the preprocessings.
"""

from typing import ClassVar

from tandem.evaluation.metric import Number, Setup
from tandem.evaluation.metrics.frechet import FrechetMetric
from tandem.evaluation.networks.features import FeatureExtractor


class FID(FrechetMetric):
    """See the module."""

    name: ClassVar = "fid"
    title: ClassVar = "Fréchet inception distance (FID)"
    numbers: ClassVar = (Number("fid", "lower"),)

    @staticmethod
    def extractor(setup: Setup) -> FeatureExtractor:
        """See `FeatureMetric`."""
        return setup.networks.inception()
