"""The section of the training page that shows the validations and which checkpoint is the best."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from tandem.report.charts import line_chart
from tandem.report.health_section import as_number
from tandem.report.page import block, notice, section
from tandem.report.text import number

Record = Mapping[str, Any]

_ENDINGS = ("-AtoB", "-BtoA", "-best")
_COSTLY = 0.1
"""The share of a run's time above which validation is worth a warning."""


def validation_section(validations: Sequence[Record], best: str) -> str:
    """Return the HTML of the section; nothing if there is nothing to say.

    Args:
        validations: The records of kind ``validation``, oldest first; see `RunView`.
        best: A sentence about the best checkpoint.
    """
    told = notice(best) if best else ""
    if not validations:
        return section("Best checkpoint", told) if told else ""
    return section(
        "Validation", told + _cost(validations[-1]) + block("charts", _charts(validations)), lead=_lead(validations[-1])
    )


def _lead(latest: Record) -> str:
    conditions = latest.get("conditions")
    if not isinstance(conditions, Mapping):
        return ""
    each = conditions.get("samples")
    several = "" if each in {None, 1} else f", {each} samples each"
    return f"{conditions.get('inputs')} inputs of the split {conditions.get('split')}{several}, the same every time."


def _cost(latest: Record) -> str:
    speed = latest.get("speed")
    seconds, share = (as_number(speed.get(key) if isinstance(speed, Mapping) else None) for key in ("seconds", "share"))
    if not math.isfinite(seconds) or not math.isfinite(share):
        return ""
    text = f"The latest took {number(seconds)} s; validation takes {100 * share:.1f} % of the time."
    if share <= _COSTLY:
        return notice(text)
    return notice(text + " A larger --validate-every, or fewer --validate-images, makes it less.", "warning")


def _charts(validations: Sequence[Record]) -> list[str]:
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
