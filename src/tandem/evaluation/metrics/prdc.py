"""Precision and recall, density and coverage: is each generated image near real ones, and each real one reached?

Papers: *Improved Precision and Recall Metric for Assessing Generative Models* (1904.06991) and *Reliable Fidelity and
Diversity Metrics for Generative Models* (2002.09797). Around every image is a ball that reaches to the k-th nearest
other image of its own set.

- precision: the share of generated images inside some real ball; recall: the reverse.
- density: in how many real balls a generated image is on average, over k; above 1 where the real images are dense.
- coverage: the share of real images whose ball holds a generated one.

Distances are float64 and compared with ``<``, as the code of the second paper does; images that coincide with their
k nearest neighbours have an empty ball.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from tandem.errors import ConfigError
from tandem.evaluation.estimates import mean_estimate
from tandem.evaluation.kinds.features import FeatureMetric, centre_of, check_feature_sets, squared_distances
from tandem.evaluation.metric import Needs, Number
from tandem.report.scores import MetricResult

_K = 5


@dataclass(frozen=True)
class PRDCResult:
    """The four numbers; see the module.

    Attributes:
        precision: In [0, 1].
        recall: In [0, 1].
        density: 0 or more.
        coverage: In [0, 1].
        k: Which neighbour the balls reach to.
        per_image: By the name of a number what each image adds to it, ``(N,)`` or ``(M,)``; the number is their mean.
    """

    precision: float
    recall: float
    density: float
    coverage: float
    k: int
    per_image: Mapping[str, np.ndarray] = field(repr=False, compare=False)


def prdc(real: np.ndarray, fake: np.ndarray, *, k: int = 5, device: torch.device | str = "cpu") -> PRDCResult:
    """Precision, recall, density and coverage.

    Args:
        real: Features ``(N, D)``.
        fake: Features ``(M, D)``.
        k: Which neighbour the balls reach to: 5 for density and coverage as published, 3 for precision and recall.
        device: Where to compute (float64, so not MPS).

    Raises:
        DataError: The features do not fit together.
        ConfigError: A set has not more than k images.

    Examples:
        >>> import numpy as np
        >>> line = np.arange(8.0)[:, None]
        >>> found = prdc(line, line + 7, k=1)
        >>> found.precision, found.recall, found.coverage
        (0.125, 0.125, 0.125)
    """
    check_feature_sets(real, fake)
    if not 1 <= k < min(len(real), len(fake)):
        raise ConfigError(
            f"k is {k}, but every image needs k others of its own set: give 1 to {min(len(real), len(fake)) - 1}."
        )
    x, y = (torch.as_tensor(rows).to(device) for rows in (real, fake))
    centre = centre_of(x)
    real_radii, fake_radii = _squared_radii(x, k, centre), _squared_radii(y, k, centre)
    balls = torch.zeros(len(y), dtype=torch.int64, device=x.device)
    reached: list[Tensor] = []
    covered: list[Tensor] = []
    for rows, distances in squared_distances(x, y, centre):
        inside = distances < real_radii[rows, None]
        balls += inside.sum(0)
        covered.append(inside.any(1))
        reached.append((distances < fake_radii).any(1))
    per_image = {
        "precision": balls > 0,
        "recall": torch.cat(reached),
        "density": balls,
        "coverage": torch.cat(covered),
    }
    arrays = {name: values.cpu().numpy().astype(np.float64) for name, values in per_image.items()}
    arrays["density"] /= k
    means = {name: float(values.mean()) for name, values in arrays.items()}
    return PRDCResult(**means, k=k, per_image=arrays)


class PRDC(FeatureMetric):
    """See `prdc`. The intervals are over the images that are counted, for given balls.

    Resampling the images that the balls are around would not do: an image that is drawn twice has itself as a
    neighbour.
    """

    name: ClassVar = "prdc"
    title: ClassVar = "Precision, recall, density, coverage"
    numbers: ClassVar = (
        Number("precision", "higher"),
        Number("recall", "higher"),
        Number("density", "higher"),
        Number("coverage", "higher"),
    )
    needs: ClassVar = Needs(images=_K + 1)

    def compare(self, real: np.ndarray, fake: np.ndarray) -> MetricResult:
        """See `FeatureMetric`."""
        per_image = prdc(real, fake, k=_K).per_image
        estimates = [mean_estimate(per_image[number.name], seed=self.seed) for number in self.numbers]
        scores = (
            number.score(replace(estimate, method="percentile bootstrap, same balls"))
            for number, estimate in zip(self.numbers, estimates, strict=True)
        )
        depends = {"k": _K, "seed": self.seed}
        return MetricResult(metric=self.name, title=self.title, scores=tuple(scores), depends_on=depends)


def _squared_radii(points: Tensor, k: int, centre: Tensor) -> Tensor:
    radii = []
    for rows, distances in squared_distances(points, points, centre):
        distances.diagonal(rows.start).fill_(torch.inf)  # not its own neighbour
        radii.append(distances.kthvalue(k, dim=1).values)
    return torch.cat(radii)
