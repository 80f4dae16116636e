"""The contract of a metric: one class says everything about one metric, and nothing else knows it by name.

A metric's class says what it is called, which numbers it gives and what it needs. An object of it is made for one
subject: it holds what is measured on each image (`Measurement`) and makes the result from the rows of all. A
`MetricSet` is the metrics that an evaluation knows; it refuses a class that does not fulfil the contract.
"""

import dataclasses
import inspect
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from tandem.errors import ConfigError, Problem, nearest
from tandem.evaluation.estimates import Estimate
from tandem.evaluation.options import EvaluationOptions
from tandem.evaluation.rows.measurement import Measurement
from tandem.evaluation.subject import Subject
from tandem.report.scores import Better, MetricResult, Score

if TYPE_CHECKING:
    from tandem.evaluation.networks.loader import NetworkLoader

Rows = Mapping[str, np.ndarray]

_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


class UnmetNeedError(ConfigError):
    """A metric cannot be computed for this subject with these options.

    Attributes:
        reason: What it needs and what there is, without a full stop.
    """

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"{reason}.")


@dataclass(frozen=True)
class Number:
    """One number of a metric.

    Attributes:
        name: What it is called, unique among the numbers of all metrics.
        better: Which way is better.
        of_several: Whether it exists only where an input has several samples.
        decides_paired: How much it says about a method that trains on pairs. The best checkpoint is chosen by the
            number that says most of those that are measured; one with 0 is taken only if it is asked for.
        decides_unpaired: Likewise for a method that trains on two domains.
        least: A checkpoint whose number is below it never becomes the best, whatever the number that decides; None for
            no such bound. A validation always measures a metric that has one.
    """

    name: str
    better: Better
    of_several: bool = False
    decides_paired: int = 0
    decides_unpaired: int = 0
    least: float | None = None

    def score(self, estimate: Estimate, note: str = "") -> Score:
        """The number with its uncertainty."""
        return Score(name=self.name, better=self.better, note=note, **dataclasses.asdict(estimate))

    def plain_score(self, value: float, count: int, note: str = "") -> Score:
        """The number without uncertainty; `count` is how many images or inputs it comes from."""
        return Score(name=self.name, value=float(value), better=self.better, count=count, note=note)


@dataclass(frozen=True)
class Ranking:
    """By a metric's numbers of single inputs, the report shows inputs.

    Attributes:
        shows: The best and the worst inputs, or the most and the least diverse ones.
        priority: Of the metrics that are computed the one with the highest is taken.
    """

    shows: Literal["quality", "diversity"]
    priority: int


@dataclass(frozen=True)
class Setup:
    """What a metric is made for.

    Attributes:
        subject: What is measured.
        options: How.
        make_networks: Gives what loads the networks of metrics; called when a metric first asks for one.
    """

    subject: Subject
    options: EvaluationOptions
    make_networks: "Callable[[], NetworkLoader]"

    @cached_property
    def networks(self) -> "NetworkLoader":
        """The networks of metrics, each loaded when it is first asked for."""
        return self.make_networks()


@dataclass(frozen=True, kw_only=True)
class Needs:
    """What every metric may need, asked of all images before anything is measured.

    Attributes:
        ground_truth: A ground truth of every input, of the size of the samples.
        samples: At least so many samples of each input.
        images: At least so many images, real and generated ones.
        side: Samples whose sides have at least so many pixels.
        brightness: Images whose values are more or less of something, which those of label maps are not.
    """

    ground_truth: bool = False
    samples: int = 1
    images: int = 1
    side: int = 1
    brightness: bool = False

    def check(self, setup: Setup) -> None:
        """Raise `UnmetNeedError` if something is missing; what is read from files is asked last."""
        subject = setup.subject
        if self.brightness and subject.output_levels.classes is not None:
            raise UnmetNeedError("it compares brightness, and outputs are label maps: 'labels' compares their classes")
        if self.ground_truth and subject.no_ground_truth:
            raise UnmetNeedError(subject.no_ground_truth)
        if subject.num_samples < self.samples:
            raise UnmetNeedError(_too_few_samples(setup, self.samples))
        fewest = min(len(subject.reals), len(subject.cases))
        if fewest < self.images:
            raise UnmetNeedError(f"it needs at least {self.images} images on both sides, not {fewest}")
        if self.side > 1:
            _check_sides(subject, self.side)
        if self.ground_truth and not subject.has_ground_truth:
            raise UnmetNeedError(_other_sizes(subject))


def _too_few_samples(setup: Setup, least: int) -> str:
    model = setup.subject.model
    if model is not None and model.translator.is_stochastic:
        given = f"{setup.options.flag('num-samples')} {setup.subject.num_samples}"
        return f"it needs at least {least} samples of each input, not {given}"
    return "it needs a model that gives several samples of one input"


def _check_sides(subject: Subject, least: int) -> None:
    small = [index for index, size in enumerate(subject.sizes) if min(size) < least]
    if small:
        raise UnmetNeedError(
            f"it needs sides of at least {least} px, which {len(small)} of {len(subject.cases)} images do not have; "
            f"the first of them is {subject.cases[small[0]].name} ({_pixels(subject.sizes[small[0]])})"
        )


def _other_sizes(subject: Subject) -> str:
    pairs = list(zip(subject.sizes, subject.ground_truth_sizes, strict=True))
    index, *more = [index for index, (size, other) in enumerate(pairs) if size != other]
    size, other = pairs[index]
    assert other is not None, "a subject with ground truth has one for every case"
    return (
        f"it needs images of the size of their ground truth, which {1 + len(more)} of {len(pairs)} do not have; the "
        f"first of them is {subject.cases[index].name} ({_pixels(size)}, its ground truth {_pixels(other)})"
    )


def _pixels(size: tuple[int, int]) -> str:
    return f"{size[1]} x {size[0]} px"


@dataclass(frozen=True)
class Found:
    """What was measured, by the spec of the measurement.

    Attributes:
        cases: On the generated images.
        reals: On the real ones.
        pairs: On random pairs of real ones.
        train: On those of the images of the training that a metric asks for.
    """

    cases: Rows
    reals: Rows
    pairs: Rows
    train: Rows = field(default_factory=dict)


class Metric(ABC):
    """A metric.

    A class sets the first attributes. Its ``__init__`` loads the networks that it needs and sets the others.

    Args:
        setup: What it is made for; `check` has passed.

    Attributes:
        name: On the command line and in the report, unique.
        title: For people.
        numbers: The numbers that a validation follows while a model trains; a result may hold more. Empty for a metric
            that can be had of finished models only.
        needs: What it needs of the images.
        is_cheap: Whether a validation takes it without being asked.
        is_cheap_without: A metric that says more at the same cost: where a validation takes it, this one is left out.
        ranking: How its numbers of single inputs order the inputs that the report shows; None if they do not.
        on_cases: What is measured on the generated images.
        on_reals: What is measured on the real ones.
        on_pairs: What is measured on random pairs of real images.
        on_train: What is measured on images of the training, which a validation does not have.
        only: The cases that are needed; None for all.
        only_train: The images of the training that are needed; None for all.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    numbers: ClassVar[tuple[Number, ...]]
    needs: ClassVar[Needs] = Needs()
    is_cheap: ClassVar[bool] = False
    is_cheap_without: ClassVar["type[Metric] | None"] = None
    ranking: ClassVar[Ranking | None] = None

    on_cases: tuple[Measurement, ...] = ()
    on_reals: tuple[Measurement, ...] = ()
    on_pairs: tuple[Measurement, ...] = ()
    on_train: tuple[Measurement, ...] = ()
    only: frozenset[int] | None = None
    only_train: frozenset[int] | None = None

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self.seed = setup.options.seed

    @classmethod
    def check(cls, setup: Setup) -> None:
        """Raise `UnmetNeedError` if the metric cannot be computed; a class that needs a kind of model says so here."""
        cls.needs.check(setup)

    @classmethod
    def is_wanted(cls, options: EvaluationOptions) -> bool:
        """Whether the options ask for it without its name, so that a validation must not leave it out."""
        del options
        return False

    @abstractmethod
    def summarise(self, found: Found) -> MetricResult:
        """The result from the rows of all cases."""

    def per_input(self, found: Found) -> np.ndarray | None:
        """One number of each case that was measured, ``(N,)``; None where single inputs have none."""
        del found
        return None

    def conditions(self) -> dict[str, Any]:
        """What its numbers depend on while a model trains, beside the model and the images, as JSON."""
        return {}


class MetricSet:
    """The metrics that an evaluation knows, in the order of its report.

    Args:
        metrics: Their classes.

    Raises:
        TypeError: A class does not fulfil the contract, or two share a name.
    """

    def __init__(self, metrics: Sequence[type[Metric]]) -> None:
        problems = [problem for metric in metrics for problem in _broken_contract(metric)]
        names = [metric.name for metric in metrics] if not problems else []
        numbers = [number.name for metric in metrics for number in metric.numbers] if not problems else []
        problems += [f"two metrics are called '{name}'" for name in _repeated(names)]
        problems += [f"two metrics give a number '{name}'" for name in _repeated(numbers)]
        if problems:
            raise TypeError("these metrics cannot be used: " + "; ".join(problems))
        self._metrics = {metric.name: metric for metric in metrics}

    def __iter__(self) -> Iterator[type[Metric]]:
        return iter(self._metrics.values())

    def named(self, name: str, *, option: str = "--metrics") -> type[Metric]:
        """The metric of a name.

        Raises:
            ConfigError: There is none.
        """
        if name not in self._metrics:
            hint, known = nearest(name, self.names), ", ".join(self.names)
            text = f"{option}: there is no metric '{name}'.{hint} They are {known}"
            raise ConfigError(problems=[Problem(text, option, name)])
        return self._metrics[name]

    @property
    def names(self) -> tuple[str, ...]:
        """The names in their order."""
        return tuple(self._metrics)

    def plus(self, *metrics: type[Metric]) -> "MetricSet":
        """The same metrics and some more, behind them."""
        return MetricSet((*self, *metrics))

    def parse(self, text: str, *, option: str = "--metrics") -> tuple[str, ...]:
        """Names that are separated by commas, each once, in the order of the set.

        Raises:
            ConfigError: There is no such metric, or none at all.
        """
        wanted = [name.strip() for name in text.split(",") if name.strip()]
        if not wanted:
            raise ConfigError(f"{option} names no metric; the metrics are {', '.join(self.names)}.", option=option)
        metrics = [self.named(name, option=option) for name in wanted]
        return tuple(metric.name for metric in self if metric in metrics)


def _broken_contract(metric: type[Metric]) -> list[str]:
    """What a class lacks, one sentence each."""
    if missing := [name for name in ("name", "title", "numbers") if not hasattr(metric, name)]:
        return [f"{metric.__name__} has no {', '.join(missing)}"]
    problems = []
    if inspect.isabstract(metric):
        problems.append(f"{metric.__name__} lacks the methods {', '.join(sorted(metric.__abstractmethods__))}")
    for name in (metric.name, *(number.name for number in metric.numbers)):
        if not _NAME.fullmatch(name):
            problems.append(f"{metric.__name__}: '{name}' is no name of small letters, digits and single hyphens")
    if not metric.title:
        problems.append(f"{metric.__name__} has an empty title")
    if metric.is_cheap and not metric.numbers:
        problems.append(f"{metric.__name__} is cheap but has no numbers that a validation could follow")
    if metric.ranking is not None and (metric.per_input is Metric.per_input or not metric.numbers):
        problems.append(f"{metric.__name__} ranks inputs but gives them no numbers")
    return problems


def _repeated(names: Sequence[str]) -> list[str]:
    return sorted({name for name in names if names.count(name) > 1})
