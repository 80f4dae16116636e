"""The section of the training page that shows the validations and which checkpoint is the best."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from tandem.report.charts import line_chart
from tandem.report.health_section import as_number
from tandem.report.markup import Svg
from tandem.report.rendering import ChartSection, Notice
from tandem.report.text import number

Record = Mapping[str, Any]

_ENDINGS = ("-AtoB", "-BtoA", "-best")
_COSTLY = 0.1
"""The share of a run's time above which validation is worth a warning."""


def validation_section(validations: Sequence[Record], best: str) -> ChartSection | None:
    """Return what the section shows; `None` if there is nothing to say.

    Args:
        validations: The records of kind ``validation``, oldest first; see `RunView`.
        best: A sentence about the best checkpoint.
    """
    notices = [Notice(best)] if best else []
    if not validations:
        return ChartSection("Best checkpoint", notices=notices) if notices else None
    latest = validations[-1]
    return ChartSection("Validation", _charts(validations), _lead(latest), [*notices, *_cost(latest)])


def _lead(latest: Record) -> str:
    conditions = latest.get("conditions")
    if not isinstance(conditions, Mapping):
        return ""
    each = conditions.get("samples")
    several = "" if each in {None, 1} else f", {each} samples each"
    return f"{conditions.get('inputs')} inputs of the split {conditions.get('split')}{several}, the same every time."


def _cost(latest: Record) -> list[Notice]:
    speed = latest.get("speed")
    seconds, share = (as_number(speed.get(key) if isinstance(speed, Mapping) else None) for key in ("seconds", "share"))
    if not math.isfinite(seconds) or not math.isfinite(share):
        return []
    text = f"The latest took {number(seconds)} s; validation takes {100 * share:.1f} % of the time."
    if share <= _COSTLY:
        return [Notice(text)]
    return [Notice(text + " A larger --validate-every, or fewer --validate-images, makes it less.", "warning")]


def _charts(validations: Sequence[Record]) -> list[Svg]:
    names = dict.fromkeys(name for record in validations for name in _numbers(record))
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(_base(name), []).append(name)
    return [
        line_chart(
            {
                name: [
                    (as_number(record.get("step")), as_number(_numbers(record)[name]))
                    for record in validations
                    if name in _numbers(record)
                ]
                for name in members
            },
            title=base,
            x_label="step",
            y_label=base,
            width=560,
        )
        for base, members in groups.items()
    ]


def _base(name: str) -> str:
    for ending in _ENDINGS:
        name = name.removesuffix(ending)
    return name


def _numbers(record: Record) -> Mapping[str, object]:
    numbers = record.get("numbers")
    return numbers if isinstance(numbers, Mapping) else {}
