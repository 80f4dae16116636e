"""What a TIFF says beside its pixels: GeoTIFF, OME-TIFF, ImageJ, resolution and profile, read and written."""

import re
import struct
import xml.etree.ElementTree as ET
from fractions import Fraction
from typing import BinaryIO

import numpy as np

from tandem.data.formats.carried import MAX_PROFILE_BYTES, Carried, Resolution, Unit, turned
from tandem.data.formats.ome import is_ome, ome_xml, read_ome
from tandem.data.formats.tiff_tags import ByteOrder, RawTag, read_raw_tags

_DESCRIPTION, _ORIENTATION, _X, _Y, _UNIT, _PROFILE, _GDAL_ITEMS, _GDAL_NODATA = (
    *(270, 274, 282, 283, 296, 34675, 42112, 42113),
)
_GEOGRAPHY = (33550, 33922, 34264, 34735, 34736, 34737)
"""ModelPixelScale, ModelTiepoint, ModelTransformation, GeoKeyDirectory, GeoDoubleParams, GeoAsciiParams."""
_WANTED = frozenset(
    {_DESCRIPTION, _ORIENTATION, _X, _Y, _UNIT, _PROFILE, _GDAL_ITEMS, _GDAL_NODATA, *_GEOGRAPHY},
)
_UNITS: dict[int, Unit] = {1: "none", 2: "inch", 3: "cm"}
_SIDES = {3: 2, 4: 4, 5: 4, 8: 2, 9: 4, 10: 4, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
"""Bytes of what changes with the byte order, by type of tag; a fraction is two numbers."""
_TEXT, _SHORT, _FRACTION, _BYTES = 2, 3, 5, 7
_IMAGEJ_KEPT = re.compile(r"(ImageJ|unit|yunit|spacing|zunit|xorigin|yorigin)=[^\n]*")
_IMAGEJ_TYPES = ("uint8", "uint16", "float32")


def read_tiff_carried(stream: BinaryIO) -> Carried:
    """What the first page of a TIFF says.

    Raises:
        UnreadableError: The file is damaged or truncated.
    """
    raw, order = read_raw_tags(stream, _WANTED)
    text = _text_of(raw.get(_DESCRIPTION))
    orientation = raw.get(_ORIENTATION)
    profile = raw.get(_PROFILE)
    carried = Carried(
        resolution=_resolution(raw, order),
        profile=profile.data if profile is not None and len(profile.data) <= MAX_PROFILE_BYTES else None,
        geography={tag: _little_endian(raw[tag], order) for tag in _GEOGRAPHY if tag in raw},
        items=_whole_items(_text_of(raw.get(_GDAL_ITEMS))),
        nodata=_text_of(raw[_GDAL_NODATA]).strip() if _GDAL_NODATA in raw else None,
        microscopy=read_ome(text) if is_ome(text) else None,
        imagej=tuple(one[0] for one in _IMAGEJ_KEPT.finditer(text)) if text.startswith("ImageJ=") else (),
    )
    number = 1 if orientation is None else int.from_bytes(orientation.data, "little" if order == "<" else "big")
    return turned(carried, number)


def tiff_tags(carried: Carried, shape: tuple[int, int, int], dtype: np.dtype) -> tuple[dict[int, RawTag], bool]:
    """The tags that say it of an image of a shape ``(H, W, C)``, and whether its channels must be pages."""
    tags = dict(carried.geography)
    channels, pages = shape[2], False
    if carried.resolution is not None:
        unit: Unit = "cm" if carried.resolution.unit == "metre" else carried.resolution.unit
        for tag, value in zip((_X, _Y), carried.resolution.per(unit), strict=True):
            tags[tag] = RawTag(_FRACTION, 1, struct.pack("<II", *_fraction(value)))
        tags[_UNIT] = RawTag(_SHORT, 1, struct.pack("<H", {"none": 1, "inch": 2, "cm": 3}[unit]))
    if carried.profile is not None:
        tags[_PROFILE] = RawTag(_BYTES, len(carried.profile), carried.profile)
    if carried.items:
        tags[_GDAL_ITEMS] = _text_tag(carried.items)
    if carried.nodata is not None:
        tags[_GDAL_NODATA] = _text_tag(carried.nodata)
    if carried.microscopy is not None:
        pages = True
        tags[_DESCRIPTION] = _text_tag(ome_xml(shape, dtype, carried.microscopy))
    elif carried.imagej and str(dtype) in _IMAGEJ_TYPES:
        pages = channels > 1
        counted = [f"images={channels}", f"channels={channels}", "hyperstack=true"] if pages else []
        tags[_DESCRIPTION] = _text_tag("\n".join([carried.imagej[0], *counted, *carried.imagej[1:], ""]))
    return tags, pages


def _resolution(raw: dict[int, RawTag], order: ByteOrder) -> Resolution | None:
    if any(tag not in raw or raw[tag].kind != _FRACTION or raw[tag].count != 1 for tag in (_X, _Y)):
        return None
    (x_over, x_under), (y_over, y_under) = (struct.unpack(f"{order}II", raw[tag].data) for tag in (_X, _Y))
    unit = raw.get(_UNIT)
    (number,) = (2,) if unit is None or unit.kind != _SHORT else struct.unpack(f"{order}H", unit.data[:2])
    if not (x_over and x_under and y_over and y_under) or number not in _UNITS:
        return None
    return Resolution(Fraction(x_over, x_under), Fraction(y_over, y_under), _UNITS[number])


def _fraction(value: Fraction) -> tuple[int, int]:
    """Numerator and denominator, each of 32 bits."""
    limit = 2**32 - 1 if value <= 1 else int((2**32 - 1) / value)
    near = value.limit_denominator(max(limit, 1))
    return min(near.numerator, 2**32 - 1), near.denominator


def _whole_items(xml: str) -> str:
    """GDAL's items about the whole image: those of single bands say nothing of the bands of an output."""
    if not xml or "<!" in xml:
        return ""
    try:
        root = ET.fromstring(xml)
    except (ET.ParseError, ValueError):
        return ""
    kept = [one for one in root if "sample" not in one.attrib and "domain" not in one.attrib]
    if root.tag != "GDALMetadata" or not kept:
        return ""
    made = ET.Element("GDALMetadata")
    made.extend(kept)
    return ET.tostring(made, encoding="unicode")


def _little_endian(raw: RawTag, order: ByteOrder) -> RawTag:
    side = _SIDES.get(raw.kind, 1)
    if order == "<" or side == 1:
        return raw
    return RawTag(raw.kind, raw.count, np.frombuffer(raw.data, f">u{side}").astype(f"<u{side}").tobytes())


def _text_of(raw: RawTag | None) -> str:
    return "" if raw is None else raw.data.rstrip(b"\0").decode("utf-8", "replace")


def _text_tag(text: str) -> RawTag:
    data = text.encode() + b"\0"
    return RawTag(_TEXT, len(data), data)
