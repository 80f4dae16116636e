"""Label maps: from the values or colours of a file to indices, to the planes of the networks, and back.

Between files and networks a label map is an *index image* ``(H, W, 1)``, uint8, or uint16 where an index is above 255:
the first value of each pixel's class, in one byte or two. The networks see a plane for each class, 1 where a pixel is
of the class and -1 where it is not; a pixel without a class is -1 in all of them. A pixel of an output is of the class
whose plane is highest.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from tandem.config.classes import MAX_VALUE, Colour, LabelClasses, hex_of
from tandem.data.formats.stored import StoredImage
from tandem.data.images import ImageReadError
from tandem.data.pixels import eight_bits
from tandem.errors import DataError

IGNORED = -1
"""The number of pixels without a class."""
_MOST_NAMED = 5
_COLOURS_AT_ONCE = 2**14
_NO_CLASS: Colour = (0, 0, 0)
"""What pixels without a class look like where they have no colour."""


class _Tables(NamedTuple):
    """What a class is in every form.

    Attributes:
        numbers: Of each index that a file may hold its class, `IGNORED`, or -2 where it is none, ``(65536,)``, int16.
        kept: Of each class its index, and behind them that of pixels without one.
        shown: Of each index that is kept its colour, ``(highest + 1, 3)``, uint8.
    """

    numbers: np.ndarray
    kept: np.ndarray
    shown: np.ndarray


@lru_cache(maxsize=8)
def _tables(classes: LabelClasses) -> _Tables:
    numbers = np.full(MAX_VALUE + 1, IGNORED if classes.ignores_others else -2, np.int16)
    for number, one in enumerate(classes.classes):
        numbers[list(one.values)] = number
    ignored = classes.ignored
    if ignored is not None:
        numbers[[*classes.ignored_values, ignored]] = IGNORED
    kept = np.array([*classes.indices, 0 if ignored is None else ignored], dtype_of(classes))
    shown = np.zeros((classes.highest + 1, 3), np.uint8)
    for place, colour in palette_of(classes).items():
        shown[place] = colour
    return _Tables(numbers, kept, shown)


def dtype_of(classes: LabelClasses) -> np.dtype:
    """The type of index images: uint8, or uint16 where an index is above 255."""
    return np.dtype(np.uint8 if classes.highest <= 255 else np.uint16)


def palette_of(classes: LabelClasses) -> dict[int, Colour]:
    """The colour of every index that is kept: that of its class, or one of its own where classes have none."""
    found = {one.values[0]: one.colour or _own_colour(number + 1) for number, one in enumerate(classes.classes)}
    if classes.ignored is not None:
        found[classes.ignored] = (classes.ignored_colours or (_NO_CLASS,))[0]
    return found


def _own_colour(number: int) -> Colour:
    """A colour that is far from those of other numbers: the bits of the number in turn to red, green and blue."""
    parts = [0, 0, 0]
    for bit in range(24):
        parts[bit % 3] |= ((number >> bit) & 1) << (7 - bit // 3)
    return parts[0], parts[1], parts[2]


def read_labels(classes: LabelClasses, stored: StoredImage, name: str) -> np.ndarray:
    """The index image of a file: ``(H, W, 1)``.

    Raises:
        ImageReadError: It holds what is no class, or is no label map; `name` is the file.
    """
    tables = _tables(classes)
    found = _by_value(classes, stored, name) if _has_indices(classes, stored) else _by_colour(classes, stored, name)
    return tables.kept[found][:, :, None]  # the place of IGNORED, -1, is the last one


def _has_indices(classes: LabelClasses, stored: StoredImage) -> bool:
    """Whether a file is read by its indices: grey, of a palette, or grey in three channels."""
    if not classes.by_value:
        return False
    values = stored.values
    if stored.indices is not None or values.shape[2] == 1 or stored.num_colours == 1:
        return True
    is_grey = values.shape[2] >= 3 and not classes.has_colours
    return is_grey and bool((values[:, :, :1] == values[:, :, 1:3]).all())


def _by_value(classes: LabelClasses, stored: StoredImage, name: str) -> np.ndarray:
    """The number of each pixel's class, ``(H, W)``."""
    values = stored.values[:, :, 0] if stored.indices is None else stored.indices
    if values.dtype.kind not in "uif":
        raise ImageReadError(name, f"has {values.dtype} samples, and a label map holds whole numbers")
    inside = (values >= 0) & (values <= MAX_VALUE)
    if values.dtype.kind == "f":
        inside &= values == np.floor(values)
    places = np.where(inside, values, 0).astype(np.int64)
    found = np.where(inside, _tables(classes).numbers[places], IGNORED if classes.ignores_others else -2)
    if (found == -2).any():
        strange = found == -2
        told = [f"{one:g}" for one in np.unique(values[strange]).tolist()]
        raise ImageReadError(
            name,
            f"holds the {_several('value', told)}, which {_are(told)} no class, in {_where(strange)}: add "
            f"{_them(told)} to --classes-a or --classes-b, or to what is ignored there"
            + (
                "; or leave the values of the classes out, so that files are read by their colours"
                if stored.indices is not None and classes.has_colours
                else ""
            ),
        )
    return found


def _by_colour(classes: LabelClasses, stored: StoredImage, name: str) -> np.ndarray:
    """Likewise of a colour map."""
    values = stored.values
    if not classes.has_colours:
        raise ImageReadError(
            name,
            f"has {values.shape[2]} channels ({stored.kind}), and the classes have no colours: save it with one "
            "channel of indices, or give each class its colour in the file of --classes-a or --classes-b",
        )
    if values.shape[2] not in (1, 2, 3, 4) or values.dtype not in (np.uint8, np.uint16):
        raise ImageReadError(name, f"has {values.shape[2]} channels of {values.dtype}, and is no colour map")
    image = eight_bits(values[:, :, :3] if values.shape[2] >= 3 else np.repeat(values[:, :, :1], 3, axis=2))
    colours = np.array(
        [*(one.colour or _NO_CLASS for one in classes.classes), *classes.ignored_colours], dtype=np.int64
    )
    nearest, squares = _nearest(image, colours)
    strange = squares > classes.tolerance**2
    found = np.where(nearest < len(classes), nearest, IGNORED)
    if not strange.any():
        return found
    if classes.ignores_others:
        return np.where(strange, IGNORED, found)
    told = [hex_of(colour) for colour in np.unique(image[strange], axis=0)[: _MOST_NAMED + 1].tolist()]
    farthest = float(np.sqrt(squares.max()))
    raise ImageReadError(
        name,
        f"holds the {_several('colour', told)}, which {_are(told)} no class, in {_where(strange)}; the farthest is "
        f"{farthest:.0f} from any class. Add {_them(told)} to --classes-a or --classes-b; where JPEG or a resize has "
        f"blurred colours, write 'tolerance: {max(60, int(np.ceil(farthest)))}' there",
    )


def _nearest(image: np.ndarray, colours: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The nearest colour of each pixel, and the square of its distance, each ``(H, W)``, int64."""
    red, green, blue = np.moveaxis(image.astype(np.uint32), 2, 0)
    found, where = np.unique((red << 16) | (green << 8) | blue, return_inverse=True)
    labels, squares = np.empty(len(found), np.int64), np.empty(len(found), np.int64)
    for first in range(0, len(found), _COLOURS_AT_ONCE):
        part = found[first : first + _COLOURS_AT_ONCE].astype(np.int64)
        parts = np.stack([part >> 16, (part >> 8) & 255, part & 255], axis=1)
        distances = np.stack([np.square(parts - colour).sum(axis=1) for colour in colours], axis=1)
        labels[first : first + len(part)] = distances.argmin(axis=1)
        squares[first : first + len(part)] = distances.min(axis=1)
    shape = image.shape[:2]
    return labels[where.ravel()].reshape(shape), squares[where.ravel()].reshape(shape)


def from_picture(classes: LabelClasses, picture: np.ndarray) -> np.ndarray:
    """The index image of colours ``(H, W, 3)``, uint8: those of the classes, or those that `coloured` gives.

    Raises:
        ImageReadError: It holds a colour that is no class.
    """
    if classes.has_colours:
        return read_labels(classes, StoredImage(picture, 8, 3, has_alpha=False, kind="picture"), "the image")
    colours = palette_of(classes)
    nearest, squares = _nearest(picture, np.array(list(colours.values()), np.int64))
    if squares.any():
        told = [hex_of(colour) for colour in np.unique(picture[squares > 0], axis=0)[: _MOST_NAMED + 1].tolist()]
        raise ImageReadError(
            "the image",
            f"holds the {_several('colour', told)}, which {_are(told)} no class, in {_where(squares > 0)}: give the "
            "indices of the classes in one channel, or train with a colour for each class",
        )
    return np.array(list(colours), dtype_of(classes))[nearest][:, :, None]


def labels_from_colours(image: np.ndarray, palette: np.ndarray, *, max_distance: float = 0.0) -> np.ndarray:
    """Read a label map that is stored as an image in colours.

    Args:
        image: ``(H, W, 3)``, uint8.
        palette: ``(K, 3)``, the colour of each class.
        max_distance: How far (Euclidean, 0..441) a pixel may be from the nearest colour; JPEG needs some 60. Pixels
            beyond it are `IGNORED`; with 0, they are an error.

    Returns:
        ``(H, W)``, int64.

    Raises:
        DataError: The shapes are others, colours repeat, or a colour is not in the palette.
    """
    colours = np.asarray(palette, dtype=np.int64)
    if image.ndim != 3 or image.shape[2] != 3 or colours.ndim != 2 or colours.shape[1] != 3:
        raise DataError(
            f"the label image is {image.shape} and the palette {colours.shape}; expected (H, W, 3), (K, 3)."
        )
    if len(np.unique(colours, axis=0)) < len(colours):
        raise DataError("two classes of the palette have the same colour.")
    labels, squares = _nearest(image, colours)
    strange = squares > max_distance**2
    if strange.any() and max_distance == 0:
        first = tuple(np.unique(image[strange], axis=0)[0].tolist())
        raise DataError(
            f"the label image holds the colour {first}, which is not in the palette. If it was saved with losses "
            "(JPEG) or resized smoothly, allow a distance."
        )
    return np.where(strange, IGNORED, labels)


def class_numbers(classes: LabelClasses, indices: np.ndarray) -> np.ndarray:
    """The class of each pixel of an index image of any shape: int16, `IGNORED` where it has none.

    Raises:
        DataError: An index is no class.
    """
    if indices.dtype in (np.uint8, np.uint16):  # as files are kept, and none is beyond the table
        found = _tables(classes).numbers[indices]
    else:
        inside = (indices >= 0) & (indices <= MAX_VALUE)
        found = np.where(inside, _tables(classes).numbers[np.where(inside, indices, 0).astype(np.int64)], -2)
    if (found == -2).any():
        told = [f"{one:g}" for one in np.unique(indices[found == -2]).tolist()]
        raise DataError(f"the label map holds the {_several('value', told)}, which {_are(told)} no class of the model.")
    return found


def to_planes(classes: LabelClasses, indices: np.ndarray) -> np.ndarray:
    """The planes ``(K, H, W)``, float32, -1 and 1, of an index image ``(H, W, 1)``."""
    numbers = class_numbers(classes, indices[:, :, 0])
    planes = np.empty((len(classes), *numbers.shape), np.float32)
    for number in range(len(classes)):  # twice as fast as writing the ones into their places
        planes[number] = numbers == number
    planes *= 2
    planes -= 1
    return planes


def from_planes(classes: LabelClasses, planes: np.ndarray) -> np.ndarray:
    """The index image ``(..., H, W, 1)`` of planes ``(..., K, H, W)``.

    A pixel is of the class whose plane is highest, of the first one where several are. Where classes know pixels
    without a class, those that are -1 in all planes are such.

    Raises:
        DataError: A value is not finite.
    """
    if not np.isfinite(planes).all():
        raise DataError(f"An image of shape {tuple(planes.shape)} holds values that are not finite.")
    numbers = planes.argmax(axis=-3)
    if classes.ignores:
        numbers = np.where(planes.max(axis=-3) <= -1, IGNORED, numbers)
    return _tables(classes).kept[numbers][..., None]


def coloured(classes: LabelClasses, indices: np.ndarray) -> np.ndarray:
    """An index image ``(..., H, W, 1)`` to look at: ``(..., H, W, 3)``, uint8."""
    return _tables(classes).shown[indices[..., 0]]


def _several(noun: str, told: list[str]) -> str:
    """E.g. ``values 1, 2 and 3``."""
    if len(told) == 1:
        return f"{noun} {told[0]}"
    if len(told) > _MOST_NAMED:
        return f"{noun}s {', '.join(told[:_MOST_NAMED])} and others"
    return f"{noun}s {', '.join(told[:-1])} and {told[-1]}"


def _are(told: list[str]) -> str:
    return "is" if len(told) == 1 else "are"


def _them(told: list[str]) -> str:
    return "it" if len(told) == 1 else "them"


def _where(strange: np.ndarray) -> str:
    """How many pixels of ``(H, W)``, and where the first of them is."""
    row, column = np.argwhere(strange)[0].tolist()
    return f"{int(strange.sum())} of {strange.size} pixels, the first in row {row}, column {column}"
