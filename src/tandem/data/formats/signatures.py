"""What a file is that is no image of the formats that are read, by its first bytes."""

_AT_START = (
    (b"%PDF", "a PDF document"),
    (b"%!PS", "PostScript"),
    (b"\xc5\xd0\xd3\xc6", "PostScript"),
    (b"8BPS", "a Photoshop document"),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
    (b"v/1\x01", "an OpenEXR image"),
    (b"#?RADIANCE", "a Radiance HDR image"),
    (b"#?RGBE", "a Radiance HDR image"),
    (b"\xff\x0a", "a JPEG XL image"),
    (b"\0\0\0\x0cJXL ", "a JPEG XL image"),
    (b"SIMPLE  =", "a FITS image"),
    (b"DDS ", "a DirectDraw surface"),
    (b"\0\0\x01\0", "an icon (ICO)"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"<svg", "an SVG drawing"),
    (b"<?xml", "an XML document, maybe an SVG drawing"),
    (b"<!DOCTYPE", "a web page"),
    (b"<html", "a web page"),
    (b"version https://git-lfs", "a pointer of Git LFS: fetch the file itself with 'git lfs pull'"),
)
_BRANDS = {b"avif": "an AVIF image", b"avis": "an AVIF image", b"heic": "an HEIC image", b"heix": "an HEIC image"}
HEAD_BYTES = 352
"""How much of a file `what_it_is` looks at."""


def what_it_is(head: bytes) -> str | None:
    """Name a file by its first `HEAD_BYTES`, with an article; None where they say nothing."""
    if head[4:8] == b"ftyp":
        return _BRANDS.get(head[8:12], "a video or image of the MP4 family")
    if head[128:132] == b"DICM":
        return "a DICOM image"
    if head[344:348] in (b"n+1\0", b"ni1\0"):
        return "a NIfTI volume"
    return next((name for start, name in _AT_START if head.startswith(start)), None)
