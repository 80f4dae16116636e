"""The page that shows how a training run is doing."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

from tandem.files import atomic_write_text
from tandem.report.charts import line_chart
from tandem.report.health_section import health_section
from tandem.report.links import Link
from tandem.report.markup import Svg
from tandem.report.nature import Nature
from tandem.report.records import HealthRecord, Record, TrainRecord, ValidationRecord
from tandem.report.rendering import ChartSection, Notice, NoticeKind, render_page
from tandem.report.text import count, duration, memory, number
from tandem.report.validation_section import validation_section

REFRESH_SECONDS = 15
_SHOWN_SNAPSHOTS = 12
_SPIKE = 50.0
"""Largest over middle value, from which a linear axis would show one spike and a flat line."""
_DECADES = 1.5
"""Powers of ten between small and large values, from which a linear axis would press the small ones flat."""
_MISSING = 0.01
"""The share of values that may be zero or less, which a logarithmic axis leaves out."""
_DISCRIMINATOR_PREFIXES = ("disc", "d_")
_STATES = {"running": "Training", "stopped": "Stopped", "finished": "Finished", "failed": "Failed"}
_LEVELS: dict[str, NoticeKind] = {"finished": "good", "failed": "warning", "stopped": "warning"}

Points = list[tuple[float, float]]


class Snapshot(NamedTuple):
    """A picture of the outputs for the fixed inputs at one step; `picture` is relative to the page."""

    step: int
    images_seen: int
    picture: str

    @property
    def when(self) -> str:
        """The step in words."""
        return f"step {count(self.step)} · {count(self.images_seen)} images"

    @property
    def short(self) -> str:
        """The step as a number."""
        return count(self.step)


@dataclass(frozen=True)
class RunView:
    """Everything that the training page shows.

    Attributes:
        name: Name of the run.
        state: What the run does now; while `running` the page renews itself.
        message: A sentence about the state, or nothing.
        step: Optimiser steps done.
        images_seen: Training images done.
        total_images: Training images of the whole run, `None` if it has no end.
        epoch: Passes through the data done.
        rate: Images per second, `None` if not known yet.
        seconds_left: Time to the end of the run, `None` if not known.
        memory_mb: Largest memory in MB (2**20 bytes), `None` if not known.
        device: Where it runs, as text.
        config: Settings to list, as text.
        records: The lines of `metrics.jsonl`, oldest first.
        snapshots: Pictures in the order in which they were made.
        snapshot_caption: What the rows and columns of these pictures are.
        best: A sentence about the best checkpoint.
        nature: What the model can do, which the words follow.
        command: What trains the same model again.
        changed: Option, value and default of what is not as by default.
        facts: Data, dates and versions by their names, to list.
        links: What the page leads to.
    """

    name: str
    state: Literal["running", "stopped", "finished", "failed"]
    message: str
    step: int
    images_seen: int
    total_images: int | None
    epoch: float
    rate: float | None
    seconds_left: float | None
    memory_mb: float | None
    device: str
    config: Mapping[str, str]
    records: Sequence[Record]
    snapshots: Sequence[Snapshot]
    snapshot_caption: str = ""
    best: str = ""
    nature: Nature = field(default_factory=Nature)
    command: str = ""
    changed: Sequence[tuple[str, str, str]] = ()
    facts: Mapping[str, str] = field(default_factory=dict)
    links: Sequence[Link] = ()


def training_page(run: RunView) -> str:
    """Return the HTML of the page."""
    train = [record for record in run.records if isinstance(record, TrainRecord)]
    health = [record for record in run.records if isinstance(record, HealthRecord)]
    validations = [record for record in run.records if isinstance(record, ValidationRecord)]
    sections = [
        _loss_section(train, run.nature),
        validation_section(validations, run.best),
        health_section(health, run.nature),
    ]
    newest = list(run.snapshots)[::-1]
    shown = _evenly(len(newest), _SHOWN_SNAPSHOTS) if len(newest) > 1 else []
    content = {
        "state": _STATES[run.state],
        "done": _done(run),
        "percent": 100 * min(1.0, max(0.0, run.images_seen / run.total_images)) if run.total_images else None,
        "notices": [Notice(run.message, _LEVELS.get(run.state, "info"))] if run.message else [],
        "tiles": _tiles(run),
        "latest": newest[0] if newest else None,
        "snapshot_caption": run.snapshot_caption,
        "shown_snapshots": [newest[index] for index in shown],
        "folded_snapshots": [snapshot for index, snapshot in enumerate(newest[1:], 1) if index not in shown],
        "chart_sections": [section for section in sections if section is not None],
        "config": list(run.config.items()),
        "nature": run.nature,
        "command": run.command,
        "changed": run.changed,
        "method": run.config.get("method", "the method"),
        "facts": list(run.facts.items()),
    }
    refresh = REFRESH_SECONDS if run.state == "running" else None
    return render_page("training.html", content, title=run.name, links=run.links, refresh_seconds=refresh)


def write_training_page(path: Path, run: RunView) -> None:
    """Write the page atomically; a reader sees the old one or the new one."""
    atomic_write_text(path, training_page(run))


def _done(run: RunView) -> str:
    if run.total_images:
        return f"{count(run.images_seen)} of {count(run.total_images)} images"
    return f"{count(run.images_seen)} images"


def _tiles(run: RunView) -> list[tuple[str, str, str]]:
    """Label, value and small note of the numbers at the top."""
    tiles = [("Step", count(run.step), f"epoch {run.epoch:.2f}")]
    if run.rate is not None:
        tiles.append(("Speed", f"{number(run.rate)} /s", "images per second"))
    waiting = _waiting(run.records)
    if waiting is not None:
        tiles.append(("Waiting for data", f"{100 * waiting:.1f} %", "of the time"))
    if run.state == "running" and run.seconds_left is not None:
        tiles.append(("Remaining", duration(run.seconds_left), ""))
    if run.memory_mb is not None:
        tiles.append(("Memory", memory(run.memory_mb), "at most"))
    tiles.append(("Device", run.device, ""))
    return tiles


def _waiting(records: Sequence[Record]) -> float | None:
    """The newest share of the time for which steps waited for data."""
    shares = [record.speed.waiting for record in records if isinstance(record, TrainRecord)]
    return next((share for share in reversed(shares) if share is not None), None)


def _evenly(length: int, most: int) -> list[int]:
    """Return at most `most` indices below `length`, evenly spread, both ends among them."""
    if length <= most:
        return list(range(length))
    return [round(i * (length - 1) / (most - 1)) for i in range(most)]


def _loss_section(train: Sequence[TrainRecord], nature: Nature) -> ChartSection:
    series: dict[str, Points] = {}
    for record in train:
        for name, value in record.losses.items():
            series.setdefault(name, []).append((float(record.images), value))
    discriminators = {name for name in series if name.startswith(_DISCRIMINATOR_PREFIXES)}
    groups = {
        nature.generator_side: {name: points for name, points in series.items() if name not in discriminators},
        nature.discriminator_side: {name: points for name, points in series.items() if name in discriminators},
    }
    logarithmic = {title: _wants_log(group) for title, group in groups.items()}
    charts, linear = (
        [
            _loss_chart(group, title, log_y=wanted and logarithmic[title])
            for title, group in groups.items()
            if group or not series
        ]
        for wanted in (True, False)
    )
    return ChartSection("Losses", charts, linear=linear if any(logarithmic.values()) else ())


def _loss_chart(group: Mapping[str, Points], title: str, *, log_y: bool) -> Svg:
    return line_chart(group, title=title, x_label="images", y_label="loss", log_y=log_y, height=320)


def _wants_log(series: Mapping[str, Points]) -> bool:
    values = sorted(y for points in series.values() for _, y in points if math.isfinite(y))
    positive = [y for y in values if y > 0]
    if not positive or len(positive) < (1 - _MISSING) * len(values):
        return False
    small, middle, large = (positive[round(share * (len(positive) - 1))] for share in (0.02, 0.5, 0.98))
    return large >= 10**_DECADES * small or positive[-1] > _SPIKE * middle
