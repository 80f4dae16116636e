"""Memorisation: are samples nearer to images of the training than to held-out ones of the same kind?

Papers: *A Non-Parametric Test to Detect Data-Copying in Generative Models* (2004.05675) for the comparison, *On
Memorization in Probabilistic Deep Generative Models* (2106.03216) on what nearest neighbours say. Of each sample the
nearest training image and the nearest held-out one are found, by Euclidean distance in features, among as many of
either: a model that has learnt the distribution comes nearer to a training image half of the time, one that copies
always. The ground truth of a sample's own input is no candidate, since a good model comes near to it.

Samples that have one image for their nearest stand or fall with it. Were the 2 K images put into two sets of K anew,
the share would vary around 0.5 with the variance

    (sum c² / S² - 1 / (2 K)) / 4 * 2 K / (2 K - 1)

where c of the S samples are nearest to an image. So far from 0.5 the share is chance.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch

from tandem.errors import DataError
from tandem.evaluation.estimates import mean_estimate
from tandem.evaluation.kinds.features import FeatureRows, centre_of, squared_distances
from tandem.evaluation.kinds.sample_features import SampleFeatureMetric
from tandem.evaluation.metric import Found, Needs, Number, Setup, UnmetNeedError
from tandem.report.scores import MetricResult
from tandem.rng import numpy_generator

MOST_TRAINING = 2000
"""So many training images are looked at, drawn at random, or as many as there are held-out ones."""

_FEWEST = 2


@dataclass(frozen=True)
class Copying:
    """How often samples are nearer to training images.

    Attributes:
        nearer: ``(N, M)``, of each sample 1 if it is nearer to a training image, 0 if to a held-out one, 0.5 if both
            are as near.
        deviation: Standard deviation of the mean of `nearer` around 0.5 by chance; see the module.
    """

    nearer: np.ndarray
    deviation: float


def memorisation(
    samples: np.ndarray, training: np.ndarray, held_out: np.ndarray, *, ignored: np.ndarray | None = None
) -> Copying:
    """Compare the nearest training image of each sample with its nearest held-out one.

    Args:
        samples: Features ``(N, M, D)``, of M samples of each of N inputs.
        training: Features ``(K, D)`` of training images.
        held_out: Features of held-out images, ``(K, D)``, or ``(K + 1, D)`` with `ignored`.
        ignored: ``(N,)``, of each input the held-out image that is no candidate, such as its own ground truth; so that
            there are as many of both.

    Raises:
        DataError: The shapes do not fit, or features are not finite.

    Examples:
        >>> import numpy as np
        >>> training, held_out = np.array([[0.0], [10.0]]), np.array([[5.0], [15.0]])
        >>> memorisation(np.array([[[0.1], [9.0]], [[14.0], [12.5]]]), training, held_out).nearer
        array([[1. , 1. ], [0. , 0.5]])
    """
    more = 0 if ignored is None else 1
    fits = samples.ndim == 3 and training.ndim == held_out.ndim == 2 and len(held_out) == len(training) + more > more
    if not fits or not samples.shape[2] == training.shape[1] == held_out.shape[1]:
        raise DataError(
            f"samples {samples.shape}, training images {training.shape} and held-out ones {held_out.shape}; expected "
            f"(N, M, D), (K, D) and (K{' + 1' if more else ''}, D)."
        )
    if not all(np.isfinite(one).all() for one in (samples, training, held_out)):
        raise DataError("the features hold values that are not finite.")
    num_inputs, num_samples = samples.shape[:2]
    x, seen, unseen = (torch.as_tensor(one) for one in (samples.reshape(-1, samples.shape[2]), training, held_out))
    centre = centre_of(seen)
    without = None if ignored is None else torch.as_tensor(ignored).repeat_interleave(num_samples)
    to_seen, which_seen = _nearest(x, seen, centre, None)
    to_unseen, which_unseen = _nearest(x, unseen, centre, without)
    nearer = np.where(to_seen == to_unseen, 0.5, to_seen < to_unseen)
    nearest = np.where(to_seen < to_unseen, which_seen, len(seen) + which_unseen)
    size = 2 * len(seen)
    variance = (np.square(np.bincount(nearest) / len(x)).sum() - 1 / size) / 4 * size / (size - 1)
    return Copying(nearer.reshape(num_inputs, num_samples), float(np.sqrt(max(variance, 0.0))))


def _nearest(
    x: torch.Tensor, y: torch.Tensor, centre: torch.Tensor, without: torch.Tensor | None
) -> tuple[np.ndarray, np.ndarray]:
    """Of each row of `x` the squared distance to the nearest of `y`, but for the one in `without`, and which it is."""
    found = []
    for rows, distances in squared_distances(x, y, centre):
        if without is not None:
            distances.scatter_(1, without[rows, None], torch.inf)
        found.append(distances.min(1))
    return torch.cat([one.values for one in found]).numpy(), torch.cat([one.indices for one in found]).numpy()


class Memorisation(SampleFeatureMetric):
    """See the module; of models that have one output for an input too."""

    name: ClassVar = "memorisation"
    title: ClassVar = "Samples nearer to training images than to held-out ones"
    numbers: ClassVar = ()
    needs: ClassVar = Needs(images=_FEWEST + 1)

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self._images = FeatureRows(self.extractor)
        self.on_reals = self.on_train = (self._images,)
        train, most = setup.subject.train, min(MOST_TRAINING, len(setup.subject.reals))
        self.only_train = frozenset(self._draw("training", len(train), most).tolist())

    @classmethod
    def check(cls, setup: Setup) -> None:
        """See `Metric`."""
        super().check(setup)
        if setup.subject.model is None:
            raise UnmetNeedError("it needs a model, and the images that it was trained on")
        if len(setup.subject.train) < _FEWEST:
            raise UnmetNeedError(
                "it needs the images that the model was trained on, beside others: measure a split that it was not "
                "trained on, and give their dataset with --training-data if they are not in its split train"
            )

    def summarise(self, found: Found) -> MetricResult:
        """See `Metric`; training images that cannot be read are left out."""
        samples, reals = self.features(found), found.reals[self._images.spec]
        seen = found.train[self._images.spec]
        readable = seen[np.isfinite(seen).all(axis=1)]
        is_paired = not self.setup.subject.no_ground_truth
        count = min(len(readable), len(reals) - is_paired)
        if count < 1:
            warning = "no training image could be read, so that nothing is known of memorisation."
            return self.result(found, MetricResult(metric=self.name, title=self.title, scores=(), warnings=(warning,)))
        readable = readable[self._draw("readable", len(readable), count)]
        held_out = self._draw("held-out", len(reals), count + is_paired)
        outcome = memorisation(
            samples, readable, reals[held_out], ignored=self._ignored(held_out) if is_paired else None
        )
        note = (
            f"share nearer to one of {count} training images than to any of {count} others; "
            f"chance: 0.5 ± {min(0.5, 1.96 * outcome.deviation):.2g}"
        )
        number = Number(self.name, "neither")
        depends: Mapping[str, Any] = {"images": count, "own_ground_truth": "left out" if is_paired else "none"}
        result = MetricResult(
            metric=self.name,
            title=self.title,
            scores=(number.score(mean_estimate(outcome.nearer, seed=self.seed), note),),
            depends_on=depends,
        )
        return self.result(found, result)

    def _draw(self, what: str, count: int, most: int) -> np.ndarray:
        """Some of `count` images, in ascending order."""
        return np.sort(numpy_generator(self.seed, f"memorisation/{what}", position=count).permutation(count)[:most])

    def _ignored(self, held_out: np.ndarray) -> np.ndarray:
        """The place of each input's ground truth among the held-out images; of those that have none there the last."""
        assert self.only is not None
        places = {int(image): place for place, image in enumerate(held_out)}
        return np.array([places.get(index, len(held_out) - 1) for index in sorted(self.only)])
