"""What an evaluation found, as plain values: for its page, its JSON and comparisons."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

from tandem.report.text import number

Better = Literal["lower", "higher", "neither"]

REPORT_NAME = "report.json"
"""The file of a report, in the folder that an evaluation writes."""
DIRECTIONS: Mapping[str, str] = MappingProxyType({"AtoB": "A → B", "BtoA": "B → A"})
"""Directions as people read them."""


@dataclass(frozen=True, kw_only=True)
class Score:
    """One number and how sure it is.

    Attributes:
        name: What it is called, unique in a report.
        value: The number.
        better: Which way is better.
        count: How many independent units (images, inputs) it comes from.
        standard_error: `None` if it was not estimated.
        low: Lower end of the interval; `None` if there is none.
        high: Upper end.
        confidence: Of the interval.
        method: How the interval was made.
        note: A few words to read the number by.
    """

    name: str
    value: float
    better: Better
    count: int
    standard_error: float | None = None
    low: float | None = None
    high: float | None = None
    confidence: float = 0.95
    method: str = "none"
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class MetricResult:
    """The result of one metric.

    Attributes:
        metric: Its name on the command line.
        title: Its name for people.
        scores: The numbers.
        depends_on: All that they depend on beside the images: network, weights, resizer, counts.
        warnings: Where they mislead.
        curve: Points (x, y) of an extrapolation, if there is one: 1 / share of the images, and the distance.
        curve_limit: The name of the score that the curve leads to.
        shares: By what a person calls them, shares that add up to 1, if there are such; for a chart.
        shares_title: What they are shares of.
        outcomes: Names in `depends_on` of what is said beside the numbers but is no condition of them.
    """

    metric: str
    title: str
    scores: tuple[Score, ...]
    depends_on: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    curve: tuple[tuple[float, float], ...] = ()
    curve_limit: str = ""
    shares: Mapping[str, float] = field(default_factory=dict)
    shares_title: str = ""
    outcomes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class LeftOutMetric:
    """A metric that was not computed, and why."""

    metric: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class EvaluationReport:
    """All that an evaluation found.

    Attributes:
        versions: Of the programs.
        subject: What was measured: a model, or a folder of images.
        data: Against what.
        settings: The options that the numbers depend on.
        results: By metric.
        left_out: Metrics that were not computed.
        warnings: Where numbers mislead, beside those of single metrics.
        per_input: Numbers of single inputs, by the name of the score, in the order of ``names`` in `data`.
        format: Version of this format.
    """

    versions: Mapping[str, str]
    subject: Mapping[str, Any]
    data: Mapping[str, Any]
    settings: Mapping[str, Any]
    results: tuple[MetricResult, ...]
    left_out: tuple[LeftOutMetric, ...] = ()
    warnings: tuple[str, ...] = ()
    per_input: Mapping[str, Any] = field(default_factory=dict)
    format: int = 1

    def __repr__(self) -> str:
        numbers = ", ".join(f"{score.name} {number(score.value)}" for score in self.scores) or "no numbers"
        where = f" {self.direction}" if self.direction else ""
        left_out = f"; left out: {', '.join(one.metric for one in self.left_out)}" if self.left_out else ""
        return f"<EvaluationReport{where}: {numbers}{left_out}>"

    @property
    def direction(self) -> str:
        """The direction of the model, as people read it; empty where there is none."""
        return DIRECTIONS.get(str(self.subject.get("direction", "")), "")

    @property
    def scores(self) -> tuple[Score, ...]:
        """All numbers."""
        return tuple(score for result in self.results for score in result.scores)

    @property
    def all_warnings(self) -> tuple[str, ...]:
        """Those of the whole and of the metrics, each once."""
        return tuple(dict.fromkeys([*self.warnings, *(text for one in self.results for text in one.warnings)]))
