"""What a bench of quality found, as plain values: for its page, its JSON, its table and for another machine."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from tandem.report.comparison_page import ComparedScore
from tandem.report.scores import Better, Score

QUALITY_NAME = "quality.json"
REAL = "real training images"
"""The row of images that no model has made."""
EXCESS = " excess"
"""Behind the name of a number: how much more it is than that of `REAL`."""
HEADLINES = (
    *("frechet", f"frechet{EXCESS}", "fid", f"fid{EXCESS}", "kid", "precision", "recall"),
    *("crps", "energy-score", "l1", "l1-best", "lpips", "l1-diversity", "lpips-diversity", "vendi"),
    *("z-r2", "modes", "memorisation"),
)
"""The numbers that a page opens with, as far as there are any, in this order."""


@dataclass(frozen=True, kw_only=True)
class QualityNumber:
    """One number of a row.

    Attributes:
        name: The number.
        better: Which way is better.
        mean: Over the runs.
        deviation: The standard deviation over the runs; None for a single one.
        low: Lower end of the interval: of the mean over several runs, of a single run over images; None: there is none.
        high: Upper end.
        method: How the interval was made.
        note: A few words to read the number by.
        values: By run.
    """

    name: str
    better: Better
    mean: float
    deviation: float | None
    low: float | None
    high: float | None
    method: str
    note: str
    values: Mapping[str, float]

    @property
    def score(self) -> Score:
        """As comparisons take it."""
        return Score(
            name=self.name,
            value=self.mean,
            better=self.better,
            count=len(self.values),
            low=self.low,
            high=self.high,
            method=self.method,
            note=self.note,
        )


@dataclass(frozen=True, kw_only=True)
class QualityRun:
    """What one run has cost, and its model.

    Attributes:
        name: ``seed-0``.
        cpu_seconds: Of the training; None where it is not known, as of a model that was trained elsewhere.
        seconds: Likewise, of the clock.
        memory_mb: The most that its process held, in MiB.
        sample_cpu_seconds: Of a sample.
        sample_seconds: Likewise, of the clock.
        sample_memory_mb: The most that a process held which does nothing but sample.
    """

    name: str
    cpu_seconds: float | None = None
    seconds: float | None = None
    memory_mb: float | None = None
    sample_cpu_seconds: float | None = None
    sample_seconds: float | None = None
    sample_memory_mb: float | None = None


@dataclass(frozen=True, kw_only=True)
class QualityRow:
    """A setting with its runs, a model that was trained elsewhere, or real images.

    Attributes:
        name: As it was given.
        kind: Which of them it is.
        method: How its models were trained; empty of real images.
        steps: How long each run was; None where it is not known.
        runs: In the order of their seeds.
        numbers: In the order of the metrics.
    """

    name: str
    kind: Literal["setting", "model", "real"]
    method: str
    steps: int | None
    runs: tuple[QualityRun, ...]
    numbers: tuple[QualityNumber, ...]

    def find(self, name: str) -> QualityNumber | None:
        """The number of a name."""
        return next((one for one in self.numbers if one.name == name), None)


@dataclass(frozen=True, kw_only=True)
class QualityReport:
    """All that a bench found.

    Attributes:
        machine: Versions and hardware.
        conditions: Data, split, budget and what else the numbers depend on, in words.
        rows: In the order of the page.
        differs_in: By number, what its rows do not share: they must not be compared then.
        on_gpu: Whether the minutes are those of a GPU.
        warnings: Sentences on what is missing or misleads.
        format: Version of this format.
    """

    machine: Mapping[str, Any]
    conditions: Mapping[str, Any]
    rows: tuple[QualityRow, ...]
    differs_in: Mapping[str, Any]
    on_gpu: bool
    warnings: tuple[str, ...] = ()
    format: int = 1

    @property
    def numbers(self) -> list[str]:
        """The names of all numbers, in the order of the metrics."""
        return list(dict.fromkeys(one.name for row in self.rows for one in row.numbers))

    @property
    def headlines(self) -> list[str]:
        """The names of those that the page opens with."""
        known = self.numbers
        return [name for name in HEADLINES if name in known]

    def compared(self, name: str) -> ComparedScore:
        """A number of all rows but the real images, which are not in competition."""
        found = {row.name: one for row in self.rows if row.kind != "real" and (one := row.find(name)) is not None}
        better = next(iter(found.values())).better if found else "neither"
        scores = {row: one.score for row, one in found.items()}
        return ComparedScore(name, better, scores, tuple(self.differs_in.get(name, ())))

    def minutes(self, run: QualityRun) -> float | None:
        """What the training of a run took, in minutes of the CPU or of the GPU."""
        seconds = run.seconds if self.on_gpu else run.cpu_seconds
        return None if seconds is None else seconds / 60
