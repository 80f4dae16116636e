"""Whether the numbers of a bench on a second machine are those of the first one."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from tandem.report.quality import QualityNumber, QualityReport
from tandem.report.quality_page import number_text

Verdict = Literal["inside", "overlaps", "apart", "unknown"]
IN_WORDS: dict[Verdict, str] = {
    "inside": "inside",
    "overlaps": "the intervals overlap",
    "apart": "APART",
    "unknown": "there is no interval",
}


@dataclass(frozen=True)
class CheckedCell:
    """A number of a row in both benches.

    Attributes:
        row: The row.
        number: The number's name.
        here: As it is here.
        there: As it is on the other machine.
        verdict: Whether the mean from there is inside the interval from here, else whether the intervals overlap.
    """

    row: str
    number: str
    here: QualityNumber
    there: QualityNumber
    verdict: Verdict

    @property
    def cells(self) -> tuple[str, ...]:
        """As a row of a table."""
        return self.row, self.number, number_text(self.here), number_text(self.there), IN_WORDS[self.verdict]


def check_reports(here: QualityReport, there: QualityReport) -> tuple[list[CheckedCell], list[str]]:
    """Compare all numbers that two benches share.

    Returns:
        The cells, and sentences on what one of the two does not have.
    """
    others = {row.name: row for row in there.rows}
    cells: list[CheckedCell] = []
    missing: list[str] = []
    for row in here.rows:
        other = others.pop(row.name, None)
        if other is None:
            missing.append(f"{row.name} is not in the other bench")
            continue
        if row.steps != other.steps:
            missing.append(f"{row.name} was trained for {row.steps} steps here and for {other.steps} there")
        for one in row.numbers:
            two = other.find(one.name)
            if two is None:
                missing.append(f"{one.name} of {row.name} is not in the other bench")
            else:
                cells.append(CheckedCell(row.name, one.name, one, two, _verdict(one, two)))
    return cells, missing + [f"{name} is not in this bench" for name in others]


def _verdict(here: QualityNumber, there: QualityNumber) -> Verdict:
    if here.mean == there.mean:
        return "inside"
    if here.low is None or here.high is None:
        return "unknown"
    if here.low <= there.mean <= here.high:
        return "inside"
    if there.low is None or there.high is None:
        return "apart"
    return "overlaps" if there.low <= here.high and here.low <= there.high else "apart"


def summary(cells: Sequence[CheckedCell]) -> str:
    """How many cells have which verdict, in a sentence."""
    verdicts = [one.verdict for one in cells]
    return (
        f"{len(cells)} numbers: {verdicts.count('inside')} of the other machine are inside the intervals of this one, "
        f"{verdicts.count('overlaps')} have intervals that overlap, {verdicts.count('apart')} are apart, "
        f"{verdicts.count('unknown')} have no interval."
    )
