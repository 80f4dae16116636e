"""GIFs: what a scan says against Pillow, frames as Pillow shows them, a copy that keeps everything, hostile files."""

import struct
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from tandem.errors import DataError
from tandem.inference.video.frames import MAX_FRAME_PIXELS, Frame, VideoInfo
from tandem.inference.video.gif import GifVideo, GifWriter, scan_gif
from videos import moving_frames, see_gif, write_gif

DURATIONS = [50, 70, 0, 10, 1200]


def opaque(count: int = 5) -> list[Image.Image]:
    return [Image.fromarray(frame) for frame in moving_frames(count)]


def transparent(count: int = 5) -> list[Image.Image]:
    """A disc on nothing that moves and grows."""
    frames = []
    for index in range(count):
        frame = Image.new("RGBA", (40, 30), (0, 0, 0, 0))
        ImageDraw.Draw(frame).ellipse((4 * index, 5, 4 * index + 12 + index, 20), fill=(200, 30 * index, 60, 255))
        frames.append(frame)
    return frames


def copied(source: Path, target: Path) -> None:
    video = GifVideo(source, as_shown=False)
    with video, GifWriter(target, video.info) as writer:
        for part in video.parts():
            assert isinstance(part, Frame)
            writer.add(part)


@pytest.mark.parametrize("loop", [None, 0, 3])
def test_a_copy_keeps_everything(tmp_path: Path, loop: int | None) -> None:
    """Frames of few colours pass through unchanged; delays and the loop count as they are in the file."""
    options = {} if loop is None else {"loop": loop}
    source = write_gif(tmp_path / "in.gif", opaque(), DURATIONS, **options)
    copied(source, tmp_path / "out.gif")
    (frames, durations, loops), (others, other_durations, other_loops) = map(see_gif, (source, tmp_path / "out.gif"))
    assert other_durations == durations == DURATIONS
    assert other_loops == loops == loop
    assert all(map(np.array_equal, others, frames))


@pytest.mark.parametrize("disposal", [0, 1, 2, 3])
def test_transparency_and_disposal(tmp_path: Path, disposal: int) -> None:
    """Whatever the source does between its frames, what is shown is the same, transparent parts included."""
    source = write_gif(tmp_path / "in.gif", transparent(), 80, loop=0, disposal=disposal, transparency=0)
    copied(source, tmp_path / "out.gif")
    (frames, durations, _), (others, other_durations, _) = map(see_gif, (source, tmp_path / "out.gif"))
    assert durations == other_durations == [80] * 5
    assert len({frame[:, :, 3].tobytes() for frame in frames}) > 1
    for frame, other in zip(frames, others, strict=True):
        visible = frame[:, :, 3] > 0
        assert np.array_equal(visible, other[:, :, 3] > 0)
        assert np.array_equal(frame[visible], other[visible])


def test_many_colours_are_reduced_without_dithering(tmp_path: Path) -> None:
    gradient = np.stack(np.meshgrid(np.arange(64) * 4, np.arange(48) * 5), axis=-1).astype(np.uint8)
    pixels = np.concatenate([gradient, gradient[:, :, :1] // 2], axis=2)
    info = VideoInfo(tmp_path / "x.gif", 64, 48, Fraction(1, 1000))
    with GifWriter(tmp_path / "out.gif", info) as writer:
        writer.add(Frame(pixels, 0, 40))
    (frame,), _, _ = see_gif(tmp_path / "out.gif")
    expected = Image.fromarray(pixels).quantize(256, dither=Image.Dither.NONE).convert("RGB")
    assert np.array_equal(frame[:, :, :3], np.asarray(expected))
    assert np.abs(frame[:, :, :3].astype(int) - pixels).max() < 25


@pytest.mark.parametrize(("rate", "ticks"), [(30, 1), (50, 1), (12, 1), (25, 1)])
def test_rates_of_videos_become_delays_without_drift(tmp_path: Path, rate: int, ticks: int) -> None:
    """Every frame starts within half a hundredth of its time, or as soon as viewers can show it."""
    info = VideoInfo(tmp_path / "x.mp4", 64, 48, Fraction(1, rate), Fraction(rate))
    with GifWriter(tmp_path / "out.gif", info) as writer:
        for index, frame in enumerate(moving_frames(60)):
            writer.add(Frame(frame, index * ticks, ticks))
    _, durations, loop = see_gif(tmp_path / "out.gif")
    starts = np.cumsum([0, *durations])
    assert np.abs(starts - 1000 * np.arange(61) / rate).max() <= 5 + 1e-9
    assert min(durations) >= 20
    assert loop == 0


def test_delays_that_are_not_even(tmp_path: Path) -> None:
    """Gaps stay, bursts are shown as fast as viewers do, and the time is caught up with."""
    info = VideoInfo(tmp_path / "x.mp4", 64, 48, Fraction(1, 1000), Fraction(20))
    times = [0, 3, 6, 500, 540, 1000]
    with GifWriter(tmp_path / "out.gif", info) as writer:
        for frame, (time, after) in zip(moving_frames(5), pairwise(times), strict=True):
            writer.add(Frame(frame, time, after - time))
    assert see_gif(tmp_path / "out.gif")[1] == [20, 20, 460, 40, 460]


def test_frames_too_short_to_be_shown(tmp_path: Path) -> None:
    """For a video they last as long as viewers show them."""
    source = write_gif(tmp_path / "in.gif", opaque(), DURATIONS)
    shown = [part for part in GifVideo(source, as_shown=True).parts() if isinstance(part, Frame)]
    assert [part.duration for part in shown] == [50, 70, 100, 100, 1200]
    assert [part.time for part in shown] == [0, 50, 120, 220, 320]


def test_too_fast_and_too_slow(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has 60 frames a second; a GIF shows at most 50"):
        GifWriter(tmp_path / "out.gif", VideoInfo(tmp_path / "x.mp4", 8, 8, Fraction(1, 60), Fraction(60)))
    info = VideoInfo(tmp_path / "x.mp4", 64, 48, Fraction(1), Fraction(1))
    with GifWriter(tmp_path / "out.gif", info) as writer, pytest.raises(DataError, match="shown for 656 s"):
        writer.add(Frame(moving_frames(1)[0], 0, 656))


def test_a_scan(tmp_path: Path) -> None:
    scan = scan_gif(write_gif(tmp_path / "a.gif", opaque(7), 40, loop=2))
    assert (scan.size, scan.num_frames, scan.transparent, scan.loop) == ((64, 48), 7, False, 2)
    scan = scan_gif(write_gif(tmp_path / "b.gif", transparent(3), 40))
    assert (scan.size, scan.num_frames, scan.transparent, scan.loop) == ((40, 30), 3, True, None)


def test_a_missing_last_byte_is_forgiven(tmp_path: Path) -> None:
    """As viewers do: all frames are there."""
    path = write_gif(tmp_path / "a.gif", opaque(), 40)
    path.write_bytes(path.read_bytes()[:-1])
    assert scan_gif(path).num_frames == 5


@pytest.mark.parametrize("share", [0.02, 0.3, 0.5, 0.8, 0.99])
def test_cut_off(tmp_path: Path, share: float) -> None:
    path = write_gif(tmp_path / "a.gif", opaque(), 40)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(DataError, match=r"a\.gif: cut off"):
        scan_gif(path)


def header(width: int, height: int) -> bytes:
    return b"GIF89a" + struct.pack("<HHBBB", width, height, 0, 0, 0)


def frame(width: int, height: int) -> bytes:
    return b"," + struct.pack("<HHHHB", 0, 0, width, height, 0) + b"\x02\x02\x44\x01\0"


HOSTILE = [
    (b"", "the file is no GIF"),
    (b"GIF88a" + b"\0" * 30, "the file is no GIF"),
    (header(65535, 65535) + frame(65535, 65535) + b";", f"from 1 to {MAX_FRAME_PIXELS} pixels"),
    (header(0, 9) + frame(1, 1) + b";", "its frames are 0 x 9 px"),
    (header(9, 9) + frame(1, 1) + frame(65535, 65535) + b";", "frame 2 reaches 65535 x 65535 px"),
    (header(9, 9) + b";", "holds no frames"),
    (header(9, 9) + b"Q", "no block of kind 51"),
]


@pytest.mark.parametrize(("content", "says"), HOSTILE)
def test_hostile_files(tmp_path: Path, content: bytes, says: str) -> None:
    """Refused before a pixel is decoded."""
    (tmp_path / "a.gif").write_bytes(content)
    with pytest.raises(DataError, match=says):
        scan_gif(tmp_path / "a.gif")


def test_damaged_pixels(tmp_path: Path) -> None:
    """The blocks are whole, the pixels in them are not."""
    (tmp_path / "a.gif").write_bytes(header(9, 9) + frame(9, 9) + frame(9, 9) + b";")
    with pytest.raises(DataError, match="damaged or cut off"):
        list(GifVideo(tmp_path / "a.gif", as_shown=False).parts())
