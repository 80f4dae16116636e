#!/usr/bin/env bash
# av (PyAV) 18.1.0, with its own FFmpeg
#
# A decoded frame has a duration, so one would guess that it is shown for so long: until the next frame's time stamp.
# Of an MP4 with B-frames the durations belong to the order of decoding, and land on other frames; of Matroska all are
# the nominal one. Only with time stamps that are evenly spaced, or in an MP4 without B-frames, are they what they seem.
# Nor does an MP4's track say when its last frame ends: its duration is the sum of the durations in order of decoding.
#
#     shown for (from time stamps)      40   40  420   40  960   40 1460   40
#     mp4, without B-frames             40   40  420   40  960   40 1460   40, track 3080 ms
#     mp4, with B-frames                40   40   40  420   40   40   40   40, track 1660 ms
#     mkv, with B-frames                40   40   40   40   40   40   40   40
#
# So a frame lasts until the next one's time stamp, whatever it says itself.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check numpy==2.4.6 av==18.1.0
"$folder/venv/bin/python" - "$folder" <<'PYTHON'
import sys
from fractions import Fraction

import av
import numpy as np

TIMES = [0, 40, 80, 500, 540, 1500, 1540, 3000, 3040]


def durations(name, b_frames):
    path = f"{sys.argv[1]}/{b_frames}{name}"
    with av.open(path, "w") as file:
        stream = file.add_stream("libx264", rate=25, options={"bf": str(b_frames)})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        for number, time in enumerate(TIMES):
            picture = np.full((48, 64, 3), (40, 90, 160), np.uint8)
            picture[8:24, 3 * number : 3 * number + 16] = (240, 200, 30)
            frame = av.VideoFrame.from_ndarray(picture, "rgb24")
            frame.pts, frame.time_base = time, Fraction(1, 1000)
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    with av.open(path) as file:
        track = file.streams.video[0]
        frames = list(file.decode(track))
        assert [round(1000 * frame.time) for frame in frames] == TIMES
        found = [round(1000 * frame.duration * track.time_base) for frame in frames]
        return found, track.duration and round(1000 * track.duration * track.time_base)


def show(title, found):
    print(f"{title:<32}", *(f"{ms:4}" for ms in found[: len(TIMES) - 1]))


shown = [after - before for before, after in zip(TIMES, TIMES[1:])]
show("shown for (from time stamps)", shown)
plain, plain_track = durations(".mp4", 0)
show("mp4, without B-frames", plain)
mp4, mp4_track = durations(".mp4", 3)
show("mp4, with B-frames", mp4)
mkv, _ = durations(".mkv", 3)
show("mkv, with B-frames", mkv)
print(f"tracks of the two mp4: {plain_track} and {mp4_track} ms; the last frame is shown at {TIMES[-1]} ms")
assert plain[:-1] == shown and plain_track == 3080
assert mp4[:-1] == [40, 40, 40, 420, 40, 40, 40, 40] and mp4_track == 1660
assert mkv == [40] * len(TIMES)
PYTHON
