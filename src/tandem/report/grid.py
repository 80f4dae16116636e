"""Joining pictures into one, and writing pictures to files."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from tandem.data.formats.carried import NOTHING, Carried
from tandem.data.metadata import pillow_options
from tandem.errors import ConfigError, DataError
from tandem.files import atomic_write_bytes

Picture = np.ndarray | Image.Image
MOST_SHOWN = 4
"""Channels of an image that is a picture; of more the first three are shown."""

_FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}
_LARGEST_SIDE = {"JPEG": 65_500, "WEBP": 16_383}
_SMALLEST_TITLE = 9  # px; below that the letters are no longer readable
_TITLE_COLOUR = {"light": (40, 40, 38), "dark": (225, 224, 220)}


@dataclass(frozen=True)
class GridLayout:
    """Where the cells of a grid are, in pixels.

    Attributes:
        left: Room for the titles of the rows.
        top: Room for the titles of the columns.
        padding: Between the cells and around them.
        cell_width: Of every cell.
        cell_height: Likewise.
    """

    left: int
    top: int
    padding: int
    cell_width: int
    cell_height: int

    def corner(self, row: int, column: int) -> tuple[int, int]:
        """Upper left corner of a cell: x and y."""
        return (
            self.left + self.padding + column * (self.cell_width + self.padding),
            self.top + self.padding + row * (self.cell_height + self.padding),
        )


def to_image(picture: Picture) -> Image.Image:
    """Return a picture as a PIL image.

    Args:
        picture: `(H, W)` or `(H, W, C)` uint8 with C from 1 to 4 (grey, grey with alpha, RGB, RGBA), or a PIL image,
            which is returned as it is.

    Raises:
        DataError: another type, shape or number of channels.
    """
    if isinstance(picture, Image.Image):
        return picture
    known = picture.dtype == np.uint8 and (
        picture.ndim == 2 or (picture.ndim == 3 and picture.shape[2] in (1, 2, 3, 4))
    )
    if not known or 0 in picture.shape:
        raise DataError(
            f"A picture must be uint8 of shape (H, W, C) with C from 1 to 4, not {picture.dtype} of "
            f"shape {tuple(picture.shape)}. Convert it (range 0 to 255, channels last) first."
        )
    single = picture.ndim == 3 and picture.shape[2] == 1
    return Image.fromarray(np.ascontiguousarray(picture[:, :, 0] if single else picture))


def shown(picture: np.ndarray) -> np.ndarray:
    """What is seen of an image ``(H, W, C)``, uint8: its first three channels where it has more than four."""
    return picture[:, :, :3] if picture.ndim == 3 and picture.shape[2] > MOST_SHOWN else picture


def flatten(image: Image.Image, background: int = 255) -> Image.Image:
    """Return an opaque gray ("L") or RGB picture; transparent parts show the gray value `background`."""
    if not image.has_transparency_data:
        return image if image.mode == "L" else image.convert("RGB")
    below = Image.new("RGBA", image.size, (background, background, background, 255))
    return Image.alpha_composite(below, image.convert("RGBA")).convert("RGB")


def image_grid(
    rows: Sequence[Sequence[Picture | None]],
    *,
    column_titles: Sequence[str] | None = None,
    row_titles: Sequence[str] | None = None,
    padding: int = 2,
    background: int = 255,
    scale: int = 1,
) -> Image.Image:
    """Join rows of pictures into one RGB picture.

    Every cell has the size of the largest picture; smaller ones stand in the middle of theirs, rounded to the
    upper left. Where the cells are is said by `grid_layout`.

    Args:
        rows: Pictures as in `to_image`, of more than four channels the first three; `None` leaves a cell empty, short
            rows are filled up with such cells.
        column_titles: One text above each column; too long ones are set smaller, then cut off.
        row_titles: One text to the left of each row.
        padding: Pixels between the cells and around them.
        background: Gray value 0 to 255 behind the pictures and behind transparent parts of them.
        scale: Each pixel becomes `scale`×`scale` equal ones, for pictures too small to see.

    Raises:
        DataError: no picture at all, or something that is not a picture.
        ConfigError: a number of titles that does not fit, or an option out of range.
    """
    images = [[None if cell is None else _cell(cell) for cell in row] for row in rows]
    num_columns = max((len(row) for row in images), default=0)
    _check_titles("column", column_titles, num_columns)
    _check_titles("row", row_titles, len(images))
    if scale < 1 or padding < 0 or not 0 <= background <= 255:
        raise ConfigError(
            f"scale must be at least 1, padding at least 0 and background 0 to 255, not {scale}, {padding} "
            f"and {background}."
        )
    layout = grid_layout(images, column_titles=column_titles, row_titles=row_titles, padding=padding, scale=scale)
    canvas = Image.new("RGB", layout.corner(len(images), num_columns), (background,) * 3)
    for r, row in enumerate(images):
        for c, image in enumerate(row):
            if image is not None:
                drawn = flatten(image, background)
                if scale > 1:
                    drawn = drawn.resize((image.width * scale, image.height * scale), Image.Resampling.NEAREST)
                x, y = layout.corner(r, c)
                canvas.paste(
                    drawn, (x + (layout.cell_width - drawn.width) // 2, y + (layout.cell_height - drawn.height) // 2)
                )
    _draw_titles(canvas, layout, column_titles, row_titles, background)
    return canvas


def grid_layout(
    rows: Sequence[Sequence[Picture | None]],
    *,
    column_titles: Sequence[str] | None = None,
    row_titles: Sequence[str] | None = None,
    padding: int = 2,
    scale: int = 1,
) -> GridLayout:
    """Where `image_grid` puts the cells when it is given the same.

    Raises:
        DataError: no picture at all, or something that is not a picture.
    """
    present = [_cell(cell) for row in rows for cell in row if cell is not None]
    if not present:
        raise DataError("A grid needs at least one picture, but every cell is empty.")
    cell_width = scale * max(image.width for image in present)
    size = _title_size(cell_width)
    return GridLayout(
        left=_row_title_width(row_titles, size) if row_titles else 0,
        top=size + 8 if column_titles else 0,
        padding=padding,
        cell_width=cell_width,
        cell_height=scale * max(image.height for image in present),
    )


def _cell(picture: Picture) -> Image.Image:
    return to_image(shown(picture) if isinstance(picture, np.ndarray) else picture)


def _title_size(cell_width: int) -> int:
    return min(20, max(11, cell_width // 9))


def _draw_titles(
    canvas: Image.Image,
    layout: GridLayout,
    column_titles: Sequence[str] | None,
    row_titles: Sequence[str] | None,
    background: int,
) -> None:
    size = _title_size(layout.cell_width)
    draw = ImageDraw.Draw(canvas)
    colour = _TITLE_COLOUR["light" if background >= 128 else "dark"]
    for c, title in enumerate(column_titles or ()):
        x = layout.corner(0, c)[0] + layout.cell_width / 2
        fitted, font = _fit(title, layout.cell_width, size)
        draw.text((x, layout.top / 2 + layout.padding / 2), fitted, fill=colour, font=font, anchor="mm")
    for r, title in enumerate(row_titles or ()):
        y = layout.corner(r, 0)[1] + layout.cell_height / 2
        fitted, font = _fit(title, layout.left - size, size)
        draw.text((layout.left - size / 2, y), fitted, fill=colour, font=font, anchor="rm")


def save_image(image: Picture, path: Path, *, quality: int = 92, comment: str = "", carried: Carried = NOTHING) -> None:
    """Write a picture atomically, in the format that the suffix of `path` names.

    Args:
        image: As in `to_image`.
        path: Ends in .png, .jpg, .jpeg or .webp. JPEG knows no transparency: it is flattened on white.
        quality: 1 to 100, for JPEG and WebP; PNG is always exact.
        comment: Text that is stored in a JPEG beside the picture.
        carried: What else the file says: its profile and resolution, as far as the format knows them.

    Raises:
        ConfigError: another suffix, a quality out of range, or a comment for another format.
        DataError: a picture that the format cannot hold (more than 8 bits in JPEG or WebP, or too large).
    """
    name = _FORMATS.get(path.suffix.lower())
    if name is None:
        raise ConfigError(f"Cannot write '{path.name}': a picture's name must end in one of {', '.join(_FORMATS)}.")
    if not 1 <= quality <= 100:
        raise ConfigError(f"The picture quality must be 1 to 100, not {quality}.")
    if comment and name != "JPEG":
        raise ConfigError(f"Cannot write '{path.name}' with a comment: only JPEG files get one.")
    picture = to_image(image)
    limit = _LARGEST_SIDE.get(name)
    if limit is not None and max(picture.size) > limit:
        raise DataError(
            f"{name} holds at most {limit} pixels a side, but the picture has {picture.width}×"
            f"{picture.height}. Write a .png, or fewer pictures in one."
        )
    buffer, more = io.BytesIO(), pillow_options(carried, name)
    if name == "PNG":
        picture.save(buffer, name, **more)
    elif picture.mode.startswith(("I", "F")):
        raise DataError(f"{name} holds 8 bits a channel, but the picture has mode {picture.mode}; write a .png.")
    elif name == "JPEG":
        # Full colour resolution: halved, thin coloured lines would fray.
        flatten(picture, 255).save(buffer, name, quality=quality, subsampling=0, comment=comment, **more)
    else:
        picture.save(buffer, name, quality=quality, **more)
    atomic_write_bytes(path, buffer.getvalue())


def _check_titles(what: str, titles: Sequence[str] | None, expected: int) -> None:
    if titles is not None and len(titles) != expected:
        raise ConfigError(f"{len(titles)} {what} titles were given for {expected} {what}s.")


def _row_title_width(titles: Sequence[str], size: int) -> int:
    font = ImageFont.load_default(size)
    return int(min(14 * size, max(font.getlength(title) for title in titles))) + 1 + size


def _fit(title: str, width: float, size: int) -> tuple[str, ImageFont.FreeTypeFont | ImageFont.ImageFont]:
    """Return the title, smaller or cut off so that it fits into `width`, and its font."""
    line = " ".join(title.split())
    while ImageFont.load_default(size).getlength(line) > width and size > _SMALLEST_TITLE:
        size -= 1
    font = ImageFont.load_default(size)
    if font.getlength(line) > width:
        while line and font.getlength(line + "…") > width:
            line = line[:-1]
        line = line.rstrip() + "…"
    return line, font
