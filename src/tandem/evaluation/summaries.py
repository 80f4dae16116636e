"""From rows to results: numbers with their uncertainty, what they depend on, and where they mislead."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from tandem.data.synthetic import coverage
from tandem.evaluation.bijection import UNINFORMED_ERROR, latent_errors
from tandem.evaluation.diversity import BestOfN, diversity_of
from tandem.evaluation.estimates import Estimate, mean_estimate, pairs_estimate
from tandem.evaluation.features import FeatureSpec
from tandem.evaluation.frechet import frechet_warnings
from tandem.evaluation.frechet_bias import frechet_bootstrap, frechet_infinity
from tandem.evaluation.kernel import kid
from tandem.evaluation.lpips import LPIPSSpec
from tandem.evaluation.networks.weights import WeightsSource
from tandem.evaluation.prdc import prdc
from tandem.evaluation.segmentation import ConfusionMatrix
from tandem.report.scores import Better, Measured, Score
from tandem.report.text import number

_PRDC_K = 5
_CHEAP = 512
_INFINITY_IMAGES = 20
_TITLES = {"l1": "L1 to the truth", "psnr": "PSNR (dB)", "ssim": "SSIM", "ms-ssim": "MS-SSIM"}
_WAY_TITLES = {
    "cycle": "There and back: L1 of an input to what comes back",
    "identity": "Identity: L1 of a real output to what the model makes of it",
}
_FRECHET_TITLES = {"fid": "Fréchet inception distance (FID)", "frechet": "Fréchet distance"}
_BETTER: dict[str, Better] = {"l1": "lower", "psnr": "higher", "ssim": "higher", "ms-ssim": "higher"}


def score_of(name: str, estimate: Estimate, better: Better, note: str = "") -> Score:
    """A score from an estimate."""
    return Score(name=name, better=better, note=note, **dataclasses.asdict(estimate))


def plain_score(name: str, value: float, better: Better, count: int, note: str = "") -> Score:
    """A score without uncertainty."""
    return Score(name=name, value=float(value), better=better, count=count, note=note)


def frechet_result(metric: str, real: np.ndarray, fake: np.ndarray, spec: FeatureSpec, seed: int) -> Measured:
    """The Fréchet distance, with FID∞ where there are enough images for a line."""
    fewest, num_features = min(len(real), len(fake)), real.shape[1]
    resamples = 50 if min(fewest, num_features) <= _CHEAP else 10
    estimate = frechet_bootstrap(real, fake, num_resamples=resamples, seed=seed)
    scores, curve = [score_of(metric, estimate, "lower")], ()
    warnings = frechet_warnings(num_real=len(real), num_fake=len(fake), num_features=num_features)
    if fewest >= _INFINITY_IMAGES:
        limit = frechet_infinity(real, fake, seed=seed)
        note = "" if limit.is_reliable else "unreliable: fewer images than features"
        scores.append(plain_score(f"{metric}-infinity", limit.value, "lower", fewest, note))
        curve = tuple((1 / share, value) for share, value in zip(limit.shares, limit.values, strict=True))
    depends = features_depend(spec, real, fake) | {"bootstrap_resamples": resamples, "seed": seed}
    return Measured(
        metric=metric,
        title=_FRECHET_TITLES[metric],
        scores=tuple(scores),
        depends_on=depends,
        warnings=(*warnings, *_unpublished(spec)),
        curve=curve,
    )


def kid_result(real: np.ndarray, fake: np.ndarray, spec: FeatureSpec, seed: int) -> Measured:
    """KID of the whole sets."""
    estimate = kid(real, fake, seed=seed)
    note = f"times 1000: {number(estimate.value * 1000)}"
    return Measured(
        metric="kid",
        title="Kernel distance (KID)",
        scores=(score_of("kid", estimate, "lower", note),),
        depends_on=features_depend(spec, real, fake) | {"seed": seed},
        warnings=_unpublished(spec),
    )


def prdc_result(real: np.ndarray, fake: np.ndarray, spec: FeatureSpec, seed: int) -> Measured:
    """Precision, recall, density, coverage; their intervals are over the images that are counted, for given balls.

    Resampling the images that the balls are around is no way: an image that is drawn twice has itself as a neighbour.
    """
    found = prdc(real, fake, k=_PRDC_K)
    estimates = {name: mean_estimate(values, seed=seed) for name, values in found.per_image.items()}
    return Measured(
        metric="prdc",
        title="Precision, recall, density, coverage",
        scores=tuple(
            score_of(name, dataclasses.replace(estimate, method="percentile bootstrap, same balls"), "higher")
            for name, estimate in estimates.items()
        ),
        depends_on=features_depend(spec, real, fake) | {"k": _PRDC_K, "seed": seed},
        warnings=_unpublished(spec),
    )


def paired_result(metric: str, rows: np.ndarray, seed: int) -> Measured:
    """A distance to the truth, ``(N, M)``: mean over samples, and of the best sample where there are several."""
    better = _BETTER[metric]
    warnings: tuple[str, ...] = ()
    kept = np.isfinite(rows).all(axis=1)
    if not kept.all():
        warnings = (
            f"{int((~kept).sum())} of {len(rows)} images are equal to their truth, so that their {metric} is infinite: "
            "they are left out of its mean.",
        )
    scores = []
    if kept.any():
        scores.append(score_of(metric, mean_estimate(rows[kept], seed=seed), better))
        if rows.shape[1] > 1:
            best = rows[kept].min(axis=1) if better == "lower" else rows[kept].max(axis=1)
            note = f"the best of {rows.shape[1]} samples"
            scores.append(score_of(f"{metric}-best", mean_estimate(best, seed=seed), better, note))
    depends: dict[str, Any] = {"inputs": int(kept.sum()), "samples": rows.shape[1], "seed": seed}
    if metric in {"ssim", "ms-ssim"}:
        depends["border"] = "reflect"
    return Measured(metric=metric, title=_TITLES[metric], scores=tuple(scores), depends_on=depends, warnings=warnings)


def lpips_result(metric: str, rows: np.ndarray, spec: LPIPSSpec, seed: int) -> Measured:
    """LPIPS to the truth: the mean over samples, or the best of N."""
    several = rows.shape[1]
    best = metric == "best-of-n"
    scores = [score_of(metric, mean_estimate(rows.min(axis=1) if best else rows, seed=seed), "lower")]
    if best and several > 2:
        half = several // 2
        expected = BestOfN(mean_estimate(rows), mean_estimate(rows), rows).expected_best(half)
        scores.append(score_of(f"best-of-{half}", mean_estimate(expected, seed=seed), "lower", "from the same samples"))
    warnings = _unpublished(spec)
    if spec.version != "v0.1":
        warnings += (f"LPIPS {spec.version} to the truth: most published numbers are v0.1; the two must not be mixed.",)
    depends = lpips_depends(spec) | {"inputs": len(rows), "samples": several, "seed": seed}
    title = f"LPIPS of the best of {several} samples" if best else "LPIPS to the truth"
    return Measured(metric=metric, title=title, scores=tuple(scores), depends_on=depends, warnings=warnings)


def diversity_result(
    rows: np.ndarray, real: np.ndarray | None, pairs: np.ndarray, spec: LPIPSSpec, seed: int
) -> Measured:
    """BicycleGAN's diversity, with the distances `real` of random `pairs` of real images beside it."""
    found = diversity_of(rows, spec, seed=seed)
    scores = [score_of("lpips-diversity", found.estimate, "higher")]
    if real is not None:
        note = "random pairs of real images: the scale"
        scores.append(score_of("lpips-real-pairs", pairs_estimate(real, pairs), "neither", note))
    warnings = _unpublished(spec)
    if spec.version != "v0.0":
        warnings += (f"diversity with LPIPS {spec.version}: published diversity is v0.0; the two must not be mixed.",)
    depends = lpips_depends(spec) | {
        "inputs": rows.shape[0],
        "samples": rows.shape[1] + 1,
        "differs_from_protocol_in": list(found.deviations),
        "real_pairs": 0 if real is None else len(pairs),
        "seed": seed,
    }
    return Measured(
        metric="lpips-diversity",
        title="Diversity of the samples of an input (LPIPS)",
        scores=tuple(scores),
        depends_on=depends,
        warnings=warnings,
    )


def l1_diversity_result(rows: np.ndarray, seed: int) -> Measured:
    """Diversity in pixels."""
    return Measured(
        metric="l1-diversity",
        title="Diversity of the samples of an input (L1)",
        scores=(score_of("l1-diversity", mean_estimate(rows, seed=seed), "higher"),),
        depends_on={"inputs": rows.shape[0], "samples": rows.shape[1] + 1, "seed": seed},
    )


def bijection_result(codes: np.ndarray, images: np.ndarray | None, seed: int) -> Measured:
    """Round trips of the encoder: codes ``(N, 2, M, d)``, and L1 ``(N, 1)`` of the truth to its reconstruction."""
    found = latent_errors(codes[:, 0], codes[:, 1], seed=seed)
    note = f"an encoder that knows nothing: {UNINFORMED_ERROR:.3f}"
    scores = [score_of("z-error", found.error, "lower", note)]
    if np.isfinite(found.r_squared).all():
        scores.append(plain_score("z-r-squared", float(found.r_squared.mean()), "higher", len(codes), "mean over z"))
    if images is not None:
        scores.append(score_of("reconstruction-l1", mean_estimate(images[:, 0], seed=seed), "lower"))
    depends = {
        "inputs": len(codes),
        "samples": codes.shape[2],
        "r_squared": [float(one) if np.isfinite(one) else None for one in found.r_squared],
        "seed": seed,
    }
    title = "Round trips: z → image → z, image → z → image"
    return Measured(metric="bijection", title=title, scores=tuple(scores), depends_on=depends)


def way_result(metric: str, rows: np.ndarray, seed: int) -> Measured:
    """A distance ``(N, 1)`` that needs no pairs."""
    score = score_of(metric, mean_estimate(rows[:, 0], seed=seed), "lower")
    return Measured(
        metric=metric, title=_WAY_TITLES[metric], scores=(score,), depends_on={"images": len(rows), "seed": seed}
    )


def coverage_result(modes: np.ndarray) -> Measured:
    """Mode coverage on the demo data, ``(N, M)``."""
    found = coverage(modes.astype(np.int64))
    count = len(modes)
    distance = f"an ideal sampler: {found.expected_frequency_distance:.3f}"
    scores = (
        plain_score("modes", found.covered, "higher", count, f"of {found.num_modes}; ideal: {found.expected:.2f}"),
        plain_score("frequency-distance", found.frequency_distance, "lower", count, distance),
        plain_score("no-mode", found.unassigned, "lower", count, "share of samples that show no mode"),
    )
    depends = {"inputs": count, "samples": found.num_samples, "frequencies": list(found.frequencies)}
    return Measured(metric="mode-coverage", title="Mode coverage", scores=scores, depends_on=depends)


def segmentation_result(counts: np.ndarray, source: WeightsSource) -> Measured:
    """The segmentation score from confusions ``(N, K, K)``."""
    found = ConfusionMatrix.from_state({"counts": counts.sum(axis=0)}).score()
    names = ("pixel_accuracy", "class_accuracy", "mean_iou")
    scores = tuple(plain_score(name.replace("_", "-"), getattr(found, name), "higher", len(counts)) for name in names)
    depends = {
        "weights": _source(source),
        "pixels": found.num_pixels,
        "class_accuracies": _finite(found.accuracies),
        "class_ious": _finite(found.ious),
    }
    return Measured(metric="segmentation", title="Segmentation score", scores=scores, depends_on=depends)


def features_depend(spec: FeatureSpec, real: np.ndarray, fake: np.ndarray) -> dict[str, Any]:
    """What a distance between features depends on."""
    return {
        "network": spec.network,
        "tap": spec.tap,
        "num_features": real.shape[1],
        "resizer": spec.resizer,
        "input": dataclasses.asdict(spec.input),
        "precision": spec.precision,
        "weights": _source(spec.weights),
        "num_real": len(real),
        "num_generated": len(fake),
    }


def lpips_depends(spec: LPIPSSpec) -> dict[str, Any]:
    """What an LPIPS depends on."""
    sources = {"backbone": spec.backbone_weights, "heads": spec.head_weights}
    return {"version": spec.version, "network": spec.network} | {
        name: None if source is None else _source(source) for name, source in sources.items()
    }


def _source(source: WeightsSource) -> dict[str, Any]:
    return {"file": source.path.name, "sha256": source.sha256, "published": source.published}


def _unpublished(spec: FeatureSpec | LPIPSSpec) -> tuple[str, ...]:
    """Names networks that a published name stands for, with other weights in them."""
    sources: Sequence[WeightsSource | None]
    if isinstance(spec, FeatureSpec):
        sources = [spec.weights] if spec.network == "inception-fid" else []
    else:
        sources = [spec.backbone_weights, spec.head_weights]
    return tuple(
        f"{source.path.name} is not the published file of '{source.name}': the number is another metric."
        for source in sources
        if source is not None and not source.published
    )


def _finite(values: np.ndarray) -> list[float | None]:
    return [float(value) if np.isfinite(value) else None for value in values]
