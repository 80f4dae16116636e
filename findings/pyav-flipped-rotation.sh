#!/usr/bin/env bash
# av (PyAV) 18.1.0, with its own FFmpeg
#
# A video's display matrix turns and flips its pictures, and a frame says its `rotation`. One would guess that turning by
# it gives what players show, or, of a picture with left and right exchanged, which is not turned at all, that it is 0.
# It is -180 there, so that turning makes all upside down, and 0 where up and down are exchanged: of the eight
# orientations four come out wrong, without a sign that a flip is missing.
#
#     matrix a b c d      rotation   turned by it
#      1  0  0  1                0   as shown
#     -1  0  0  1             -180   wrong: flipped
#      1  0  0 -1                0   wrong: flipped
#     -1  0  0 -1             -180   as shown
#      0  1 -1  0              -90   as shown
#      0 -1  1  0               90   as shown
#      0  1  1  0              -90   wrong: flipped
#      0 -1 -1  0               90   wrong: flipped
#
# So the matrix itself is read, from the frame's side data DISPLAYMATRIX: transposed where b and c are the larger ones,
# then flipped by their signs.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check numpy==2.4.6 av==18.1.0
"$folder/venv/bin/python" - "$folder/a.mp4" <<'PYTHON'
import struct
import sys

import av
import numpy as np

PICTURE = np.zeros((48, 64, 3), np.uint8)
PICTURE[:16, :32] = 255  # a corner: no two of the eight orientations look alike
WRONG = "wrong: flipped"
MATRICES = [
    (1, 0, 0, 1),
    (-1, 0, 0, 1),
    (1, 0, 0, -1),
    (-1, 0, 0, -1),
    (0, 1, -1, 0),
    (0, -1, 1, 0),
    (0, 1, 1, 0),
    (0, -1, -1, 0),
]


def write(path, matrix):
    with av.open(path, "w") as file:
        stream = file.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv444p"
        file.mux(stream.encode(av.VideoFrame.from_ndarray(PICTURE, "rgb24")))
        file.mux(stream.encode(None))
    data = bytearray(open(path, "rb").read())
    at = data.index(b"tkhd") + 44  # ISO 14496-12, 8.3.2: a b u, c d v, x y w
    a, b, c, d = (number << 16 for number in matrix)
    data[at : at + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    open(path, "wb").write(data)


def shown(picture, a, b, c, d):
    """What is at x, y is shown at a x + c y, b x + d y."""
    y, x = np.mgrid[: picture.shape[0], : picture.shape[1]]
    across, down = a * x + c * y, b * x + d * y
    across, down = across - across.min(), down - down.min()
    result = np.empty((down.max() + 1, across.max() + 1), picture.dtype)
    result[down, across] = picture
    return result


found = []
print("matrix a b c d      rotation   turned by it")
for matrix in MATRICES:
    write(sys.argv[1], matrix)
    with av.open(sys.argv[1]) as file:
        frame = next(file.decode(video=0))
    stored = frame.to_ndarray(format="gray") > 127
    turned, right = np.rot90(stored, frame.rotation // 90), shown(stored, *matrix)
    said = "as shown"
    if not np.array_equal(turned, right):
        flipped = any(np.array_equal(other, right) for other in (turned[::-1], turned[:, ::-1]))
        said = WRONG if flipped else "something else"
    numbers = np.frombuffer(bytes(frame.side_data["DISPLAYMATRIX"]), np.int32) if matrix != MATRICES[0] else None
    assert numbers is None or tuple(int(numbers[at]) >> 16 for at in (0, 1, 3, 4)) == matrix
    print("".join(f"{number:3}" for number in matrix), f"{frame.rotation:16}   {said}")
    found.append((frame.rotation, said))
assert [rotation for rotation, _ in found] == [0, -180, 0, -180, -90, 90, -90, 90]
assert [said for _, said in found] == ["as shown", WRONG, WRONG, *["as shown"] * 3, WRONG, WRONG]
PYTHON
