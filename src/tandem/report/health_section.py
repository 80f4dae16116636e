"""The section of the training page that shows what was measured on the fixed inputs, for every kind of method."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from tandem.report.charts import bar_chart, line_chart
from tandem.report.markup import Svg
from tandem.report.rendering import ChartSection, Notice, NoticeKind

Record = Mapping[str, Any]

_LATENT = ("Latent health", "Does z decide what the output looks like?")
_OTHER = ("Health", "Measured on the fixed inputs.")
_TOGETHER = {
    "cycle": ("There and back: L1 of the cycle", {"cycle_a": "A", "cycle_b": "B"}),
    "change": ("How far a translation moves its input", {"change_a": "A → B", "change_b": "B → A"}),
    "identity": ("L1 of B translated to B", {"identity_b": "B"}),
}


def health_section(health: Sequence[Record]) -> ChartSection:
    """Return what the section shows.

    Args:
        health: The records of kind ``health``, oldest first; see `RunView`.
    """
    if not health:
        title, lead = _OTHER
        return ChartSection(title, lead=lead, notices=[Notice("Not measured yet.")])
    latest = health[-1]
    title, lead = _LATENT if "kl_per_dimension" in latest else _OTHER
    levels: dict[str, NoticeKind] = {"good": "good", "warning": "warning"}
    verdict = latest.get("verdict")
    notices = [Notice(str(verdict), levels.get(str(latest.get("level")), "info"))] if verdict else []
    return ChartSection(title, [*_latent_charts(health), *_translation_charts(health)], lead, notices)


def _latent_charts(health: Sequence[Record]) -> list[Svg]:
    latest = health[-1]
    charts = []
    if _any(health, "diversity_ratio"):
        reference = {"real data": 1.0}
        charts.append(_chart(health, {"diversity_ratio": "diversity ratio"}, "Diversity of samples", reference))
    if _any(health, "recovered_z_error"):
        chance = {"chance": as_number(latest.get("recovered_z_chance"))}
        title = "Error of z recovered from the output"
        charts.append(_chart(health, {"recovered_z_error": "recovered z error"}, title, chance))
    dimensions = latest.get("kl_per_dimension")
    if isinstance(dimensions, Sequence) and not isinstance(dimensions, str) and dimensions:
        bars = {str(index): as_number(value) for index, value in enumerate(dimensions, 1)}
        charts.append(bar_chart(bars, title="KL of each dimension of z, latest", y_label="nats", width=560))
    if _any(health, "val_l1"):
        charts.append(_chart(health, {"val_l1": "val l1"}, "L1 to the ground truth, validation", {}))
    return charts


def _translation_charts(health: Sequence[Record]) -> list[Svg]:
    return [
        _chart(health, names, title, {}) for title, names in _TOGETHER.values() if any(_any(health, k) for k in names)
    ]


def _any(health: Sequence[Record], key: str) -> bool:
    return any(record.get(key) is not None for record in health)


def _chart(records: Sequence[Record], names: Mapping[str, str], title: str, reference: Mapping[str, float]) -> Svg:
    series = {
        name: [(as_number(record.get("images")), as_number(record[key])) for record in records if key in record]
        for key, name in names.items()
    }
    return line_chart(
        {name: points for name, points in series.items() if points},
        title=title,
        x_label="images",
        y_label="mean |difference|" if "ratio" not in next(iter(names)) else "spread / real spread",
        width=560,
        reference=reference,
    )


def as_number(value: object) -> float:
    """Return a number read from a file, `nan` for anything else, whole numbers beyond a float's range too."""
    if isinstance(value, float) or (type(value) is int and abs(value) < 10**300):
        return float(value)
    return math.nan
