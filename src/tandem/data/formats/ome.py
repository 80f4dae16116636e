"""OME-XML in the first page of a TIFF: the size of a pixel and the names and colours of the channels, in and out."""

import re
import xml.etree.ElementTree as ET
from xml.sax.saxutils import quoteattr

import numpy as np

from tandem.data.formats.carried import Microscopy

_NAMESPACE = "http://www.openmicroscopy.org/Schemas/OME/2016-06"
_SIZES = tuple(f"PhysicalSize{axis}{end}" for axis in "XYZ" for end in ("", "Unit"))
_TYPES = {"float16": "float", "float32": "float", "float64": "double"}
_MOST_NAMES = 4096


def is_ome(description: str) -> bool:
    """Whether the description of a TIFF's first page is OME's."""
    return "<OME" in description[:1000] and description.rstrip("\0 \n").endswith("OME>")


def read_ome(description: str) -> Microscopy | None:
    """What OME-XML says of the first image; None where it is damaged, or brings definitions of its own."""
    if re.search("<!DOCTYPE|<!ENTITY", description):
        return None
    try:
        root = ET.fromstring(description.rstrip("\0 \n"))
    except (ET.ParseError, ValueError):
        return None
    pixels = next((one for one in root.iter() if one.tag.endswith("}Pixels")), None)
    if pixels is None:
        return None
    sizes = {name: pixels.attrib[name] for name in _SIZES if name in pixels.attrib}
    channels = [one for one in pixels if one.tag.endswith("}Channel")][:_MOST_NAMES]
    names = tuple(one.attrib["Name"] for one in channels if "Name" in one.attrib)
    colors = tuple(_hexadecimal(one.attrib["Color"]) for one in channels if "Color" in one.attrib)
    has_colors = len(colors) == len(channels) and all(colors)
    return Microscopy(sizes, names if len(names) == len(channels) else (), colors if has_colors else ())


def _hexadecimal(color: str) -> str:
    """The ``RRGGBB`` of OME's signed number of 32 bits, whose lowest byte is alpha; empty of anything else."""
    if not re.fullmatch(r"-?\d{1,10}", color):
        return ""
    return f"{int(color) >> 8 & 0xFFFFFF:06X}"


def _number(color: str) -> int:
    number = int(color, 16) << 8 | 0xFF
    return number - 2**32 if number >= 2**31 else number


def ome_xml(shape: tuple[int, int, int], dtype: np.dtype, facts: Microscopy) -> str:
    """OME-XML of an image of a shape ``(H, W, C)`` whose channels are pages."""
    height, width, channels = shape
    kind = _TYPES.get(str(dtype), str(dtype))
    sizes = "".join(f" {name}={quoteattr(value)}" for name, value in facts.sizes.items())
    named = [f" Name={quoteattr(name)}" for name in facts.names] or [""] * channels
    colored = [f' Color="{_number(color)}"' for color in facts.colors] or [""] * channels
    listed = "".join(
        f'<Channel ID="Channel:0:{number}" SamplesPerPixel="1"{name}{color}/>'
        for number, (name, color) in enumerate(zip(named, colored, strict=True))
    )
    planes = "".join(
        f'<TiffData FirstC="{number}" FirstT="0" FirstZ="0" IFD="{number}" PlaneCount="1"/>'
        for number in range(channels)
    )
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><OME xmlns="{_NAMESPACE}" '
        'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
        f'xsi:schemaLocation="{_NAMESPACE} {_NAMESPACE}/ome.xsd"><Image ID="Image:0" Name="Image0">'
        f'<Pixels ID="Pixels:0" DimensionOrder="XYCZT" Type="{kind}" SizeX="{width}" SizeY="{height}" '
        f'SizeC="{channels}" SizeZ="1" SizeT="1"{sizes}>{listed}{planes}</Pixels></Image></OME>'
    )
