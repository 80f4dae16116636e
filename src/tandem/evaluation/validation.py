"""What measures a model while it trains: the metrics of ``tandem evaluate`` on part of a held-out split.

The numbers are those that ``tandem evaluate`` gives for the exported model on the same inputs with the same number of
samples, seed and ``--fit``: planning, measuring and summarising are the same code, with the networks of the run in
place of a bundle's.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tandem.checkpoint.manifest import WeightsFile
from tandem.config.data import DataConfig
from tandem.config.run import RunConfig
from tandem.config.validation import AUTO, ValidationConfig
from tandem.data.discover import PairedFolder
from tandem.errors import ConfigError, NonFiniteError
from tandem.evaluation.gather import gather
from tandem.evaluation.held_out import HeldOut, held_out
from tandem.evaluation.measurements import Measurement
from tandem.evaluation.options import METRICS, EvaluationOptions, MetricName, parse_metrics
from tandem.evaluation.plan import Found, Planned, distinct, plan, real_pairs
from tandem.evaluation.round_trips import IdentityDistance
from tandem.evaluation.situation import Situation, split_situation
from tandem.evaluation.tools import Tools
from tandem.inference.inputs import Fit
from tandem.inference.torch_engine import TorchEngine
from tandem.inference.translator import Translator
from tandem.report.scores import Better
from tandem.training.inputs import Inputs, fingerprint_of
from tandem.training.validation import BestRule, LiveModel

CHEAP: tuple[MetricName, ...] = ("l1", "ssim", "l1-diversity", "frechet", "cycle", "identity")
"""What ``auto`` takes of what there is."""
TELLING = {
    True: ("frechet", "ssim-best", "ssim", "l1-best", "l1"),
    False: ("frechet", "cycle", "identity"),
}
"""By which number the best checkpoint is chosen, for methods that train on pairs and for the others: the first that is
measured. A Fréchet distance sees quality and variety alike; the best of some samples does not punish variety."""
NUMBERS: Mapping[MetricName, Mapping[str, Better]] = {
    "fid": {"fid": "lower"},
    "kid": {"kid": "lower"},
    "prdc": {"precision": "higher", "recall": "higher", "density": "higher", "coverage": "higher"},
    "frechet": {"frechet": "lower"},
    "l1": {"l1": "lower", "l1-best": "lower"},
    "psnr": {"psnr": "higher", "psnr-best": "higher"},
    "ssim": {"ssim": "higher", "ssim-best": "higher"},
    "ms-ssim": {"ms-ssim": "higher", "ms-ssim-best": "higher"},
    "lpips": {"lpips": "lower"},
    "best-of-n": {"best-of-n": "lower"},
    "lpips-diversity": {"lpips-diversity": "higher"},
    "l1-diversity": {"l1-diversity": "higher"},
    "bijection": {"z-error": "lower", "reconstruction-l1": "lower"},
    "cycle": {"cycle": "lower"},
    "identity": {"identity": "lower"},
}
"""The numbers of each metric that can be had while training, and which way is better."""


def make_validator(config: RunConfig, inputs: Inputs, model: LiveModel) -> "MetricValidator":
    """Prepare the validations of a run.

    Args:
        config: All options.
        inputs: The data.
        model: What is measured.

    Raises:
        DataError: There is no held-out split.
        ConfigError: A metric cannot be computed, or is unknown; or no number is called as ``--keep-best`` says.
        WeightsError: A network of a metric cannot be had.
    """
    options = config.validation
    images = held_out(inputs.splits, options.validate_images)
    weights = WeightsFile(file="", sha256="in training")
    translator = Translator(dataclasses.replace(model.manifest, weights=weights), _LiveEngine(model))
    settings = _settings(config)
    tools = Tools(settings, device=model.device, may_download=True)
    ways = []
    for way in translator.directions:
        situation = split_situation(translator, images.folder, settings, direction=way, positions=images.places[way])
        ways.append(_Way(way, situation, settings, _planned(situation, settings, options, tools)))
    return MetricValidator(config, images, ways, tools)


class MetricValidator:
    """Measures the networks of a run; see `tandem.training.validation.Validator`."""

    def __init__(self, config: RunConfig, images: HeldOut, ways: Sequence["_Way"], tools: Tools) -> None:
        self._ways, self._images = ways, images
        several = ways[0].situation.num_samples > 1
        self._metrics: list[MetricName] = list(dict.fromkeys(one.metric for way in ways for one in way.planned))
        self._better = {
            name: better
            for metric in self._metrics
            for name, better in NUMBERS[metric].items()
            if several or not name.endswith("-best")
        }
        if len(ways) > 1:
            self._better |= {
                f"{name}-{way.direction}": better for name, better in dict(self._better).items() for way in ways
            }
        self.conditions: dict[str, Any] = {
            "split": images.folder.split,
            "inputs": images.num_inputs,
            "samples": ways[0].situation.num_samples,
            "seed": config.training.seed,
            "fit": ways[0].options.fit,
            "data": fingerprint_of(images.folder)[:16],
        }
        if "frechet" in self._metrics:
            self.conditions["features"] = tools.features().spec.weights.sha256[:16]
        self.rule = self._rule(config)

    def describe(self) -> str:
        """See `Validator`."""
        folder, number, samples = self._images.folder, self._images.num_inputs, self.conditions["samples"]
        several = f", {samples} samples each" if samples > 1 else ""
        what = "pairs" if isinstance(folder, PairedFolder) else "images a side"
        flattered = "; without a split val the best checkpoint is chosen on test, whose numbers then flatter it"
        where = f"{number} of {self._images.num_all} {what} of {folder.split}{several}"
        return f"{', '.join(self._metrics)} on {where}{flattered if folder.split == 'test' else ''}"

    def __call__(self) -> dict[str, float | None]:
        """See `Validator`."""
        found = {way.direction: way.measure() for way in self._ways}
        numbers: dict[str, float] = {}
        for name in self._better:
            base, _, way = name.rpartition("-")
            if len(found) > 1 and way in found:
                numbers[name] = found[way].get(base, math.nan)
            else:
                numbers[name] = float(np.mean([one.get(name, math.nan) for one in found.values()]))
        return {name: value if math.isfinite(value) else None for name, value in numbers.items()}

    def _rule(self, config: RunConfig) -> BestRule:
        wanted, conditions = config.validation.keep_best, str(sorted(self.conditions.items()))
        if wanted == AUTO:
            telling = TELLING[config.objective.paired]
            name = next((name for name in telling if name in self._better), None)
            if name is None:
                reason = f"none of {', '.join(telling)} is measured; --keep-best NAME takes another number"
                return BestRule("", reason=reason)
        elif wanted in self._better:
            name = wanted
        else:
            raise ConfigError(
                f"--keep-best {wanted}: no number is called so; measured are {', '.join(self._better) or 'none'}."
            )
        better = self._better[name]
        return BestRule(name, "higher" if better == "higher" else "lower", conditions)


@dataclasses.dataclass
class _Way:
    """One direction of the model, and what is measured of it.

    Attributes:
        direction: Which.
        situation: What is measured.
        options: How.
        planned: The metrics.
        fixed: Rows that do not depend on the model, once they are known: of real images, and of pairs of them.
    """

    direction: str
    situation: Situation
    options: EvaluationOptions
    planned: Sequence[Planned]
    fixed: tuple[dict[str, np.ndarray], dict[str, np.ndarray]] | None = None

    def measure(self) -> dict[str, float]:
        """The numbers by name."""
        situation, size = self.situation, self.options.batch_size
        on_reals = distinct(one for metric in self.planned for one in metric.on_reals)
        moving = [one for one in on_reals if isinstance(one, IdentityDistance)]
        if self.fixed is None:
            still = [one for one in on_reals if one not in moving]
            on_pairs = distinct(one for metric in self.planned for one in metric.on_pairs)
            pairs = real_pairs(situation, self.options) if on_pairs else []
            self.fixed = (_rows(situation.reals, still, size), _rows(pairs, on_pairs, size))
        reals, pairs_rows = self.fixed
        on_cases = distinct(one for metric in self.planned for one in metric.on_cases)
        only = {one.spec: metric.only for metric in self.planned if metric.only is not None for one in metric.on_cases}
        rows = gather(situation.cases, on_cases, cache=None, batch_size=size, only=only) if on_cases else {}
        found = Found(rows, reals | _rows(situation.reals, moving, size), pairs_rows)
        return {score.name: score.value for metric in self.planned for score in metric.summarise(found).scores}


class _LiveEngine(TorchEngine):
    """Runs the networks of a run, which are in the state of sampling already."""

    def __init__(self, model: LiveModel) -> None:
        super().__init__(model.networks, model.device, noise=False)

    def generate(self, generator: str, a: np.ndarray, z: np.ndarray, seed: int | None) -> np.ndarray:
        """See `Engine`."""
        images = super().generate(generator, a, z, seed)
        if not np.isfinite(images).all():
            raise NonFiniteError("the samples of the validation's inputs are not finite: the weights have diverged")
        return images


def _rows(cases: Sequence[Any], measurements: Sequence[Measurement], batch_size: int) -> dict[str, np.ndarray]:
    return gather(cases, measurements, cache=None, batch_size=batch_size) if measurements else {}


def _settings(config: RunConfig) -> EvaluationOptions:
    options = config.validation
    return EvaluationOptions(
        num_samples=options.validate_samples,
        seed=config.training.seed,
        fit=_fit(config.data),
        features=None if options.validate_features is None else Path(options.validate_features),
        features_size=options.validate_features_size,
        features_range=options.validate_features_range,
        trust_torchscript=options.validate_trust_torchscript,
    )


def _fit(data: DataConfig) -> Fit:
    """Images are brought to the training size where training does that too."""
    return "pad" if data.preprocess in {"crop", "none"} else "resize"


def _planned(
    situation: Situation, settings: EvaluationOptions, options: ValidationConfig, tools: Tools
) -> list[Planned]:
    try:
        if options.validate_metrics != AUTO:
            return _plan(situation, settings, _known(parse_metrics(options.validate_metrics)), tools)
        planned: list[Planned] = []
        for metric in CHEAP:
            if metric == "identity" and "cycle" in {one.metric for one in planned}:
                continue  # says less, and costs as much
            try:
                planned += _plan(situation, settings, (metric,), tools)
            except ConfigError:
                if metric == "frechet" and options.validate_features is not None:
                    raise  # what was asked for must not be left out
        return planned
    except ConfigError as error:
        raise ConfigError(_in_own_words(str(error))) from error


def _plan(
    situation: Situation, settings: EvaluationOptions, metrics: tuple[MetricName, ...], tools: Tools
) -> list[Planned]:
    return plan(situation, dataclasses.replace(settings, metrics=metrics), lambda _: tools)[0]


def _known(metrics: tuple[MetricName, ...]) -> tuple[MetricName, ...]:
    if extra := [name for name in metrics if name not in NUMBERS]:
        raise ConfigError(
            f"--metrics: {', '.join(extra)} cannot be had while training, only with 'tandem evaluate'; the others are "
            f"{', '.join(name for name in METRICS if name in NUMBERS)}."
        )
    return metrics


def _in_own_words(text: str) -> str:
    for name in ("metrics", "features", "num-samples"):
        text = text.replace(f"--{name}", f"--validate-{name.removeprefix('num-')}")
    return text
