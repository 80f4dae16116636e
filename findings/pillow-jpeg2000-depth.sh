#!/usr/bin/env bash
# Pillow 13.0.0, beside rasterio 1.4.4 (GDAL) for the truth
#
# Pillow opens grey JPEG 2000 of any depth as mode I;16, so one would guess that an array of it holds what the file holds,
# as it does of a 16-bit PNG or TIFF. It does only where the file says 16 bits, unsigned:
#
#     in the file          in the array
#     16 bits, 0 65535     0 65535        as in the file
#     12 bits, 0 4095      0 65520        times 16, so white is not 65535 either
#     16 bits, -500 499    32268 33267    32768 added: heights and CT values come out as others, in a type without sign
#
# And three bands of 16 bits, as GDAL writes bands that are no colours, open as RGB, but loading them fails as "broken data
# stream", where the file is sound; called sRGB they become 8 bits.
# So the header (the codestream's SIZ) is read first: shifted back by 16 - bits, and the others decoded by OpenJPEG.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check numpy==2.4.6 pillow==13.0.0 rasterio==1.4.4
"$folder/venv/bin/python" -W ignore - "$folder" <<'PYTHON'
import sys

import numpy as np
import rasterio
from PIL import Image

EXPECTED = [
    "16 bits: 0 65535 -> I;16 0 65535",
    "12 bits: 0 4095 -> I;16 0 65520",
    "16 bits: -500 499 -> I;16 32268 33267",
    "16 bits x 3: 0 65535 -> RGB broken data stream when reading image file",
]
found = []
for dtype, bits, low, high, bands in (
    ("uint16", 16, 0, 65535, 1),
    ("uint16", 12, 0, 4095, 1),
    ("int16", 16, -500, 499, 1),
    ("uint16", 16, 0, 65535, 3),
):
    values = np.random.default_rng(0).integers(low, high, (bands, 64, 80), dtype, endpoint=True)
    values[:, 0, 0], values[:, 0, 1] = low, high
    path = f"{sys.argv[1]}/x.jp2"
    options = {"QUALITY": 100, "REVERSIBLE": "YES"} | ({"NBITS": bits} if bits < 16 else {})
    with rasterio.open(path, "w", "JP2OpenJPEG", 80, 64, bands, dtype=dtype, **options) as file:
        file.write(values)
    with rasterio.open(path) as file:
        assert (file.read() == values).all()  # GDAL gives back what was written
    image = Image.open(path)
    try:
        array = np.array(image)
        seen = f"{array.min()} {array.max()}"
    except OSError as error:
        seen = str(error)
    found.append(f"{bits} bits{' x 3' * (bands == 3)}: {low} {high} -> {image.mode} {seen}")
print("\n".join(found))
sys.exit(found != EXPECTED)
PYTHON
