"""The pictures of a run's snapshots: the fixed inputs at one step, and where the cells of the picture are.

A picture is a grid, one row an input, columns with titles. Geometry, titles and a fingerprint of each column stand as
JSON in the comment of the JPEG, so that cells can be cut out of it later, whatever columns a method shows.
"""

import dataclasses
import json
import re
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from tandem.config.parse import parse_dataclass
from tandem.errors import DataError
from tandem.report.grid import GridLayout

_NAME = re.compile(r"step-(\d{1,15})\.jpg")
_MAX_PIXELS = 200_000_000


@dataclass(frozen=True, kw_only=True)
class GridNote:
    """What a picture says of itself.

    Attributes:
        columns: Titles, from left to right.
        fingerprints: Of each column's first cell; a column whose fingerprint stays is not made by the model.
        num_rows: Inputs.
        layout: Where the cells are.
    """

    kind: Literal["tandem-grid"] = "tandem-grid"
    columns: tuple[str, ...]
    fingerprints: tuple[int, ...]
    num_rows: int
    layout: GridLayout

    def as_text(self) -> str:
        """As JSON."""
        return json.dumps(dataclasses.asdict(self), separators=(",", ":"))


def note_of(rows: Sequence[Sequence[np.ndarray]], titles: Sequence[str], layout: GridLayout) -> GridNote:
    """The note of a picture that is made of `rows`, arrays ``(H, W, C)`` uint8."""
    return GridNote(
        columns=tuple(titles),
        fingerprints=tuple(zlib.crc32(cell.tobytes()) for cell in rows[0]),
        num_rows=len(rows),
        layout=layout,
    )


def picture_path(folder: Path, step: int) -> Path:
    """The file of a step's picture."""
    return folder / f"step-{step:08d}.jpg"


def picture_steps(folder: Path) -> list[int]:
    """The steps that there are pictures of, in their order."""
    found = [_NAME.fullmatch(path.name) for path in folder.glob("step-*.jpg")]
    return sorted(int(match[1]) for match in found if match)


def read_note(path: Path) -> GridNote | None:
    """What the picture of a snapshot says of itself; None if nothing, as those of Tandem 0.1 before it had timelines.

    Raises:
        DataError: The file cannot be read, or its note is damaged.
    """
    with _opened(path) as picture:
        return _parsed(path, bytes(picture.info.get("comment", b"")), picture.size)


def cut_cells(path: Path, note: GridNote, rows: Sequence[int], columns: Sequence[str]) -> list[list[Image.Image]]:
    """Cut cells out of a picture with this note: a list of its columns for each row, RGB.

    Raises:
        DataError: The file cannot be read.
    """
    layout = note.layout

    def cut(picture: Image.Image, row: int, column: int) -> Image.Image:
        x, y = layout.corner(row, column)
        return picture.crop((x, y, x + layout.cell_width, y + layout.cell_height))

    with _opened(path) as opened:
        picture = opened.convert("RGB")
    return [[cut(picture, row, note.columns.index(title)) for title in columns] for row in rows]


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    try:
        with Image.open(path, formats=["JPEG"]) as picture:
            if picture.width * picture.height > _MAX_PIXELS:
                raise DataError(f"{path}: too large, at most {_MAX_PIXELS} pixels are read")
            yield picture
    except DataError:
        raise
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise DataError(f"{path}: damaged, or no picture of a snapshot ({error})") from error


def _parsed(path: Path, comment: bytes, size: tuple[int, int]) -> GridNote | None:
    if b"tandem-grid" not in comment:
        return None
    try:
        note = parse_dataclass(GridNote, json.loads(comment), "the note")
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: its note on where the cells are is damaged ({error})") from error
    layout = note.layout
    positive = note.num_rows > 0 and layout.cell_width > 0 and layout.cell_height > 0
    fits = layout.corner(note.num_rows, len(note.columns)) == size and min(layout.left, layout.top, layout.padding) >= 0
    if not (positive and fits and len(note.fingerprints) == len(note.columns)):
        raise DataError(f"{path}: its note on where the cells are does not fit the picture")
    return note
