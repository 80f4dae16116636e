"""Distances between many images need little more memory than their features."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from tandem.evaluation.estimates import mean_estimate, resample_counts
from tandem.evaluation.metrics import crps, energy_score, interval_coverage, memorisation, rank_histograms
from tandem.evaluation.metrics.kid import kid
from tandem.evaluation.metrics.prdc import prdc

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")

pytestmark = pytest.mark.skipif(not CLEAR.exists(), reason="needs Linux")


def megabytes(name: str) -> float:
    return next(int(line.split()[1]) for line in STATUS.read_text().splitlines() if line.startswith(name)) / 2**10


def growth(work: Callable[[], object]) -> float:
    """How much the most memory that this process holds meanwhile is above what it holds now."""
    CLEAR.write_text("5")  # the peak is what is held now
    before = megabytes("VmRSS:")
    work()
    return megabytes("VmHWM:") - before


def features(count: int) -> np.ndarray:
    return np.random.default_rng(count).standard_normal((count, 16), dtype=np.float32)


def test_kid_with_its_bootstrap() -> None:
    """Kernels of 1,024 x 6,000 in float64 are 47 MB each, of which a whole row of blocks would need three."""
    real, fake = features(6000), features(6001)
    kid(real[:1100], fake[:1100], num_resamples=20)  # what libraries keep
    assert growth(lambda: kid(real, fake, num_resamples=20)) < 70


def test_precision_and_coverage() -> None:
    real, fake = features(6000), features(6001)
    prdc(real[:1100], fake[:1100])
    assert growth(lambda: prdc(real, fake)) < 120


def test_the_bootstrap_of_a_mean() -> None:
    """All counts of 2,000 resamples of 6,000 would be 92 MB, and as much again as floats."""
    values = features(6000)[:, 0]
    mean_estimate(values[:100])
    assert growth(lambda: mean_estimate(values)) < 30


def test_resamples_in_parts_are_those_of_one_draw() -> None:
    counts = resample_counts(3000, 300, 0, "x")
    assert counts.dtype == np.uint16
    assert (counts.sum(axis=1) == 3000).all()
    assert np.array_equal(counts[:5], resample_counts(3000, 5, 0, "x"))


def test_an_ensemble_of_many_samples() -> None:
    """The floats of 100 samples are 157 MB, and copies of them are sorted and compared."""
    samples = torch.randint(0, 256, (100, 3, 256, 256), dtype=torch.uint8)

    def work() -> None:
        crps(samples, samples[0])
        energy_score(samples, samples[0])
        interval_coverage(samples, samples[0], 50)
        rank_histograms(samples[:20], samples[0])

    work()
    assert growth(work) < 90


def test_the_nearest_of_many_images() -> None:
    """Distances of 6,000 samples to 6,000 images are 288 MB."""
    samples, images = features(6000)[:, None], features(6001)
    memorisation(samples[:100], images[:100], images[100:200])
    assert growth(lambda: memorisation(samples, images[:6000], images[1:])) < 70
