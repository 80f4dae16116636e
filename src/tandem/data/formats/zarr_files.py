"""OME-Zarr images and plain Zarr arrays of versions 2 and 3, slice by slice (the extra ``zarr``).

Read is the first dataset of the first multiscale, the image at full resolution. Its axes are those that the metadata
name: y and x are the image, c its channels; every t and z is an image of its own. A plain array has two axes, or names
them.

What a folder may make a reader do is bounded before anything is decoded: metadata are parsed strictly, compressors are
those of Zarr itself, links are refused, and every chunk must say the size that it should have.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from tandem.data.formats.carried import Carried, Microscopy
from tandem.data.formats.extras import needed
from tandem.data.formats.stored import StoredImage, UnreadableError, check_values, kind_of_samples
from tandem.data.formats.zarr_arrays import (
    ZarrArray,
    check_chunk,
    folder_below,
    mapping,
    metadata_file,
    plain_file,
    read_array,
    read_node,
)

SUFFIXES = (".ome.zarr", ".zarr")
MAX_CHUNKS = 100_000
"""Of one image."""
_MOST_SLICES = 2**15
_UNITS = {"angstrom": "Å", "nanometer": "nm", "micrometer": "µm", "millimeter": "mm", "centimeter": "cm", "meter": "m"}
_COLOR = re.compile("[0-9A-Fa-f]{6}")
_AXES_BEFORE_THEY_WERE_NAMED = ("t", "c", "z", "y", "x")


@dataclass(frozen=True)
class ZarrVolume:
    """An opened image; see `tandem.data.formats.others.Volume`.

    Attributes:
        root: The folder that was named.
        array: At full resolution.
        axes: The letter of each axis.
        microscopy: Sizes of a pixel, names and colours of channels.
    """

    root: Path
    array: ZarrArray
    axes: tuple[str, ...]
    microscopy: Microscopy

    def _length(self, axis: str) -> int:
        return self.array.shape[self.axes.index(axis)] if axis in self.axes else 1

    @property
    def num_slices(self) -> int:
        """How many images it holds."""
        return self._length("t") * self._length("z")

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return self._length("x"), self._length("y")

    def _place(self, index: int) -> dict[str, int]:
        t, z = divmod(index, self._length("z"))
        return {"t": t, "z": z}

    def chunk_files(self, index: int) -> list[Path]:
        """The files of the chunks of a slice, those that are there; ones that are not hold the fill value.

        Raises:
            UnreadableError: One is a link, or no plain file.
        """
        array, place = self.array, self._place(index)
        along = [
            [place[axis] // chunk] if axis in place else range(-(-length // chunk))
            for axis, length, chunk in zip(self.axes, array.shape, array.chunks, strict=True)
        ]
        before, between = array.key
        names = (before + between.join(map(str, numbers)) for numbers in product(*along))
        return [path for name in names if (path := plain_file(array.folder, name)) is not None]

    def stamp(self, index: int) -> tuple[int, int]:
        """The bytes of the chunks of a slice, and the time of the last change of any, in nanoseconds."""
        found = [path.stat() for path in (*self.chunk_files(index), metadata_file(self.array.folder))]
        return sum(one.st_size for one in found), max(one.st_mtime_ns for one in found)

    def read(self, index: int) -> StoredImage:
        """The image of a slice.

        Raises:
            UnreadableError: It is damaged, or a chunk would unpack to another size.
        """
        for path in self.chunk_files(index):
            check_chunk(path, self.array)
        zarr, array, place = _zarr(), self.array, self._place(index)
        store = zarr.storage.LocalStore(array.folder, read_only=True)
        opened = zarr.open_array(store=store, mode="r", zarr_format=array.version)
        if (opened.shape, opened.chunks, opened.dtype.itemsize) != (array.shape, array.chunks, array.dtype.itemsize):
            raise UnreadableError("its metadata have changed while it was read")
        values = np.asarray(opened[tuple(place.get(axis, slice(None)) for axis in self.axes)])
        left = [axis for axis in self.axes if axis not in place]
        values = values if "c" in left else values[None]
        order = ["c", *(axis for axis in left if axis != "c")] if "c" not in left else left
        values = np.transpose(values, [order.index(axis) for axis in "yxc"])
        values = np.ascontiguousarray(values.astype(values.dtype.newbyteorder("=")))
        bits = 8 * values.itemsize
        kind = f"{kind_of_samples(values.dtype, bits)} Zarr image"
        return StoredImage(values, bits, 1 if values.shape[2] == 1 else 0, has_alpha=False, kind=kind)

    def carried(self, index: int) -> Carried:
        """What it says of a slice beside its pixels."""
        del index
        known = self.microscopy.sizes or self.microscopy.names or self.microscopy.colors
        return Carried(microscopy=self.microscopy if known else None)


def is_zarr(path: Path) -> bool:
    """Whether a path is a folder that counts as a Zarr image, by its name."""
    return path.name.lower().endswith(SUFFIXES) and path.is_dir()


def zarr_stem(name: str) -> str:
    """The name of such a folder without its ending."""
    return name[: -len(next(end for end in SUFFIXES if name.lower().endswith(end)))]


def open_zarr(root: Path) -> ZarrVolume:
    """What the metadata of a folder say.

    Raises:
        UnreadableError: They are damaged, or of a kind that is not read.
        MissingExtraError: zarr is not installed.
    """
    _zarr()
    attributes, is_array = read_node(root)
    if is_array:
        array, scale = read_array(root), []
        axes = [{"name": name} for name in array.names or (("y", "x") if len(array.shape) == 2 else ())]
    else:
        image = _multiscale(attributes)
        dataset = _first(image.get("datasets"), "datasets")
        array = read_array(folder_below(root, dataset.get("path")))
        axes = _axes(image.get("axes"), len(array.shape))
        scale = _scale(dataset, len(axes))
    letters = tuple(str(axis.get("name", "")).lower() for axis in axes)
    has_all = len(letters) == len(array.shape) == len({*letters}) and {"y", "x"} <= {*letters}
    if not has_all or not {*letters} <= {*_AXES_BEFORE_THEY_WERE_NAMED}:
        shape = " x ".join(map(str, array.shape))
        raise UnreadableError(
            f"has the axes {', '.join(letters) or 'without names'} of {shape} samples: read are y and x, and t, c and "
            "z beside them, by the names in its metadata"
        )
    volume = ZarrVolume(root, array, letters, _microscopy(attributes, axes, scale))
    check_values(*volume.size, volume._length("c"))
    if volume.num_slices > _MOST_SLICES:
        raise UnreadableError(f"has {volume.num_slices} slices, at most {_MOST_SLICES} are read")
    sides = zip(letters, array.shape, array.chunks, strict=True)
    chunks = [-(-length // chunk) for axis, length, chunk in sides if axis in "cyx"]
    if math.prod(chunks) > MAX_CHUNKS:
        raise UnreadableError(f"an image of it lies in {math.prod(chunks)} chunks, at most {MAX_CHUNKS} are read")
    return volume


def _first(value: object, what: str) -> Mapping[str, Any]:
    if not isinstance(value, list) or not value:
        raise UnreadableError(f"damaged ({what} is no list, or empty)")
    return mapping(value[0], what)


def _multiscale(attributes: Mapping[str, Any]) -> Mapping[str, Any]:
    known = attributes.get("ome", attributes)
    if not isinstance(known, dict) or "multiscales" not in known:
        raise UnreadableError(
            "is a Zarr group without an OME-Zarr image (multiscales): name the folder of an image in it, if there are "
            "several"
        )
    return _first(known["multiscales"], "multiscales")


def _axes(value: object, number: int) -> list[Mapping[str, Any]]:
    """The axes as OME-Zarr names them: since 0.4 objects, in 0.3 letters, before that all five."""
    if value is None and number == len(_AXES_BEFORE_THEY_WERE_NAMED):
        value = list(_AXES_BEFORE_THEY_WERE_NAMED)
    if not isinstance(value, list):
        raise UnreadableError("says nothing of its axes")
    return [axis if isinstance(axis, dict) else {"name": axis} for axis in value]


def _scale(dataset: Mapping[str, Any], number: int) -> list[float]:
    """The size of a pixel along each axis; empty where there is none."""
    steps = dataset.get("coordinateTransformations")
    for step in steps if isinstance(steps, list) else []:
        scale = step.get("scale") if isinstance(step, dict) and step.get("type") == "scale" else None
        if isinstance(scale, list) and len(scale) == number:
            known = [float(one) if isinstance(one, int | float) else math.nan for one in scale]
            return known if all(math.isfinite(one) and one > 0 for one in known) else []
    return []


def _microscopy(attributes: Mapping[str, Any], axes: Sequence[Mapping[str, Any]], scale: Sequence[float]) -> Microscopy:
    sizes: dict[str, str] = {}
    for axis, size in zip(axes, scale, strict=False):
        unit, letter = _UNITS.get(str(axis.get("unit"))), str(axis.get("name")).upper()
        if unit is not None and letter in ("X", "Y", "Z"):
            sizes |= {f"PhysicalSize{letter}": repr(size), f"PhysicalSize{letter}Unit": unit}
    known = attributes.get("ome", attributes)
    omero = known.get("omero") if isinstance(known, dict) else None
    channels = omero.get("channels") if isinstance(omero, dict) else None
    names = [one.get("label") for one in channels if isinstance(one, dict)] if isinstance(channels, list) else []
    plain = tuple(name for name in names[:4096] if isinstance(name, str) and len(name) < 256)
    shown = [one.get("color") for one in channels if isinstance(one, dict)] if isinstance(channels, list) else []
    colors = tuple(one.upper() for one in shown[:4096] if isinstance(one, str) and _COLOR.fullmatch(one))
    return Microscopy(sizes, plain if len(plain) == len(names) else (), colors if len(colors) == len(shown) else ())


def _zarr() -> Any:
    return needed("zarr", "zarr", "Reading Zarr images")
