"""A run over time: the same inputs in many snapshots, as a moving picture or side by side.

Nothing is computed anew: the cells are cut out of the pictures of the snapshots.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from tandem.errors import ConfigError, DataError
from tandem.report.animation import save_gif
from tandem.report.grid import image_grid
from tandem.report.snapshot_pictures import GridNote, cut_cells, picture_path, read_note
from tandem.report.text import count

LAST_FRAME_SECONDS = 2.0
LARGEST_GIF_SIDE = 1280
LARGEST_STRIP_SIDE = 16_000

Rows = list[list[Image.Image | None]]

_SAMPLE = re.compile(r"(?:z|sample )\d+")
_CAPTION_HEIGHT, _CAPTION_SIZE, _INK = 26, 16, (40, 40, 38)


@dataclass(frozen=True)
class SnapshotPicture:
    """The picture of one snapshot.

    Attributes:
        step: When the snapshot was made.
        path: The file.
        note: What it says of itself.
    """

    step: int
    path: Path
    note: GridNote


@dataclass(frozen=True)
class Shown:
    """Which cells are shown.

    Attributes:
        inputs: Rows.
        context: Titles of columns that stay as they are, such as the input.
        columns: Titles of columns that change.
    """

    inputs: tuple[int, ...]
    context: tuple[str, ...]
    columns: tuple[str, ...]


def spread(steps: Sequence[int], *, every: int, most: int) -> list[int]:
    """Every so many-th step, at most so many, evenly spaced; the first and the last are always there.

    Raises:
        ConfigError: `every` below 1, or `most` below 2.
    """
    if every < 1:
        raise ConfigError(f"--every must be at least 1, not {every}.")
    if most < 2:
        raise ConfigError(f"--max-frames must be at least 2, the first and the last, not {most}.")
    kept = sorted({*steps[::every], *steps[-1:]})
    if len(kept) <= most:
        return kept
    return [kept[index] for index in np.linspace(0, len(kept) - 1, most).round().astype(int)]


def read_snapshots(gallery: Path, steps: Sequence[int]) -> list[SnapshotPicture]:
    """Read what the pictures of these steps say of themselves; those that do not say it are left out.

    Raises:
        DataError: A picture is damaged, or none says it.
    """
    paths = [(step, picture_path(gallery, step)) for step in steps]
    notes = [(step, path, read_note(path)) for step, path in paths]
    snapshots = [SnapshotPicture(step, path, note) for step, path, note in notes if note is not None]
    if not snapshots:
        raise DataError(
            f"the pictures in {gallery} do not say where their cells are: they were made by an older Tandem. The "
            "pictures of snapshots from now on will."
        )
    return snapshots


def choose(
    snapshots: Sequence[SnapshotPicture], *, inputs: Sequence[int] | None = None, columns: Sequence[str] | None = None
) -> tuple[list[SnapshotPicture], Shown]:
    """Decide what is shown, and leave out the snapshots that do not have it.

    Args:
        snapshots: From the first to the last.
        inputs: Rows; by default all that every snapshot has.
        columns: Titles; by default the samples ``z1``, ``z2``, … (of dropout ``sample 1``, …) that every snapshot has,
            else all columns that change.

    Raises:
        ConfigError: There is no such row or column.
    """
    newest = snapshots[-1].note
    rows = max(snapshot.note.num_rows for snapshot in snapshots)
    if inputs is not None and (not inputs or not all(0 <= row < rows for row in inputs)):
        raise ConfigError(f"--inputs: the pictures have the inputs 0 to {rows - 1}, not {', '.join(map(str, inputs))}.")
    known = {title for snapshot in snapshots for title in snapshot.note.columns}
    if unknown := [title for title in columns or () if title not in known]:
        names = ", ".join(newest.columns)
        raise ConfigError(f"the pictures have no column '{unknown[0]}'; their columns are {names}.")
    common = [title for title in newest.columns if all(title in snapshot.note.columns for snapshot in snapshots)]
    fixed = [title for title in common if _stays(snapshots, title)] if len(snapshots) > 1 else common[:1]
    moving = [title for title in common if title not in fixed]
    samples = [title for title in moving if _SAMPLE.fullmatch(title)]
    chosen = tuple(columns or samples or moving or common)
    if inputs is None:
        inputs = range(min(snapshot.note.num_rows for snapshot in snapshots))
    shown = Shown(tuple(inputs), tuple(title for title in fixed if title not in chosen), chosen)
    return [snapshot for snapshot in snapshots if _has(snapshot, shown)], shown


def sample_title(snapshots: Sequence[SnapshotPicture], number: int) -> str:
    """The title of the column of a sample, 1 the first: of a latent, or where there is none of dropout."""
    titles = {title for snapshot in snapshots for title in snapshot.note.columns}
    return f"sample {number}" if "sample 1" in titles and "z1" not in titles else f"z{number}"


def save_timeline_gif(
    snapshots: Sequence[SnapshotPicture],
    shown: Shown,
    path: Path,
    *,
    fps: float,
    on_progress: Callable[[int, int], None] | None = None,
) -> None:
    """Write a GIF: a frame is one snapshot, with the step above it; the last one stays for a while.

    Raises:
        ConfigError: `fps` out of range, or a wrong suffix.
        DataError: A picture cannot be read.
    """
    if not 0.1 <= fps <= 50:
        raise ConfigError(f"--fps must be from 0.1 to 50, not {fps:g}.")
    titles = [*shown.context, *shown.columns]
    frames = []
    for index, snapshot in enumerate(snapshots):
        rows: Rows = [list(row) for row in cut_cells(snapshot.path, snapshot.note, shown.inputs, titles)]
        grid = image_grid(_shrunk(rows, LARGEST_GIF_SIDE), column_titles=titles)
        frames.append(_captioned(grid, f"step {count(snapshot.step)}"))
        if on_progress is not None:
            on_progress(index + 1, len(snapshots))
    duration_ms = max(20, 10 * round(100 / fps))
    frames += [frames[-1]] * max(0, round(1000 * LAST_FRAME_SECONDS / duration_ms) - 1)
    save_gif(frames, path, duration_ms=duration_ms)


def timeline_strip(
    snapshots: Sequence[SnapshotPicture], shown: Shown, *, on_progress: Callable[[int, int], None] | None = None
) -> Image.Image:
    """One picture: a row is an input (and a column, where several change), from left to right the snapshots.

    Raises:
        DataError: A picture cannot be read.
    """
    columns: list[list[Image.Image | None]] = []
    for title in shown.context:
        cells = cut_cells(snapshots[-1].path, snapshots[-1].note, shown.inputs, [title])
        # Once for each input, beside its first row.
        columns.append([cell for row in cells for cell in (*row, *[None] * (len(shown.columns) - 1))])
    for index, snapshot in enumerate(snapshots):
        columns.append([c for row in cut_cells(snapshot.path, snapshot.note, shown.inputs, shown.columns) for c in row])
        if on_progress is not None:
            on_progress(index + 1, len(snapshots))
    rows: Rows = [list(row) for row in zip(*columns, strict=True)]
    titles = [*shown.context, *(f"step {count(snapshot.step)}" for snapshot in snapshots)]
    row_titles = list(shown.columns) * len(shown.inputs) if len(shown.columns) > 1 else None
    return image_grid(_shrunk(rows, LARGEST_STRIP_SIDE), column_titles=titles, row_titles=row_titles)


def _stays(snapshots: Sequence[SnapshotPicture], title: str) -> bool:
    prints = {snapshot.note.fingerprints[snapshot.note.columns.index(title)] for snapshot in snapshots}
    return len(prints) == 1


def _has(snapshot: SnapshotPicture, shown: Shown) -> bool:
    return {*shown.context, *shown.columns} <= {*snapshot.note.columns} and max(shown.inputs) < snapshot.note.num_rows


def _shrunk(rows: Rows, largest: int) -> Rows:
    """Cells small enough for a picture whose sides are at most about `largest`."""
    first = next(cell for row in rows for cell in row if cell is not None)
    longest = max(first.width * len(rows[0]), first.height * len(rows))
    if longest <= largest:
        return rows
    size = (max(1, first.width * largest // longest), max(1, first.height * largest // longest))
    return [[cell and cell.resize(size, Image.Resampling.BOX) for cell in row] for row in rows]


def _captioned(grid: Image.Image, caption: str) -> Image.Image:
    canvas = Image.new("RGB", (grid.width, grid.height + _CAPTION_HEIGHT), (255, 255, 255))
    canvas.paste(grid, (0, _CAPTION_HEIGHT))
    font = ImageFont.load_default(_CAPTION_SIZE)
    ImageDraw.Draw(canvas).text((6, _CAPTION_HEIGHT / 2), caption, fill=_INK, font=font, anchor="lm")
    return canvas
