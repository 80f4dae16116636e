"""Writing OME-Zarr 0.4 on Zarr 2, which most readers know (the extra ``zarr``).

One level, axes c, y and x. A folder that is replaced must be one that was written here, and hold nothing else.
"""

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tandem.data.formats.carried import Carried
from tandem.data.formats.extras import needed
from tandem.data.formats.stored import UnreadableError
from tandem.data.formats.zarr_arrays import read_node
from tandem.errors import DataError
from tandem.version import __version__

SUFFIX = ".ome.zarr"
_VERSION = "0.4"
_LEVEL = "0"
_OWN = {".zgroup", ".zattrs", _LEVEL}
_CREATOR = "tandem"
_CHUNK = 1024
_COLORS = ("FF0000", "00FF00", "0000FF", "FFFF00", "FF00FF", "00FFFF")
_UNITS = {
    "angstrom": ("Å",),
    "nanometer": ("nm",),
    "micrometer": ("µm", "μm", "um", "micron", "microns", "\\u00B5m"),
    "millimeter": ("mm",),
    "centimeter": ("cm",),
    "meter": ("m",),
}
_UNIT_OF = {sign: unit for unit, signs in _UNITS.items() for sign in signs}


def zarr_members(array: np.ndarray, carried: Carried, name: str) -> dict[str, bytes]:
    """The files of an OME-Zarr of an image ``(H, W, C)``, by their paths in its folder.

    Chunks are of one channel and at most 1024 × 1024 pixels, packed by blosc (zstd, bytes shuffled).

    Raises:
        MissingExtraError: zarr is not installed.
    """
    zarr = needed("zarr", "zarr", "Writing Zarr images")
    numcodecs = needed("numcodecs", "zarr", "Writing Zarr images")
    height, width, channels = array.shape
    files: dict[str, Any] = {}
    store = zarr.storage.MemoryStore(files)
    zarr.open_group(store, mode="w", zarr_format=2, attributes=_attributes(array, carried, name))
    made = zarr.create_array(
        store,
        name=_LEVEL,
        shape=(channels, height, width),
        chunks=(1, min(height, _CHUNK), min(width, _CHUNK)),
        dtype=array.dtype.newbyteorder("<"),
        compressors=numcodecs.Blosc(cname="zstd", clevel=5, shuffle=numcodecs.Blosc.SHUFFLE),
        fill_value=0,
        zarr_format=2,
        chunk_key_encoding={"name": "v2", "separator": "/"},
        config={"write_empty_chunks": True},  # a chunk of -0.0 counts as empty
    )
    made[:] = np.moveaxis(array, 2, 0)
    return {path: files[path].to_bytes() for path in sorted(files)}  # zarr writes them in whatever order


def is_own_zarr(path: Path) -> bool:
    """Whether a path is an image that was written here, and nothing was added to it."""
    if path.is_symlink() or not path.is_dir() or not {one.name for one in path.iterdir()} <= _OWN:
        return False
    try:
        known = read_node(path)[0].get("_creator")
    except UnreadableError:
        return False
    return isinstance(known, dict) and known.get("name") == _CREATOR


def require_own_zarr(path: Path) -> None:
    """Refuse to replace what was not written here; what is not there is fine.

    Raises:
        DataError: There is something else.
    """
    if (path.exists() or path.is_symlink()) and not is_own_zarr(path):
        raise DataError(foreign_zarr(path))


def foreign_zarr(path: Path) -> str:
    """Say that a path is not replaced."""
    return (
        f"{path} is there, and it is no Zarr image that Tandem has written, or something was added to it: it is not "
        "replaced. Give another name, or remove it."
    )


def _attributes(array: np.ndarray, carried: Carried, name: str) -> dict[str, Any]:
    scale, axes = [1.0], [{"name": "c", "type": "channel"}]
    sizes = _sizes(carried)
    for axis in ("y", "x"):
        size, unit = sizes.get(axis, (1.0, None))
        scale.append(size)
        axes.append({"name": axis, "type": "space"} | ({} if unit is None else {"unit": unit}))
    level = {"path": _LEVEL, "coordinateTransformations": [{"type": "scale", "scale": scale}]}
    image: dict[str, Any] = {"version": _VERSION, "name": name, "axes": axes, "datasets": [level]}
    known: dict[str, Any] = {"multiscales": [image], "_creator": {"name": _CREATOR, "version": __version__}}
    names, colors = ((), ()) if carried.microscopy is None else (carried.microscopy.names, carried.microscopy.colors)
    if array.dtype.kind == "u" and array.shape[2] == len(_COLORS[:3]) and not names:
        colors = colors or _COLORS[:3]
    if names or colors:
        known["omero"] = {"version": _VERSION, "channels": _channels(array, names, colors)}
    return known


def _sizes(carried: Carried) -> dict[str, tuple[float, str]]:
    """Size and unit of a pixel along y and x, as OME or ImageJ says."""
    found: dict[str, tuple[float, str]] = {}
    if carried.microscopy is not None:
        told = carried.microscopy.sizes
        for axis in ("X", "Y"):
            size, unit = told.get(f"PhysicalSize{axis}", ""), told.get(f"PhysicalSize{axis}Unit", "µm")
            found |= _size(axis.lower(), size, unit)
    elif carried.imagej and carried.resolution is not None:  # in whose unit the resolution counts
        told = dict(line.split("=", 1) for line in carried.imagej)
        unit = told.get("unit", "")
        for axis, number in (("x", carried.resolution.x), ("y", carried.resolution.y)):
            found |= _size(axis, repr(float(1 / number)), told.get("yunit", unit) if axis == "y" else unit)
    return found


def _size(axis: str, size: str, sign: str) -> dict[str, tuple[float, str]]:
    unit = _UNIT_OF.get(sign.strip())
    if unit is None or not re.fullmatch(r"[0-9.eE+-]{1,40}", size.strip()):
        return {}
    try:
        value = float(size)
    except ValueError:
        return {}
    return {axis: (value, unit)} if math.isfinite(value) and value > 0 else {}


def _channels(array: np.ndarray, names: Sequence[str], colors: Sequence[str]) -> list[dict[str, Any]]:
    """How viewers show the channels. Each must have a colour: if none is known white, or of several six in turn."""
    channels = array.shape[2]
    told: list[dict[str, Any]] = []
    for index in range(channels):
        values = array[:, :, index]
        values = values[np.isfinite(values)] if array.dtype.kind == "f" else values
        low, high = (float(values.min()), float(values.max())) if values.size else (0.0, 1.0)
        ends = (low, high)
        if array.dtype.kind != "f":
            ends = (float(np.iinfo(array.dtype).min), float(np.iinfo(array.dtype).max))
        low, high = ends if array.dtype == np.uint8 else (low, high)
        color = "FFFFFF" if channels == 1 else _COLORS[index % len(_COLORS)]
        color = colors[index] if colors else color
        window = {"min": ends[0], "max": ends[1], "start": low, "end": high}
        own = {"label": names[index]} if names else {}
        told.append(own | {"color": color, "active": True, "window": window})
    return told
