"""What an image file says beside its pixels and a translation of it says again: where it lies, how large a pixel is."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Literal

import numpy as np

from tandem.data.formats.tiff_tags import RawTag

Unit = Literal["none", "inch", "cm", "metre"]
_PER_METRE: dict[Unit, Fraction] = {"inch": Fraction(10000, 254), "cm": Fraction(100), "metre": Fraction(1)}
_PROFILE_CHANNELS = {b"GRAY": (1, 2), b"RGB ": (3, 4)}
MAX_PROFILE_BYTES = 16 * 2**20


@dataclass(frozen=True)
class Resolution:
    """Pixels for a unit of length.

    Attributes:
        x: From left to right.
        y: From top to bottom.
        unit: That of length; of "none" only the ratio of x and y is known.
    """

    x: Fraction
    y: Fraction
    unit: Unit

    def per(self, unit: Unit) -> tuple[Fraction, Fraction]:
        """The numbers in another unit of length; with "none" they stay as they are."""
        factor = 1 if "none" in (unit, self.unit) else _PER_METRE[self.unit] / _PER_METRE[unit]
        return self.x * factor, self.y * factor


@dataclass(frozen=True)
class Microscopy:
    """What OME says of an image.

    Attributes:
        sizes: The attributes of its pixels' size and their units, e.g. ``PhysicalSizeX``.
        names: Of its channels; empty where they have none.
        colors: In which its channels are shown, ``RRGGBB``; likewise.
    """

    sizes: Mapping[str, str]
    names: tuple[str, ...]
    colors: tuple[str, ...] = ()


@dataclass(frozen=True)
class Derivation:
    """How an image came of another one, for formats that say so (DICOM).

    Attributes:
        series: Whatever the images of one series have in common, beside the series of what they came of.
        text: In words.
        number: Which of several images of the same place, from 1.
        name: The same for people; empty where there is one.
        window: The values that are black and white; None where these are not known.
        bits: Of an integer that are used; None: all.
        is_synthetic: Whether a model has made the values.
    """

    series: str
    text: str
    number: int = 1
    name: str = ""
    window: tuple[float, float] | None = None
    bits: int | None = None
    is_synthetic: bool = False


@dataclass(frozen=True)
class Carried:
    """All of it; what a file does not say is None or empty.

    Attributes:
        resolution: Of print, scans and microscopes.
        profile: The ICC profile of its colours.
        geography: The tags of a GeoTIFF, their values little-endian: transform and coordinate reference system.
        items: GDAL's text about the whole image, as XML.
        nodata: The value of pixels that hold nothing, as the file writes it.
        microscopy: What OME says.
        imagej: The lines of ImageJ on the size of a pixel.
        nifti: The header of a NIfTI file, of the slice that was read.
        dicom: That of a DICOM file, of the frame that was read: see `tandem.data.formats.dicom_header`.
        derivation: How the image that is written came of it; None where nobody says.
        palette: The colours of the indices of a label map.
        affine: From column, row and slice to millimetres to the right, forwards and up, 4 × 4; of NIfTI and DICOM.
    """

    resolution: Resolution | None = None
    profile: bytes | None = None
    geography: Mapping[int, RawTag] = field(default_factory=dict)
    items: str = ""
    nodata: str | None = None
    microscopy: Microscopy | None = None
    imagej: tuple[str, ...] = ()
    nifti: bytes | None = None
    dicom: bytes | None = None
    derivation: Derivation | None = None
    affine: tuple[tuple[float, ...], ...] | None = None
    palette: Mapping[int, tuple[int, int, int]] | None = None

    @property
    def nodata_value(self) -> float | None:
        """The value of pixels that hold nothing, as a number."""
        try:
            return None if self.nodata is None else float(self.nodata)
        except ValueError:
            return None

    def for_image(self, array: np.ndarray) -> "Carried":
        """What of it holds for another image of the same place and size, ``(H, W, C)``.

        A profile is kept where the colours are as many as it is for, names and colours of channels where these are as
        many, a palette where there are indices.
        """
        channels = array.shape[2]
        profile, microscopy = self.profile, self.microscopy
        if profile is not None and channels not in _PROFILE_CHANNELS.get(profile[16:20], ()):
            profile = None
        if microscopy is not None:
            names, colors = (one if len(one) == channels else () for one in (microscopy.names, microscopy.colors))
            microscopy = replace(microscopy, names=names, colors=colors)
        palette = self.palette if channels == 1 and array.dtype == np.uint8 else None
        return replace(self, profile=profile, microscopy=microscopy, palette=palette)


NOTHING = Carried()


def turned(carried: Carried, orientation: int) -> Carried:
    """The same for an image that was brought upright: its rows and columns are no longer those of the map."""
    if orientation not in range(2, 9):
        return carried
    resolution = carried.resolution
    if resolution is not None and orientation >= 5:
        resolution = Resolution(resolution.y, resolution.x, resolution.unit)
    return replace(carried, resolution=resolution, geography={}, microscopy=None, imagej=())


def empty_pixels(array: np.ndarray, *nodata: float | None, nan: bool = False) -> np.ndarray | None:
    """Where an image ``(H, W, C)`` holds nothing: ``(H, W)``, bool; None if nowhere.

    That is where all channels have a value of `nodata`, and with `nan` where any of them is no number.
    """
    values = [one for one in nodata if one is not None]
    found = [np.all(np.isnan(array) if math.isnan(one) else array == one, axis=2) for one in values]
    if nan and array.dtype.kind == "f":
        found.append(np.isnan(array).any(axis=2))
    empty = np.logical_or.reduce(found) if found else None
    return empty if empty is not None and empty.any() else None


def with_nodata(array: np.ndarray, empty: np.ndarray | None, nodata: float) -> np.ndarray:
    """An image ``(H, W, C)`` with a value in its `empty` pixels ``(H, W)``, and one step beside it in all others."""
    if not math.isnan(nodata):
        wrong = array == np.array(nodata, array.dtype)
        if wrong.any():
            array = np.where(wrong, _beside(nodata, array.dtype), array)
    return array if empty is None else np.where(empty[:, :, None], np.array(nodata, array.dtype), array)


def holds(dtype: np.dtype, value: float) -> bool:
    """Whether a type of samples has a value."""
    if dtype.kind == "f":
        return math.isnan(value) or float(np.array(value).astype(dtype)) == value
    info = np.iinfo(dtype)
    return value.is_integer() and info.min <= value <= info.max


def _beside(value: float, dtype: np.dtype) -> np.ndarray:
    if dtype.kind == "f":
        return np.nextafter(np.array(value, dtype), np.array(0 if value else 1, dtype))
    return np.array(value + 1 if value < np.iinfo(dtype).max else value - 1, dtype)
