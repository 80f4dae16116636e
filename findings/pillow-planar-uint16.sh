#!/usr/bin/env bash
# Pillow 13.0.0, tifffile 2026.3.3
#
# A TIFF of three 16-bit channels in separate planes, uncompressed, is a valid file, and the one that tifffile writes for
# an RGB array of shape (3, H, W). One would guess that a reader which reduces it to 8 bits gives the high bytes.
# Pillow opens it as RGB and gives noise, without an error or a warning: the bytes of the 16-bit samples are taken for
# 8-bit ones. The same array with deflate compression, or with the channels interleaved, is right.
#
#     planar, uncompressed    mean error 70.4 of 255
#     planar, deflate         mean error 0.0 of 255
#     interleaved             mean error 0.0 of 255
#
# So a reader has to look at PlanarConfiguration and BitsPerSample before it trusts the pixels.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check numpy==2.4.6 pillow==13.0.0 tifffile==2026.3.3
cd "$folder"
"$folder/venv/bin/python" -W error - <<'PYTHON'
import numpy as np
import tifffile
from PIL import Image

ramp = np.linspace(0, 65535, 48).astype(np.uint16)
planes = np.stack([np.tile(ramp, (32, 1)), np.tile(ramp[::-1], (32, 1)), np.full((32, 48), 32768, np.uint16)])
expected = np.moveaxis(planes >> 8, 0, -1).astype(float)
rgb = {"photometric": "rgb"}
tifffile.imwrite("plain.tif", planes, planarconfig="separate", **rgb)
tifffile.imwrite("deflate.tif", planes, planarconfig="separate", compression="zlib", **rgb)
tifffile.imwrite("interleaved.tif", np.ascontiguousarray(np.moveaxis(planes, 0, -1)), planarconfig="contig", **rgb)


def error(label, name):
    stored = tifffile.imread(name)
    assert np.array_equal(stored if stored.shape == planes.shape else np.moveaxis(stored, -1, 0), planes)
    with Image.open(name) as image:
        assert (image.mode, image.size) == ("RGB", (48, 32))
        found = float(np.abs(np.asarray(image, float) - expected).mean())
    print(f"{label:<23} mean error {found:.1f} of 255")
    return found


assert error("planar, uncompressed", "plain.tif") > 50
assert error("planar, deflate", "deflate.tif") == 0
assert error("interleaved", "interleaved.tif") == 0
PYTHON
