"""The metrics, each in a file of its own, and their functions for use from Python.

A new metric is a file and a place in `STANDARD_METRICS`; see ``docs/architecture.md``, *Adding a metric*.
"""

from tandem.evaluation.metric import MetricSet
from tandem.evaluation.metrics.afd import AFD, average_feature_distance
from tandem.evaluation.metrics.best_of_n import BestOfN, best_of_n
from tandem.evaluation.metrics.bijection import Bijection, image_round_trip, latent_round_trip
from tandem.evaluation.metrics.calibrated import CalibratedCoverage, FlaggedFdr, covered_share
from tandem.evaluation.metrics.contrast import Contrast
from tandem.evaluation.metrics.crps import CRPS, crps
from tandem.evaluation.metrics.cycle import Cycle
from tandem.evaluation.metrics.detail import Detail
from tandem.evaluation.metrics.energy_score import EnergyScore, energy_score
from tandem.evaluation.metrics.fid import FID
from tandem.evaluation.metrics.frechet import Frechet, frechet_distance
from tandem.evaluation.metrics.identity import Identity
from tandem.evaluation.metrics.interval_coverage import IntervalCoverage, interval_coverage, interval_of
from tandem.evaluation.metrics.kid import KID, kid
from tandem.evaluation.metrics.l1 import L1, l1
from tandem.evaluation.metrics.l1_diversity import L1Diversity, l1_diversity
from tandem.evaluation.metrics.labels import Labels
from tandem.evaluation.metrics.lpips import LpipsMean
from tandem.evaluation.metrics.lpips_diversity import LpipsDiversity, diversity_of
from tandem.evaluation.metrics.memorisation import Memorisation, memorisation
from tandem.evaluation.metrics.mode_coverage import ModeCoverage, measure_coverage
from tandem.evaluation.metrics.ms_ssim import MSSSIM, ms_ssim
from tandem.evaluation.metrics.prdc import PRDC, prdc
from tandem.evaluation.metrics.psnr import PSNR, psnr
from tandem.evaluation.metrics.rank_histogram import RankHistogram, flatness, rank_histograms
from tandem.evaluation.metrics.segmentation import Segmentation
from tandem.evaluation.metrics.spread_skill import SpreadSkill, spread_and_error, spread_skill
from tandem.evaluation.metrics.ssim import SSIM, ssim
from tandem.evaluation.metrics.vendi import Vendi, vendi_score
from tandem.evaluation.metrics.z_r2 import ZR2, read_latents

STANDARD_METRICS = MetricSet(
    (
        *(FID, KID, PRDC, Frechet),
        *(Labels, L1, PSNR, SSIM, MSSSIM, LpipsMean, BestOfN),
        *(CRPS, EnergyScore, SpreadSkill, IntervalCoverage, RankHistogram),
        *(LpipsDiversity, L1Diversity, Vendi, AFD, ZR2, Bijection, Cycle, Identity),
        *(CalibratedCoverage, FlaggedFdr),
        *(Contrast, Detail),
        *(Memorisation, ModeCoverage, Segmentation),
    )
)
"""The metrics that come with Tandem, in the order of a report."""

__all__ = [
    "STANDARD_METRICS",
    "average_feature_distance",
    "best_of_n",
    "covered_share",
    "crps",
    "diversity_of",
    "energy_score",
    "flatness",
    "frechet_distance",
    "image_round_trip",
    "interval_coverage",
    "interval_of",
    "kid",
    "l1",
    "l1_diversity",
    "latent_round_trip",
    "measure_coverage",
    "memorisation",
    "ms_ssim",
    "prdc",
    "psnr",
    "rank_histograms",
    "read_latents",
    "spread_and_error",
    "spread_skill",
    "ssim",
    "vendi_score",
]
