"""What measures a model while it trains: the metrics of ``tandem evaluate`` on part of a held-out split.

The numbers are those that ``tandem evaluate`` gives for the exported model on the same inputs with the same number of
samples, seed and ``--fit``: planning, measuring and summarising are the same code, with the networks of the run in
place of a bundle's.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from tandem.checkpoint.manifest import WeightsFile
from tandem.config.run import RunConfig
from tandem.config.validation import AUTO, ValidationConfig
from tandem.data.fit import FitRule
from tandem.errors import ConfigError, MetricError, NonFiniteError
from tandem.evaluation.cases import Case
from tandem.evaluation.held_out import HeldOut, held_out
from tandem.evaluation.metric import Found, Metric, MetricSet, Number, Setup
from tandem.evaluation.metrics import STANDARD_METRICS
from tandem.evaluation.networks.loader import NetworkLoader
from tandem.evaluation.options import EvaluationOptions
from tandem.evaluation.plan import distinct, planned_by_name
from tandem.evaluation.real_pairs import real_pairs
from tandem.evaluation.rows.gather import gather
from tandem.evaluation.rows.measurement import Measurement
from tandem.evaluation.run import only_of
from tandem.evaluation.subject import Subject, split_subject
from tandem.inference.torch_engine import TorchEngine
from tandem.inference.translator import Translator
from tandem.training.inputs import Inputs
from tandem.training.validation import BestRule, LiveModel


def make_validator(
    config: RunConfig, inputs: Inputs, model: LiveModel, *, known: MetricSet = STANDARD_METRICS
) -> "MetricValidator":
    """Prepare the validations of a run.

    Args:
        config: All options.
        inputs: The data.
        model: What is measured.
        known: The metrics that there are.

    Raises:
        DataError: There is no held-out split, or an image of it cannot be read.
        ConfigError: A metric cannot be computed, or is unknown; or no number is called as ``--keep-best`` says.
        WeightsError: A network of a metric cannot be had.
    """
    options = config.validation
    images = held_out(inputs.splits, options.validate_images)
    weights = WeightsFile(file="", sha256="in training")
    translator = Translator(dataclasses.replace(model.manifest, weights=weights), _LiveEngine(model))
    settings = _settings(config)
    networks = NetworkLoader(settings, device=model.device, may_download=True)
    measured = []
    for direction in translator.directions:
        places = images.places[direction]
        subject = split_subject(translator, images.folder, settings, direction=direction, positions=places)
        planned = _planned(Setup(subject, settings, lambda: networks), options, known)
        measured.append(_MeasuredDirection(direction, subject, settings, planned))

    def renew() -> None:
        translator.prior = model.prior()

    return MetricValidator(config, images, measured, known, renew=renew)


class MetricValidator:
    """Measures the networks of a run; see `tandem.training.validation.Validator`.

    Before each measurement `renew` brings the model to what the run would export then.
    """

    def __init__(
        self,
        config: RunConfig,
        images: HeldOut,
        directions: Sequence["_MeasuredDirection"],
        known: MetricSet,
        *,
        renew: Callable[[], object],
    ) -> None:
        self._directions, self._images, self._renew = directions, images, renew
        several = directions[0].subject.num_samples > 1
        planned = {metric.name: metric for one in reversed(directions) for metric in one.planned}
        self._metrics = list(dict.fromkeys(metric.name for one in directions for metric in one.planned))
        self._numbers: dict[str, Number] = {
            number.name: number
            for name in self._metrics
            for number in planned[name].numbers
            if several or not number.of_several
        }
        self._better = {name: number.better for name, number in self._numbers.items()}
        if len(directions) > 1:
            self._better |= {
                f"{name}-{one.direction}": better for name, better in dict(self._better).items() for one in directions
            }
        bounds = {number.name: number.least for number in self._numbers.values() if number.least is not None}
        # The mean over both directions would hide one that is grey.
        ends = [f"-{one.direction}" for one in directions] if len(directions) > 1 else [""]
        self._least = {f"{name}{end}": bound for name, bound in bounds.items() for end in ends}
        self.conditions: dict[str, Any] = {
            "split": images.folder.name,
            "inputs": images.num_inputs,
            "samples": directions[0].subject.num_samples,
            "seed": config.training.seed,
            "fit": FitRule.of(config.data).key(directions[0].options.fit),
            "data": images.folder.fingerprint()[:16],
        }
        for metric in planned.values():
            self.conditions |= metric.conditions()
        self.rule = self._rule(config, known)

    def describe(self) -> str:
        """See `Validator`."""
        folder, number, samples = self._images.folder, self._images.num_inputs, self.conditions["samples"]
        several = f", {samples} samples each" if samples > 1 else ""
        what = "pairs" if folder.paired else "images a side"
        flattered = "; without a split val the best checkpoint is chosen on test, whose numbers then flatter it"
        where = f"{number} of {self._images.num_all} {what} of {folder.name}{several}"
        return f"{', '.join(self._metrics)} on {where}{flattered if folder.name == 'test' else ''}"

    def __call__(self) -> dict[str, float | None]:
        """See `Validator`."""
        self._renew()
        found = {one.direction: one.measure() for one in self._directions}
        numbers: dict[str, float] = {}
        for name in self._better:
            base, _, direction = name.rpartition("-")
            if len(found) > 1 and direction in found:
                numbers[name] = found[direction].get(base, math.nan)
            else:
                numbers[name] = float(np.mean([one.get(name, math.nan) for one in found.values()]))
        return {name: value if math.isfinite(value) else None for name, value in numbers.items()}

    def _rule(self, config: RunConfig, known: MetricSet) -> BestRule:
        wanted, conditions = config.validation.keep_best, str(sorted(self.conditions.items()))
        if wanted == AUTO:
            deciding = deciding_numbers(known, paired=config.objective.paired)
            name = next((number.name for number in deciding if number.name in self._numbers), None)
            if name is None:
                names = ", ".join(number.name for number in deciding)
                reason = f"none of {names} is measured; --keep-best NAME takes another number"
                return BestRule("", reason=reason)
        elif wanted in self._better:
            name = wanted
        else:
            raise ConfigError(
                f"--keep-best {wanted}: no number is called so; measured are {', '.join(self._better) or 'none'}."
            )
        better = self._better[name]
        least = {name: bound for name, bound in self._least.items() if name in self._better}
        return BestRule(name, "higher" if better == "higher" else "lower", conditions, least=least)


def deciding_numbers(known: MetricSet, *, paired: bool) -> list[Number]:
    """The numbers that the best checkpoint may be chosen by, that which says most first."""

    def says(number: Number) -> int:
        return number.decides_paired if paired else number.decides_unpaired

    numbers = [number for metric in known for number in metric.numbers if says(number)]
    return sorted(numbers, key=says, reverse=True)


@dataclasses.dataclass
class _MeasuredDirection:
    """One direction of the model, and what is measured of it.

    Attributes:
        direction: Which.
        subject: What is measured.
        options: How.
        planned: The metrics.
        fixed: Rows that do not depend on the model, once they are known: of real images, and of pairs of them.
    """

    direction: str
    subject: Subject
    options: EvaluationOptions
    planned: Sequence[Metric]
    fixed: tuple[dict[str, np.ndarray], dict[str, np.ndarray]] | None = None

    def measure(self) -> dict[str, float]:
        """The numbers by name."""
        subject = self.subject
        on_reals = distinct(one for metric in self.planned for one in metric.on_reals)
        if self.fixed is None:
            on_pairs = distinct(one for metric in self.planned for one in metric.on_pairs)
            pairs = real_pairs(subject, seed=self.options.seed) if on_pairs else []
            still = [one for one in on_reals if not one.is_of_model]
            self.fixed = (self._rows(subject.reals, still), self._rows(pairs, on_pairs))
        reals, of_pairs = self.fixed
        reals = reals | self._rows(subject.reals, [one for one in on_reals if one.is_of_model])
        on_cases = distinct(one for metric in self.planned for one in metric.on_cases)
        found = Found(self._rows(subject.cases, on_cases, only_of(self.planned)), reals, of_pairs)
        return {score.name: score.value for metric in self.planned for score in metric.summarise(found).scores}

    def _rows(
        self,
        cases: Sequence[Case],
        measurements: Sequence[Measurement],
        only: Mapping[str, frozenset[int]] | None = None,
    ) -> dict[str, np.ndarray]:
        if not measurements:
            return {}
        return gather(cases, measurements, cache=None, batch_size=self.options.batch_size, only=only)


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


def _settings(config: RunConfig) -> EvaluationOptions:
    options = config.validation
    return EvaluationOptions(
        num_samples=options.validate_samples,
        seed=config.training.seed,
        features=None if options.validate_features is None else Path(options.validate_features),
        features_size=options.validate_features_size,
        features_range=options.validate_features_range,
        trust_torchscript=options.validate_trust_torchscript,
        in_training=True,
    )


def _planned(setup: Setup, options: ValidationConfig, known: MetricSet) -> list[Metric]:
    if options.validate_metrics == AUTO:
        return _cheap(setup, known)
    names = known.parse(options.validate_metrics, option="--validate-metrics")
    if extra := [name for name in names if not known.named(name).numbers]:
        others = ", ".join(metric.name for metric in known if metric.numbers)
        raise ConfigError(
            f"--validate-metrics: {', '.join(extra)} cannot be had while training, only with 'tandem evaluate'; the "
            f"others are {others}."
        )
    planned = [planned_by_name(name, setup, known) for name in names]
    bounds = [one for one in known if one.name not in names and any(n.least is not None for n in one.numbers)]
    for metric in bounds:
        with suppress(MetricError):  # unasked, so that what it needs is no reason to refuse the run
            planned.append(planned_by_name(metric.name, setup, known))
    return planned


def _cheap(setup: Setup, known: MetricSet) -> list[Metric]:
    """The metrics that cost little, of those that can be computed."""
    planned: list[Metric] = []
    for metric in known:
        better_one = metric.is_cheap_without
        if not metric.is_cheap or any(better_one is not None and isinstance(one, better_one) for one in planned):
            continue
        try:
            planned.append(planned_by_name(metric.name, setup, known))
        except MetricError:
            if metric.is_wanted(setup.options):
                raise  # what was asked for must not be left out
    return planned
