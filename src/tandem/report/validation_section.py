"""The section of the training page that shows the validations and which checkpoint is the best."""

import math
from collections.abc import Sequence

from tandem.report.charts import line_chart
from tandem.report.markup import Svg
from tandem.report.records import ValidationRecord
from tandem.report.rendering import ChartSection, Notice
from tandem.report.text import number

_ENDINGS = ("-AtoB", "-BtoA", "-best")
_COSTLY = 0.1
"""The share of a run's time above which validation is worth a warning."""


def validation_section(validations: Sequence[ValidationRecord], best: str) -> ChartSection | None:
    """Return what the section shows; `None` if there is nothing to say.

    Args:
        validations: Oldest first.
        best: A sentence about the best checkpoint.
    """
    notices = [Notice(best)] if best else []
    if not validations:
        return ChartSection("Best checkpoint", notices=notices) if notices else None
    latest = validations[-1]
    return ChartSection("Validation", _charts(validations), _lead(latest), [*notices, *_cost(latest)])


def _lead(latest: ValidationRecord) -> str:
    conditions = latest.conditions
    each = conditions.get("samples")
    several = "" if each in {None, 1} else f", {each} samples each"
    return f"{conditions.get('inputs')} inputs of the split {conditions.get('split')}{several}, the same every time."


def _cost(latest: ValidationRecord) -> list[Notice]:
    seconds, share = latest.speed.seconds, latest.speed.share
    text = f"The latest took {number(seconds)} s; validation takes {100 * share:.1f} % of the time."
    if share <= _COSTLY:
        return [Notice(text)]
    return [Notice(text + " A larger --validate-every, or fewer --validate-images, makes it less.", "warning")]


def _charts(validations: Sequence[ValidationRecord]) -> list[Svg]:
    names = dict.fromkeys(name for record in validations for name in record.numbers)
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(_base(name), []).append(name)
    return [
        line_chart(
            {
                name: [
                    (float(record.step), math.nan if (value := record.numbers[name]) is None else value)
                    for record in validations
                    if name in record.numbers
                ]
                for name in members
            },
            title=base,
            x_label="step",
            y_label=base,
        )
        for base, members in groups.items()
    ]


def _base(name: str) -> str:
    for ending in _ENDINGS:
        name = name.removesuffix(ending)
    return name
