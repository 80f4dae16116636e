"""The splits of a bench's dataset as its runs see them, and the one on which all are measured."""

from collections.abc import Mapping
from pathlib import Path

from tandem.bench.quality.jobs import Measuring
from tandem.config.data import LayoutChoice
from tandem.data.hold_out import hold_out
from tandem.data.splits import HELD_OUT_AFTER_TRAINING, Split, first_split
from tandem.errors import DataError
from tandem.inference.jobs import splits_of
from tandem.report.progress import comparing_progress
from tandem.report.text import joined


def measured_splits(measuring: Measuring) -> Mapping[str, Split]:
    """All splits of the dataset; raises as `held_out_split`."""
    return _splits(Path(measuring.data), measuring.layout, measuring.val_split, Path(measuring.cache))


def held_out_split(
    data: Path, wanted: str | None, *, layout: LayoutChoice, val_split: float | None, cache: Path
) -> str:
    """The split on which everything is measured.

    Args:
        data: The dataset.
        wanted: The split that was asked for; None for test, else val.
        layout: How A and B lie in the dataset.
        val_split: What all runs hold out of its split train as val; None: nothing.
        cache: A folder that remembers what was held out.

    Raises:
        DataError: There is none, or the dataset cannot be read.
        ConfigError: The dataset has a split val of its own beside `val_split`.
    """
    splits = _splits(data, layout, val_split, cache)
    chosen = splits.get(wanted) if wanted is not None else first_split(splits, HELD_OUT_AFTER_TRAINING)
    if chosen is None:
        which = f"no split '{wanted}'" if wanted is not None else "neither a split test nor val"
        raise DataError(
            f"{data} has {which}, only {joined([*splits])}: a bench measures on images that no model was trained on. "
            "Put some images of the same kind into DATA/test, or hold some out by --val-split 0.1.",
            file=data,
        )
    return chosen.name


def _splits(data: Path, layout: LayoutChoice, val_split: float | None, cache: Path) -> Mapping[str, Split]:
    splits = splits_of(data, layout=layout)
    return splits if val_split is None else hold_out(splits, val_split, cache=cache, progress=comparing_progress)
