"""What image files say beside their pixels, read from files of any format, and as options of Pillow's writers."""

from fractions import Fraction
from pathlib import Path
from typing import Any

from PIL import Image

from tandem.data.formats.by_pillow import opened_by_pillow, orientation_of
from tandem.data.formats.carried import MAX_PROFILE_BYTES, Carried, Resolution, turned
from tandem.data.formats.others import is_other, read_other_carried
from tandem.data.formats.signatures import HEAD_BYTES
from tandem.data.formats.tiff_carried import read_tiff_carried
from tandem.data.formats.tiff_tags import is_tiff
from tandem.data.image_file import DiskFile, ImageFile
from tandem.data.images import decoding, image_opened
from tandem.data.volumes import slice_carried

_INCH = Fraction(254, 10000)
_JFIF_UNITS = {0: "none", 1: "inch", 2: "cm"}


def read_carried(source: Path | ImageFile) -> Carried:
    """What an image file says beside its pixels, as far as it holds for the image that `read_image` gives.

    Raises:
        ImageReadError: The file is missing, damaged or no image.
        MissingExtraError: What reads it is not installed.
    """
    file = (DiskFile(source) if isinstance(source, Path) else source).parts[
        0
    ]  # the place of a stack is its first one's
    if isinstance(file, DiskFile) and file.slice is not None:
        with decoding(str(file)):
            return slice_carried(file.slice)
    with image_opened(file) as (stream, name):
        head = stream.read(HEAD_BYTES)
        stream.seek(0)
        if is_tiff(head):
            return read_tiff_carried(stream)
        if is_other(stream):
            return read_other_carried(stream)
        if head.startswith((b"\x93NUMPY", b"PK")):
            return Carried()
        with opened_by_pillow(stream, name) as image:
            profile = image.info.get("icc_profile")
            known = isinstance(profile, bytes) and 128 <= len(profile) <= MAX_PROFILE_BYTES
            carried = Carried(resolution=_resolution(image), profile=profile if known else None)
            return turned(carried, orientation_of(image))


def pillow_options(carried: Carried, image_format: str) -> dict[str, Any]:
    """Options of Pillow's ``save`` that write it: the profile, and of PNG and JPEG the resolution."""
    options: dict[str, Any] = {}
    if carried.profile is not None:
        options["icc_profile"] = carried.profile
    if carried.resolution is not None and image_format in ("PNG", "JPEG") and carried.resolution.unit != "none":
        options["dpi"] = tuple(float(value) for value in carried.resolution.per("inch"))
    return options


def _resolution(image: Image.Image) -> Resolution | None:
    if image.format == "JPEG" and isinstance(density := image.info.get("jfif_density"), tuple):
        unit = _JFIF_UNITS.get(image.info.get("jfif_unit", 0), "none")
        return Resolution(Fraction(density[0]), Fraction(density[1]), unit) if min(density) > 0 else None  # type: ignore[arg-type]
    dots = image.info.get("dpi")
    if not isinstance(dots, tuple) or len(dots) != 2 or not all(0 < one < 10**9 for one in dots):
        return None
    x, y = (Fraction(round(float(one) / float(_INCH))) for one in dots)  # PNG says whole pixels for a metre
    return Resolution(x, y, "metre") if min(x, y) > 0 else None
