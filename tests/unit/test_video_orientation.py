"""Turned and flipped videos: every orientation that a display matrix can ask for, against its definition."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.bitstream import BitStreamFilterContext
from PIL import Image, ImageSequence

from tandem.inference.video.frames import Frame
from tandem.inference.video.reading import ContainerVideo
from videos import MATRICES, copied, moving_frames, orient, oriented, see, write_video


def frames_of(path: Path) -> tuple[list[np.ndarray], tuple[int, int, Fraction]]:
    with ContainerVideo(path) as video:
        info = (video.info.width, video.info.height, video.info.pixel_aspect)
        return [part.pixels for part in video.parts() if isinstance(part, Frame)], info


def lossless(path: Path) -> Path:
    return write_video(path, moving_frames(3), codec_options={"crf": "0"}, pixel_format="yuv444p")


@pytest.mark.parametrize("name", MATRICES)
@pytest.mark.parametrize("suffix", ["mp4", "mov"])
def test_every_orientation(tmp_path: Path, suffix: str, name: str) -> None:
    """To the pixel; the size is that of the upright picture."""
    path = lossless(tmp_path / f"a.{suffix}")
    plain, _ = frames_of(path)
    turned, (width, height, _) = frames_of(orient(path, MATRICES[name]))
    assert (height, width) == turned[0].shape[:2]
    for one, other in zip(plain, turned, strict=True):
        assert np.array_equal(oriented(one, MATRICES[name]), other)


@pytest.mark.parametrize(
    ("filter_options", "name"),
    [
        ("rotate=90", "counterclockwise"),
        ("flip=horizontal", "left and right exchanged"),
        ("flip=vertical", "up and down exchanged"),
    ],
)
def test_orientation_that_the_codec_says(tmp_path: Path, filter_options: str, name: str) -> None:
    """As supplemental information of H.264, which comes with key frames only, in a format that has no matrix."""
    source, path = lossless(tmp_path / "a.mp4"), tmp_path / "a.mkv"
    with av.open(str(source)) as before, av.open(str(path), "w") as after:
        track = before.streams.video[0]
        filtered = BitStreamFilterContext(f"h264_metadata=display_orientation=insert:{filter_options}", track)
        copy = after.add_stream_from_template(track)
        for packet in before.demux(track):
            for one in filtered.filter(packet if packet.dts is not None else None):
                one.stream = copy
                after.mux(one)
    (plain, _), (turned, _) = frames_of(source), frames_of(path)
    assert len(turned) == 3
    for one, other in zip(plain, turned, strict=True):
        assert np.array_equal(oriented(one, MATRICES[name]), other)


@pytest.mark.parametrize("name", ["left and right exchanged", "clockwise", "transposed"])
@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".gif"])
def test_what_is_written_is_upright(tmp_path: Path, suffix: str, name: str) -> None:
    """The pixels themselves, without a matrix that would turn them once more."""
    path = orient(lossless(tmp_path / "a.mp4"), MATRICES[name])
    target = copied(path, tmp_path / f"out{suffix}")
    if suffix == ".gif":
        with Image.open(target) as image:
            shown = [np.array(frame.convert("RGB")) for frame in ImageSequence.Iterator(image)]
    else:
        seen = see(target)
        assert seen.rotation == 0
        shown = seen.pixels
    for picture, original in zip(shown, moving_frames(3), strict=True):
        expected = oriented(original, MATRICES[name])
        assert picture.shape == expected.shape
        assert np.abs(picture.astype(int) - expected).mean() < 6
