"""Which metrics can be computed here, what they need to measure, and how their rows become results."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from tandem.errors import ConfigError, MissingExtraError, TandemError, WeightsError
from tandem.evaluation import measurements as rows_of
from tandem.evaluation import summaries
from tandem.evaluation.diversity import protocol_inputs, random_pairs
from tandem.evaluation.features import FeatureExtractor
from tandem.evaluation.lpips import MIN_SIDE
from tandem.evaluation.measurements import Measurement
from tandem.evaluation.options import METRICS, EvaluationOptions, MetricName
from tandem.evaluation.paired import MS_SSIM_MIN_SIDE
from tandem.evaluation.round_trips import CycleDistance, IdentityDistance, trains_on_domains
from tandem.evaluation.situation import Situation
from tandem.evaluation.sources import RealPair
from tandem.evaluation.tools import Tools
from tandem.report.scores import LeftOut, Measured

Rows = Mapping[str, np.ndarray]

_PRDC_IMAGES = 6
_SSIM_MIN_SIDE = 11


@dataclass(frozen=True)
class Found:
    """What was measured, by the spec of the measurement.

    Attributes:
        cases: On the generated images.
        reals: On the real ones.
        pairs: On random pairs of real ones.
    """

    cases: Rows
    reals: Rows
    pairs: Rows


@dataclass(frozen=True)
class Planned:
    """A metric that will be computed.

    Attributes:
        metric: Its name.
        on_cases: What is measured on the generated images.
        on_reals: What is measured on the real ones.
        summarise: From the rows of all to the result.
        on_pairs: What is measured on random pairs of real images.
        only: Which cases are needed; None for all.
    """

    metric: MetricName
    summarise: Callable[[Found], Measured]
    on_cases: tuple[Measurement, ...] = ()
    on_reals: tuple[Measurement, ...] = ()
    on_pairs: tuple[Measurement, ...] = ()
    only: frozenset[int] | None = None


def plan(
    situation: Situation, options: EvaluationOptions, make_tools: Callable[[bool], Tools]
) -> tuple[list[Planned], list[LeftOut]]:
    """Choose the metrics.

    Args:
        situation: What there is to measure.
        options: Which metrics are wanted.
        make_tools: Gives the networks; the argument says whether weights may be downloaded, which they are only for
            metrics that were asked for by name.

    Raises:
        ConfigError: A metric that was asked for cannot be computed, or none can.
        WeightsError: Weights of a metric that was asked for are missing.
    """
    by_name = options.metrics is not None
    tools = make_tools(by_name and options.may_download)
    planned: list[Planned] = []
    left_out: list[LeftOut] = []
    for metric in options.metrics or METRICS:
        try:
            planned.append(_Planner(situation, options, tools).plan(metric))
        except (ConfigError, WeightsError, MissingExtraError) as error:
            if by_name:
                raise _named(error, metric) from error
            left_out.append(LeftOut(metric=metric, reason=_reason(error)))
    if not planned:
        raise ConfigError(
            "no metric can be computed here:\n" + "\n".join(f"- {o.metric}: {o.reason}" for o in left_out)
        )
    return planned, left_out


class _Planner:
    def __init__(self, situation: Situation, options: EvaluationOptions, tools: Tools) -> None:
        self._situation, self._options, self._tools = situation, options, tools
        self._count = situation.num_samples

    def plan(self, metric: MetricName) -> Planned:
        tools = self._tools
        plans: dict[MetricName, Callable[[], Planned]] = {
            "fid": lambda: self._features(metric, tools.inception),
            "kid": lambda: self._features(metric, tools.features_or_inception),
            "prdc": lambda: self._features(metric, tools.features_or_inception),
            "frechet": lambda: self._features(metric, tools.features),
            "lpips": lambda: self._lpips(metric),
            "best-of-n": lambda: self._lpips(metric),
            "lpips-diversity": self._lpips_diversity,
            "l1-diversity": self._l1_diversity,
            "bijection": self._bijection,
            "cycle": self._cycle,
            "identity": self._identity,
            "mode-coverage": self._coverage,
            "segmentation": self._segmentation,
        }
        return plans[metric]() if metric in plans else self._paired(metric)

    @property
    def _seed(self) -> int:
        return self._options.seed

    def _features(self, metric: MetricName, load: Callable[[], FeatureExtractor]) -> Planned:
        self._need_images(_PRDC_IMAGES if metric == "prdc" else 2)
        extractor = load()
        rows = rows_of.Features(extractor)
        spec = extractor.spec

        def summarise(found: Found) -> Measured:
            real, fake = found.reals[rows.spec], found.cases[rows.spec]
            if metric == "kid":
                return summaries.kid_result(real, fake, spec, self._seed)
            if metric == "prdc":
                return summaries.prdc_result(real, fake, spec, self._seed)
            return summaries.frechet_result(metric, real, fake, spec, self._seed)

        return Planned(metric, summarise, (rows,), (rows,))

    def _paired(self, metric: MetricName) -> Planned:
        self._need_truth()
        self._need_side({"ssim": _SSIM_MIN_SIDE, "ms-ssim": MS_SSIM_MIN_SIDE}.get(metric, 1))
        rows = rows_of.PairedDistances(metric, self._count)
        return Planned(
            metric, lambda found: summaries.paired_result(metric, found.cases[rows.spec], self._seed), (rows,)
        )

    def _lpips(self, metric: MetricName) -> Planned:
        self._need_truth()
        self._need_side(MIN_SIDE)
        if metric == "best-of-n":
            self._need_samples(2)
        distance = self._tools.lpips("v0.1")
        rows = rows_of.LpipsToTruth(distance, self._count)
        return Planned(
            metric,
            lambda found: summaries.lpips_result(metric, found.cases[rows.spec], distance.spec, self._seed),
            (rows,),
        )

    def _lpips_diversity(self) -> Planned:
        self._need_samples(2)
        self._need_side(MIN_SIDE)
        distance = self._tools.lpips("v0.0")
        rows = rows_of.LpipsDiversity(distance, self._count)
        chosen = protocol_inputs(len(self._situation.cases), seed=self._seed)

        scale = rows_of.LpipsDiversity(distance, 2)
        pairs = real_pair_numbers(self._situation, self._options)

        def summarise(found: Found) -> Measured:
            real = found.pairs[scale.spec][:, 0] if len(pairs) > 1 else None
            return summaries.diversity_result(found.cases[rows.spec], real, pairs, distance.spec, self._seed)

        return Planned("lpips-diversity", summarise, (rows,), on_pairs=(scale,), only=frozenset(chosen.tolist()))

    def _l1_diversity(self) -> Planned:
        self._need_samples(2)
        rows = rows_of.L1Diversity(self._count)
        return Planned(
            "l1-diversity", lambda found: summaries.l1_diversity_result(found.cases[rows.spec], self._seed), (rows,)
        )

    def _bijection(self) -> Planned:
        model = self._situation.model
        if model is None or not model.translator.abilities.has_encoder:
            raise ConfigError("it needs a model with an encoder")
        codes = rows_of.RecoveredCodes(self._count)
        again = None if self._situation.no_truth else rows_of.Reconstruction()

        def summarise(found: Found) -> Measured:
            return summaries.bijection_result(
                found.cases[codes.spec], None if again is None else found.cases[again.spec], self._seed
            )

        return Planned("bijection", summarise, (codes,) if again is None else (codes, again))

    def _cycle(self) -> Planned:
        model = self._situation.model
        if model is None or len(model.translator.directions) != 2:
            raise ConfigError("it needs a model that translates both ways (CycleGAN)")
        rows = CycleDistance()
        return Planned("cycle", lambda f: summaries.way_result("cycle", f.cases[rows.spec], self._seed), (rows,))

    def _identity(self) -> Planned:
        model = self._situation.model
        if model is None or not trains_on_domains(model.translator.manifest.method):
            raise ConfigError("it needs a model that was trained on two domains (CycleGAN, CUT)")
        spec = model.translator.abilities.generator(model.direction).spec
        if spec.in_channels != spec.out_channels:
            raise ConfigError("it needs a model whose inputs have the channels of its outputs")
        rows = IdentityDistance(model)
        return Planned(
            "identity",
            lambda f: summaries.way_result("identity", f.reals[rows.spec], self._seed),
            on_reals=(rows,),
        )

    def _coverage(self) -> Planned:
        demo = self._situation.demo
        if demo is None:
            raise ConfigError("it needs the demo dataset (tandem data demo), whose distribution is known")
        model = self._situation.model
        if model is not None and model.direction != "AtoB":
            raise ConfigError("it needs a model that translates drawings (A) into renderings (B)")
        rows = rows_of.Modes(*demo, self._count)
        return Planned("mode-coverage", lambda found: summaries.coverage_result(found.cases[rows.spec]), (rows,))

    def _segmentation(self) -> Planned:
        if self._situation.model is None:
            raise ConfigError("it needs a model whose inputs are label maps in the colours of the palette")
        segmenter = self._tools.segmenter()
        assert self._options.palette is not None
        palette = np.array(self._options.palette)
        rows = rows_of.Confusions(segmenter, palette, self._options.palette_distance)
        return Planned(
            "segmentation",
            lambda found: summaries.segmentation_result(found.cases[rows.spec], segmenter.source),
            (rows,),
        )

    def _need_truth(self) -> None:
        if self._situation.no_truth:
            raise ConfigError(self._situation.no_truth)

    def _need_samples(self, least: int) -> None:
        if self._count >= least:
            return
        model = self._situation.model
        if model is not None and model.translator.is_stochastic:
            raise ConfigError(f"it needs at least {least} samples of each input, not --num-samples {self._count}")
        raise ConfigError("it needs a model that gives several samples of one input")

    def _need_side(self, least: int) -> None:
        if min(self._situation.size) < least:
            height, width = self._situation.size
            raise ConfigError(f"it needs sides of at least {least} px; the images are {width} x {height}")

    def _need_images(self, least: int) -> None:
        fewest = min(len(self._situation.reals), len(self._situation.cases))
        if fewest < least:
            raise ConfigError(f"it needs at least {least} images on both sides, not {fewest}")


def real_pair_numbers(situation: Situation, options: EvaluationOptions) -> np.ndarray:
    """Which real images are the random pairs, ``(P, 2)``; none of fewer than two images."""
    count = len(situation.reals)
    return random_pairs(count, seed=options.seed) if count > 1 else np.zeros((0, 2), np.int64)


def real_pairs(situation: Situation, options: EvaluationOptions) -> list[RealPair]:
    """Random pairs of real images, brought to the size of the generated ones."""
    reals = situation.reals
    return [RealPair(reals[i], reals[j], situation.size) for i, j in real_pair_numbers(situation, options)]


def distinct(measurements: Iterable[Measurement]) -> list[Measurement]:
    """Each measurement once, though several metrics want it."""
    return list({one.spec: one for one in measurements}.values())


def _named(error: TandemError, metric: str) -> TandemError:
    if isinstance(error, ConfigError):
        return ConfigError(f"--metrics {metric}: {str(error).rstrip('.')}.")
    return error


def _reason(error: TandemError) -> str:
    text = str(error)
    if isinstance(error, WeightsError) and "downloads are switched off" in text:
        name = text.split("'")[1]
        return f"the weights '{name}' are not on this machine; ask for the metric by name to have them downloaded"
    return text.rstrip(".")
